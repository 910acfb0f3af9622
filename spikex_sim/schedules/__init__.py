"""Kinds of schedule: what is issued when, one room a kind."""
