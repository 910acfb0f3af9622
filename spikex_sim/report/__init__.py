"""Reports: one self-contained page of any folder of results."""
