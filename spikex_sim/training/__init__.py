"""Training for the integer datapath: hardware-aware (paper Sec. IV-A), architecture search (IV-B).

Needs PyTorch (``pip install -e '.[train]'`` in the clone); the simulator never imports this package.
"""
