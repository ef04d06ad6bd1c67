"""What was removed of one layer, as strategies return it and records keep it. Needs no PyTorch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LayerCut:
    """One convolution or linear layer: weight entries and ``[out, in]`` channels, before and after."""

    name: str
    """Of the module, as in the state dict."""
    kind: str
    """The class of the module: ``Conv2d``, ``ConvTranspose2d``, ``Linear``, ..."""
    weights: int
    """Entries of the dense layer's weight."""
    kept: int
    """Entries that stay: what was not cut, not masked and not taken from another layer."""
    width: tuple[int, int]
    """``[out, in]`` channels of the dense layer."""
    kept_width: tuple[int, int]
    """``[out, in]`` channels that are left; masks leave them as they were."""
    note: str = ""
    """Why the layer stayed dense where it should not have."""
