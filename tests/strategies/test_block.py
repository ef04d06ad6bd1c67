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


class Uneven(nn.Module):
    """Blocks of 4, 9 + 9 and 1 weights that are all alike in one of them, on 3 numbers a row."""

    def __init__(self, guarded: bool = False) -> None:
        super().__init__()
        self.small = nn.Conv1d(1, 1, 3, padding=1, bias=False)
        self.large = nn.Sequential(nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False))
        self.guarded = guarded
        for layer, value in ((self.small, 2.0), (self.large[0], 1.0), (self.large[1], -1.5)):
            nn.init.constant_(layer.weight, value)

    def forward(self, x: Tensor) -> Tensor:
        x = self.small(x)
        if self.guarded and isinstance(self.small, nn.Identity):
            x = 2 * x
        y: Tensor = self.large(x)
        return y


ROWS = (torch.ones(1, 1, 3),)


def test_a_block_has_the_mean_score_of_its_weights_whatever_their_number_and_its_own_shares() -> None:
    model = Uneven()
    ranking = block.rank(context(model, ROWS), l1, global_)
    assert ranking.blocks == ("large.0", "large.1", "small")
    assert ranking.priorities.tolist() == [1.0, 1.5, 2.0]
    # Of 21 weights and 3 * 3 + 9 + 9 = 27 products.
    assert ranking.shares["params"].tolist() == pytest.approx([0, 9 / 21, 18 / 21, 1])
    assert ranking.shares["macs"].tolist() == pytest.approx([0, 9 / 27, 18 / 27, 1])


@pytest.mark.parametrize(("value", "gone"), [(1.0, 0), (1.1, 1), (1.5, 1), (2.0, 2), (2.5, 3)])
def test_at_a_threshold_go_the_blocks_below_it(value: float, gone: int) -> None:
    removal = block.rank(context(Uneven(), ROWS), l1, global_).at(value)
    assert removal.blocks == ("large.0", "large.1", "small")[:gone]


def test_blocks_of_one_priority_go_in_the_order_of_the_network() -> None:
    def alike(values: dict[str, Tensor], layout: object) -> dict[str, Tensor]:
        return {name: torch.zeros(1) for name in values}

    ranking = block.rank(context(Resnet(), X), l1, replace(global_, prioritise=alike))
    assert ranking.blocks == ("body.0", "body.1", "body.2")


def test_a_block_without_which_the_network_computes_something_else_again_is_refused() -> None:
    removal = block.rank(context(Uneven(guarded=True), ROWS), l1, global_).at(9.0)
    with pytest.raises(NotApplicable, match=r"without large.0, large.1, small the output is not that of the dense"):
        removal.apply(Uneven(guarded=True))
    assert removal.apply(Uneven()).bypassed == ("large.0", "large.1", "small")


def test_a_block_whose_absence_makes_the_forward_pass_fail_or_its_output_infinite_is_no_candidate() -> None:
    class Needs(nn.Module):
        """The first block's weight is asked for, the second one keeps a logarithm finite, the third can go."""

        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.c = (nn.Linear(2, 2, bias=False) for _ in range(3))
            self.image = nn.Linear(2, 1)
            nn.init.eye_(self.a.weight)
            nn.init.constant_(self.b.weight, 1.0)

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.image(self.c(torch.log(self.b(self.a(x) + self.a.weight[0]))))
            return y

    x = (torch.tensor([[-1.0, 3.0]]),)  # + (1, 0): the sum is 3, the first number 0
    assert torch.isfinite(Needs()(*x)).all()
    assert removable_blocks(Needs(), x) == ("c",)


def test_two_blocks_that_cannot_go_together_save_no_more_than_one() -> None:
    class One(nn.Module):
        """One of its two blocks has to be there."""

        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False)
            self.image = nn.Linear(2, 1, bias=False)

        def forward(self, x: Tensor) -> Tensor:
            if isinstance(self.a, nn.Identity) and isinstance(self.b, nn.Identity):
                raise RuntimeError("nothing is left")
            y: Tensor = self.image(self.b(self.a(x)))
            return y

    ranking = block.rank(context(One(), (torch.ones(1, 2),)), l1, global_)
    assert ranking.shares["params"].tolist() == pytest.approx([0, 0.4, 0.4])
    assert ranking.shares["macs"].tolist() == pytest.approx([0, 0.4, 0.4])
    assert len(ranking.cut(0.39, "params").blocks) == 1
