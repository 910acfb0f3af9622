"""Numba kernels that execute a schedule."""
