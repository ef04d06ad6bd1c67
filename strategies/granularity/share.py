"""Parameters shared: between layers of equal shape, and between G and the transposed layers of D."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from strategies.allocation import Allocation
from strategies.baking import plain, require_plain
from strategies.base import (
    Context,
    Criterion,
    Need,
    NotApplicable,
    Pruned,
    Removal,
    Target,
)
from strategies.granularity.units import layer_cuts, nearest
from strategies.keeping import OF_DISCRIMINATOR, follow, share
from strategies.layers import prunable_layers

ARROW = "<-"
"""``b<-a``: layer b takes the weight of a."""


@dataclass(frozen=True)
class ShareRemoval:
    """Layer -> the layer whose weight it takes; a layer of D is named ``discriminator:...``."""

    tied: dict[str, str]
    discriminator: nn.Module | None
    share: float
    """The share of the weights that is not stored once more."""

    def hold(self, model: nn.Module) -> None:
        """Tie, in place: two layers of G to the mean of both, a layer of G to the transpose of D's."""
        require_plain(model)
        tie(model, self.tied, self.discriminator)

    def apply(self, model: nn.Module) -> Pruned:
        dense = plain(model)
        pruned = copy.deepcopy(dense)
        self.hold(pruned)
        notes = {name: f"takes the weight of {owner}" for name, owner in self.tied.items()}
        cuts = layer_cuts(dense, pruned, dict.fromkeys(self.tied, 0), notes)
        return Pruned(pruned, cuts, tied=self.tied)

    def sparsity(self, target: Target) -> float:
        """Sharing saves storage, and not one multiplication."""
        return self.share if target == "params" else 0.0


@dataclass(frozen=True)
class ShareRanking:
    """Possible ties, the most alike first."""

    pairs: tuple[str, ...]
    priorities: NDArray[np.float64]
    sizes: dict[str, int]
    total: int
    discriminator: nn.Module | None

    @property
    def shares(self) -> dict[Target, NDArray[np.float64]]:
        """Share of the weights that is saved by each number of ties."""
        return {"params": np.array([self._first(count).share for count in range(len(self.pairs) + 1)])}

    def cut(self, sparsity: float, target: Target) -> ShareRemoval:
        if target == "macs":
            raise NotApplicable("sharing saves storage, not multiplications; use target params")
        return self._first(nearest(self.shares["params"], sparsity, target))

    def at(self, value: float) -> ShareRemoval:
        """The most alike ``value`` pairs that can be tied."""
        return self._first(round(value))

    def _first(self, count: int) -> ShareRemoval:
        """The first ``count`` pairs; a layer that already takes another's weight, or gives its own, is left out."""
        tied: dict[str, str] = {}
        for pair in self.pairs:
            layer, owner = pair.split(ARROW)
            if len(tied) < count and layer not in tied and owner not in tied and layer not in tied.values():
                tied[layer] = owner
        saved = sum(self.sizes[layer] for layer in tied)
        return ShareRemoval(tied, self.discriminator, saved / self.total)


@dataclass(frozen=True)
class ShareGranularity:
    """Pairs of layers of equal shape within G, or of layers of G with transposed ones of D (``with_d``).

    A pair's score is the criterion's for it, ``b<-a``; the criterion `unlike` gives their distance.
    """

    with_d: bool = False
    name: str = "share"

    @property
    def needs(self) -> frozenset[Need]:
        return frozenset({"discriminator"}) if self.with_d else frozenset()

    def rank(
        self, context: Context, criterion: Criterion, allocation: Allocation, after: Removal | None = None
    ) -> ShareRanking:
        pairs = shareable(context.generator, context.discriminator if self.with_d else None)
        if not pairs:
            with_whom = "the transpose of a linear layer of D" if self.with_d else "another of its own"
            raise NotApplicable(f"no layer of the generator has the shape of {with_whom}")
        scores = criterion(context)
        missing = [pair for pair in pairs if pair not in scores]
        if missing:
            raise ValueError(f"criterion {criterion.name!r} gave nothing for {missing[0]}, expected one score a pair")
        order = sorted(pairs, key=lambda pair: float(scores[pair]))
        layers = prunable_layers(context.generator)
        sizes = {name: layer.weight.numel() for name, layer in layers.items()}
        return ShareRanking(
            tuple(order),
            np.array([float(scores[pair]) for pair in order]),
            sizes,
            sum(sizes.values()),
            context.discriminator if self.with_d else None,
        )


def shareable(generator: nn.Module, discriminator: nn.Module | None) -> tuple[str, ...]:
    """``b<-a`` for every later layer b of the kind and shape of an earlier a; with D, for b the transpose of D's a."""
    layers = prunable_layers(generator)
    if discriminator is None:
        return tuple(
            f"{later}{ARROW}{early}"
            for early, later in combinations(layers, 2)
            if type(layers[early]) is type(layers[later]) and layers[early].weight.shape == layers[later].weight.shape
        )
    theirs = {n: layer for n, layer in prunable_layers(discriminator).items() if isinstance(layer, nn.Linear)}
    return tuple(
        f"{name}{ARROW}{OF_DISCRIMINATOR}{owner}"
        for name, layer in layers.items()
        for owner, their in theirs.items()
        if isinstance(layer, nn.Linear) and layer.weight.shape == their.weight.T.shape
    )


@torch.no_grad()
def tie(model: nn.Module, tied: dict[str, str], discriminator: nn.Module | None) -> None:
    """Tie, in place. Layers of G become one parameter, the mean of both; those of D are followed, not changed."""
    layers = prunable_layers(model)
    groups: dict[str, list[str]] = {}
    for name, owner in tied.items():
        if not owner.startswith(OF_DISCRIMINATOR):
            groups.setdefault(owner, []).append(name)
    for owner, names in groups.items():
        shared = layers[owner].weight
        stacked: list[Tensor] = [shared.detach(), *(layers[name].weight.detach() for name in names)]
        shared.copy_(torch.stack(stacked).mean(0))
    share(model, tied)
    follow(model, tied, discriminator)
