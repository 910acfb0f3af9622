"""The memory hierarchy: traffic of a schedule and the engines that turn it into time."""
