"""Energies per access and per operation, each with its node, source and derivation."""
