"""NTWU schedules: batches of (position, window) columns."""
