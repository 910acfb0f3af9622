"""Sweeps: every combination of configuration values, kept in a store."""
