"""What a network is but for its weights."""

from __future__ import annotations

from torch import Tensor, nn

from bench.base.code import digest
from strategies.layers import ties


def structure(model: nn.Module) -> str:
    """Hash of the kinds and order of its modules, as torch writes them, and of all shapes."""
    shapes = [(name, tuple(x.shape)) for name, x in model.state_dict().items() if isinstance(x, Tensor)]
    shared = ties(model)  # two networks of the same shapes, one of which shares weights
    return digest(
        [type(model).__module__, type(model).__qualname__, repr(model), shapes, *([shared] if shared else [])]
    )
