"""Training for the integer datapath: hardware-aware (paper Sec. IV-A), architecture search (IV-B).

Needs PyTorch (``pip install spikex_sim[train]``); the simulator never imports this package.
"""
