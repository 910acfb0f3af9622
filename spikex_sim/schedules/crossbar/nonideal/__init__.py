"""Arrays that are not ideal: codes, cells, wires, noise, converters, adaptation (docs/imc.md, Section 4)."""
