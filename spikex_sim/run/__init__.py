"""One trace through one accelerator, and what comes of it."""
