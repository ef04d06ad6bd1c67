"""Adversarial training: for the built-in GANs and for the recovery of pruned ones."""
