"""From the durations of steps to the cycles in which they end."""
