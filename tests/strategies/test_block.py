"""Blocks that become the identity."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from strategies.allocation import global_
from strategies.base import Context, Infeasible, Level, NotApplicable
from strategies.composition import Strategy
from strategies.criteria import l1, random
from strategies.criteria.structure import removal
from strategies.granularity.block import block, removable_blocks
from strategies.layers import prunable_layers
from tests.strategies.nets import context, context_of


class Block(nn.Module):
    """x + s w x"""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.inner = nn.Conv2d(4, 4, 1, bias=False)
        with torch.no_grad():
            self.inner.weight.copy_(scale * torch.eye(4)[:, :, None, None])

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.inner(x)
        return y


class Resnet(nn.Module):
    """A stem of 8 weights, three blocks of 16, a head of 4: 60 in all."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(2, 4, 1, bias=False)
        self.body = nn.Sequential(Block(1.0), Block(0.1), Block(-0.5))
        self.head = nn.Conv2d(4, 1, 1, bias=False)
        nn.init.ones_(self.stem.weight)
        nn.init.ones_(self.head.weight)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.head(self.body(self.stem(x)))
        return y


X = (torch.tensor([1.0, -0.5]).reshape(1, 2, 1, 1).expand(2, 2, 3, 3),)


def found(model: nn.Module) -> Context:
    return replace(context(model, X), draw_inputs=lambda n, rng: X)


SWEEP = Strategy("removal-block", removal, block, global_)


def test_blocks_are_found_by_their_shapes_and_containers_are_looked_into() -> None:
    assert removable_blocks(Resnet(), X) == ("body.0", "body.1", "body.2")


def test_a_repeated_layer_is_a_block_too() -> None:
    model = nn.Sequential(nn.Linear(3, 5), nn.Linear(5, 5), nn.Linear(5, 5), nn.Linear(5, 2))
    assert removable_blocks(model, (torch.randn(2, 3),)) == ("1", "2")


def test_a_module_that_is_called_twice_is_not_a_block() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(3, 3), nn.Linear(3, 2)

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.b(self.a(self.a(x)))
            return y

    assert removable_blocks(Twice(), (torch.randn(2, 3),)) == ()


def test_the_sweep_scores_a_block_by_what_the_output_loses_without_it() -> None:
    """Input (1, -.5): the stem gives .5 in each of 4 channels, the head adds them up: 2 * 2 * 1.1 * .5 = 2.2.
    Without the first block 1.1, the second 2, the third 4.4: squares 1.21, .04 and 4.84."""
    scores = removal(found(Resnet()))
    assert [float(scores[f"body.{k}"]) for k in range(3)] == pytest.approx([1.21, 0.04, 4.84], rel=1e-5)


def test_the_least_important_blocks_go_and_the_network_is_smaller() -> None:
    model = Resnet()
    ranking = SWEEP.rank(found(model))
    pruned = SWEEP.decide(ranking, Level.sparsity(0.3), "params").apply(model)
    assert pruned.bypassed == ("body.1",)
    assert pruned.physical
    assert sum(p.numel() for p in pruned.generator.parameters()) == 44
    assert pruned.generator(*X).detach()[0, 0, 0, 0].item() == pytest.approx(2.0)
    kept = {cut.name: (cut.kept, cut.kept_width) for cut in pruned.layers}
    assert kept["body.1.inner"] == (0, (0, 0))
    assert kept["body.0.inner"] == (16, (4, 4))
    assert isinstance(model.body[1], Block)  # the dense one is as it was


@pytest.mark.parametrize(("asked", "blocks"), [(0.1, 0), (0.2, 1), (0.45, 2), (0.75, 3)])
def test_the_nearest_number_of_blocks_goes(asked: float, blocks: int) -> None:
    removed = SWEEP.decide(SWEEP.rank(found(Resnet())), Level.sparsity(asked), "params")
    assert removed.sparsity("params") == pytest.approx(blocks * 16 / 60)


def test_more_than_all_blocks_is_infeasible_with_the_maximum() -> None:
    with pytest.raises(Infeasible) as error:
        SWEEP.rank(found(Resnet())).cut(0.9, "params")
    assert error.value.maximum == pytest.approx(48 / 60)


@pytest.mark.parametrize("criterion", [l1, random], ids=lambda c: c.name)
def test_other_criteria_score_a_block_by_the_mean_of_its_weights(criterion: object) -> None:
    ranking = Strategy("own", criterion, block, global_).rank(found(Resnet()))  # type: ignore[arg-type]
    assert set(ranking.blocks) == {"body.0", "body.1", "body.2"}  # type: ignore[attr-defined]
    if criterion is l1:
        assert ranking.blocks == ("body.1", "body.2", "body.0")  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["dcgan", "mlp"])
def test_where_every_layer_changes_the_shape_it_is_not_applicable(name: str) -> None:
    with pytest.raises(NotApplicable, match="gives back the shape"):
        Strategy("l1-block", l1, block, global_).rank(context_of(name))


def test_a_block_cannot_be_held_back_in_training() -> None:
    removed = SWEEP.rank(found(Resnet())).cut(0.3, "params")
    with pytest.raises(NotApplicable, match="one shot"):
        removed.hold(copy.deepcopy(Resnet()))
    assert len(prunable_layers(Resnet())) == 5
