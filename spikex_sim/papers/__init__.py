"""Papers: their studies, their published numbers, ours beside them."""
