"""Search for spiking architectures under constraints of hardware (docs/nas.md)."""
