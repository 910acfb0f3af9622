"""What papers on crossbars for spiking networks published, laid beside what the model gives."""
