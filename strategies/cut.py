"""What was removed of one layer, as strategies return it and records keep it. Needs no PyTorch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LayerCut:
    """One convolution or linear layer: weight entries and ``(out, in)`` channels, before and after."""

    name: str
    kind: str
    """The class of the module."""
    weights: int
    """Weight entries of the dense layer."""
    kept: int
    """Of these, how many are left."""
    width: tuple[int, int]
    kept_width: tuple[int, int]
    note: str = ""
    """Why the layer stayed dense where it should not have."""
