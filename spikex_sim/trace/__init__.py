"""Spike traces: the model, the file formats, generators and importers."""
