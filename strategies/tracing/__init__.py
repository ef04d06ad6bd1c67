"""Which channels belong together, found by following them through the operators of one forward pass."""
