"""The training steps of DINO, iBOT and SERE in PyTorch: what relata's step is measured and checked against."""
