"""Frozen, validated descriptions: workloads, accelerators and how they are loaded."""
