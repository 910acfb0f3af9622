"""Arrays that are not ideal: codes, cells, wires, noise, converters, adaptation (Section 4)."""
