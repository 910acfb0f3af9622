"""Emulated event cameras, and what is in front of them."""
