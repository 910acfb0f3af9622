"""Bounded readers of what nobody vouches for."""
