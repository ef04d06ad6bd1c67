"""One importance score a function. Low is pruned first."""

from strategies.criteria.builtin import bnscale, l1, random, rownorm
from strategies.criteria.registry import CRITERIA, criterion

__all__ = ["CRITERIA", "bnscale", "criterion", "l1", "random", "rownorm"]
