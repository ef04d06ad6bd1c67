"""A discriminator that is pruned as well: which of its weights are held at zero, and when that changes.

D is pruned by masks only: it is thrown away after the training, so its size matters to the game and to nothing else.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from strategies.hooks import NoHooks, Training
from strategies.layers import named_weights, prunable_layers, stored_weight
from strategies.sorting import stable_order


def magnitudes(model: nn.Module) -> dict[str, Tensor]:
    """``|w|`` of every convolution and linear layer as it acts: under spectral norm, that of the divided weight."""
    was = model.training
    model.eval()  # in training mode, reading a spectrally normalised weight would move its power iteration on
    try:
        return {name: weight.abs() for name, weight in named_weights(model)}
    finally:
        model.train(was)


def smallest_gone(values: dict[str, Tensor], count: int) -> dict[str, Tensor]:
    """Masks of the shapes of ``values``, False at the ``count`` smallest of all, ties in the order of the layers.

    At least one weight stays.
    """
    flat = torch.cat([value.reshape(-1) for value in values.values()])
    kept = torch.ones(len(flat), dtype=torch.bool, device=flat.device)
    kept[stable_order(flat)[: min(count, len(flat) - 1)]] = False
    parts = kept.split([value.numel() for value in values.values()])
    return {name: part.view(value.shape) for (name, value), part in zip(values.items(), parts, strict=True)}


class SparseDiscriminator(NoHooks):
    """Holds the masks of D; those who inherit say when they change."""

    def __init__(self) -> None:
        self.masks: dict[str, Tensor] = {}
        """Layer -> True where the weight stays; empty: D is dense."""

    @property
    def density(self) -> float:
        """The share of D's convolution and linear weights that is not held at zero."""
        if not self.masks:
            return 1.0
        return sum(int(m.sum()) for m in self.masks.values()) / sum(m.numel() for m in self.masks.values())

    def cut(self, training: Training, sparsity: float) -> None:
        """Prune D to ``sparsity`` by global magnitude. What is gone is zero, so it goes first: cuts are nested."""
        values = magnitudes(training.discriminator)
        self.masks = smallest_gone(values, round(sparsity * sum(v.numel() for v in values.values())))
        self.hold(training)

    @torch.no_grad()
    def hold(self, training: Training) -> None:
        """Set to zero what the masks remove: in the stored parameter, whatever is computed from it."""
        layers = prunable_layers(training.discriminator)
        for name, mask in self.masks.items():
            weight = stored_weight(layers[name])
            weight.mul_(mask.to(weight.device))

    def after_step(self, step: int, training: Training) -> None:
        self.hold(training)

    def state_dict(self) -> dict[str, Any]:
        return {"masks": dict(self.masks)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.masks = dict(state["masks"])


class FixedSparsity(SparseDiscriminator):
    """D loses a fixed share of its weights before the first step."""

    def __init__(self, sparsity: float) -> None:
        super().__init__()
        self.sparsity = sparsity

    def before_step(self, step: int, training: Training) -> None:
        if not self.masks:
            self.cut(training, self.sparsity)


class EqualSparsity(SparseDiscriminator):
    """D is as sparse as G: before the first step, and after every event of a schedule that removes more of G.

    G's sparsity is that of its non-zero weights. Where G's weights come back (soft schedules) D's do not.
    """

    def __init__(self, scope: int) -> None:
        """``scope``: convolution and linear weights of the dense generator."""
        super().__init__()
        self.scope = scope
        self.left = scope

    def before_step(self, step: int, training: Training) -> None:
        left = sum(int(weight.count_nonzero()) for _, weight in named_weights(training.generator))
        if left < self.left:
            self.left = left
            self.cut(training, 1 - left / self.scope)

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"left": self.left}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.left = state["left"]
