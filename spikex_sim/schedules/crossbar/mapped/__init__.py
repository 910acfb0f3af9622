"""Crossbars that hold the neurons of a mapping, wherever it puts them (docs/mapping.md, Section 8)."""
