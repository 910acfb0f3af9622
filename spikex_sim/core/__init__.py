"""What all rooms share: geometry, tags, neurons, counts, plug-ins, units, errors, files."""
