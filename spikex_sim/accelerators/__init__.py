"""Accelerators: plug-ins that say what is issued when."""
