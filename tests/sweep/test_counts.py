"""Layer by layer: what was there and what is left."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn

from bench.sweep.counts import layers_of
from bench.training.recovery import Recovered
from strategies.base import Pruned
from strategies.cut import LayerCut


def network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 2))


def left(generator: nn.Module, pruned: Pruned | None) -> dict[str, tuple[Any, ...]]:
    found = layers_of(network(), Recovered(generator, pruned))
    return {cut.name: (cut.kind, cut.weights, cut.kept, cut.width, cut.kept_width, cut.note) for cut in found}


def test_of_a_dense_network_everything_is_left() -> None:
    assert left(network(), None) == {
        "0": ("Linear", 12, 12, (4, 3), (4, 3), ""),
        "1": ("Linear", 16, 16, (4, 4), (4, 4), ""),
        "2": ("Linear", 16, 16, (4, 4), (4, 4), ""),
        "3": ("Linear", 8, 8, (2, 4), (2, 4), ""),
    }


def test_masks_shared_weights_and_layers_that_are_gone_are_counted_by_what_is_left_of_them() -> None:
    small = copy.deepcopy(network())
    small[1] = nn.Identity()
    mask = torch.ones(4, 3, dtype=torch.bool)
    mask[0] = False
    cuts = [LayerCut(name="3", kind="Linear", weights=8, kept=8, width=(2, 4), kept_width=(2, 4), note="stays")]
    pruned = Pruned(small, tuple(cuts), masks={"0": mask}, tied={"2": "0"})
    assert left(small, pruned) == {
        "0": ("Linear", 12, 9, (4, 3), (4, 3), ""),
        "1": ("Linear", 16, 0, (4, 4), (0, 0), ""),
        "2": ("Linear", 16, 0, (4, 4), (4, 4), ""),
        "3": ("Linear", 8, 8, (2, 4), (2, 4), "stays"),
    }


def test_of_a_smaller_layer_its_own_weights_are_left() -> None:
    small = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 4), nn.Linear(4, 4), nn.Linear(4, 2))
    found = left(small, Pruned(small, ()))
    assert [found[name][2] for name in "0123"] == [6, 8, 16, 8]
    assert [found[name][4] for name in "01"] == [(2, 3), (4, 2)]
