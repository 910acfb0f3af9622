"""Crossbars of resistive memory: mapping, counts, spans of time, execution (docs/imc.md)."""
