"""Time-serial schedules: spikes one after the other."""
