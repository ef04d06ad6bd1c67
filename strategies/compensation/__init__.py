"""Updating the weights that stay, so that each layer puts out what the dense one did."""

from strategies.compensation.compensate import Compensated, compensate

__all__ = ["Compensated", "compensate"]
