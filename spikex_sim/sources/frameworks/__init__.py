"""Networks of PyTorch frameworks and NIR graphs."""
