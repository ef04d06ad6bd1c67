"""The allocations that have files of their own: by hand, and against uniform."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from bench.workloads.builtin import BUILT_IN
from bench.workloads.checkpoints import load_checkpoint
from strategies.allocation import Allocation, Layout, uniform
from strategies.allocations.isomorphic import isomorphic, kind_of
from strategies.allocations.peroutput import peroutput
from strategies.allocations.squares import lamp_of_squares
from strategies.base import Context, NotApplicable
from strategies.builtin import STRATEGIES
from strategies.criteria import l1
from strategies.criteria.grouped import l2
from strategies.granularity.channel import channel
from strategies.granularity.coupling import couple
from strategies.granularity.grouped import group
from strategies.granularity.weight import weight
from strategies.rows import from_rows, to_rows
from tests.strategies.nets import context, context_of, layout_of

# Per output.


def per_output(layer: nn.Module, scores: Tensor) -> Tensor:
    model = nn.Sequential(layer)
    return peroutput({"0": scores.flatten()}, layout_of(model))["0"].view(scores.shape)


def test_each_row_of_a_linear_layer_is_ranked_by_itself() -> None:
    found = per_output(nn.Linear(4, 2), torch.tensor([[4.0, 1.0, 3.0, 2.0], [100.0, 300.0, 200.0, 400.0]]))
    assert found.tolist() == [[0.875, 0.125, 0.625, 0.375], [0.125, 0.625, 0.375, 0.875]]


def test_what_makes_an_output_of_a_transposed_layer_lies_along_its_inputs() -> None:
    scores = torch.tensor([[1.0, 30.0], [2.0, 20.0], [3.0, 10.0]])  # three inputs, two outputs
    found = per_output(nn.ConvTranspose2d(3, 2, 1), scores.view(3, 2, 1, 1)).view(3, 2)
    assert found.T.flatten().tolist() == pytest.approx([1 / 6, 3 / 6, 5 / 6, 5 / 6, 3 / 6, 1 / 6])


LAYERS = {
    "linear": lambda: nn.Linear(4, 6),
    "conv": lambda: nn.Conv2d(4, 6, 3),
    "grouped": lambda: nn.Conv2d(4, 6, (3, 2), groups=2),
    "transposed": lambda: nn.ConvTranspose2d(4, 6, 3),
    "grouped-transposed": lambda: nn.ConvTranspose2d(4, 6, (3, 2), groups=2),
    "each": lambda: nn.ConvTranspose1d(4, 8, 3, groups=4),
}


@pytest.mark.parametrize("name", list(LAYERS))
def test_a_row_is_all_that_reaches_one_output(name: str) -> None:
    """Without the weights of one row, one output channel is its bias, and no other has changed."""
    layer = LAYERS[name]()
    x = torch.rand(2, 4) if name == "linear" else torch.rand(2, 4, *[5] * (layer.weight.ndim - 2))
    rows = to_rows(layer.weight.detach(), layer)
    assert torch.equal(from_rows(rows, layer, layer.weight.shape), layer.weight)
    with torch.no_grad():
        before, outputs = layer(x), rows.shape[0] * rows.shape[1]
        assert before.shape[1] == outputs
        for k in range(outputs):
            less = rows.clone()
            less[k // rows.shape[1], k % rows.shape[1]] = 0.0
            other = copy.deepcopy(layer)
            other.weight.copy_(from_rows(less, layer, layer.weight.shape))
            changed = (other(x) - before).abs().transpose(0, 1).flatten(1).amax(1) > 1e-6
            assert changed.nonzero().flatten().tolist() == [k]
            assert torch.allclose(other(x)[:, k], layer.bias[k])


def test_every_output_loses_the_same_share() -> None:
    found = context_of("dcgan")
    masks = weight.rank(found, l1, peroutput).cut(0.5, "params").masks
    layers = dict(found.generator.named_modules())
    for name, mask in masks.items():
        rows = to_rows(mask.double(), layers[name]).flatten(2)
        kept = rows.sum(2) / rows.shape[2]
        assert kept.max() - kept.min() <= 1 / rows.shape[2] + 1e-12
        assert abs(float(kept.mean()) - 0.5) <= 1 / rows.shape[2]


def test_equal_scores_go_in_their_own_order() -> None:
    assert per_output(nn.Linear(3, 1), torch.zeros(1, 3))[0].tolist() == pytest.approx([1 / 6, 3 / 6, 5 / 6])


def test_channels_have_no_weights_of_one_output() -> None:
    with pytest.raises(NotApplicable, match="single weights"):
        channel.rank(context_of("mlp"), l1, peroutput)


# Isomorphic.


class Blocks(nn.Module):
    """Three residual blocks of one shape inside, one of another."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.ConvTranspose2d(5, 8, 4)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Conv2d(8, 6, size, padding=size // 2), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 8, 1))
            for size in (3, 3, 3, 1)
        )
        self.image = nn.Conv2d(8, 1, 1)

    def forward(self, z: Tensor) -> Tensor:
        x = self.stem(z[:, :, None, None])
        for block in self.blocks:
            x = x + block(x)
        image: Tensor = self.image(x)
        return image


def repeated() -> Context:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = Blocks().eval()
        with torch.no_grad():
            model.blocks[1][0].weight.mul_(3.0)  # type: ignore[index]
    return context(model, (torch.randn(2, 5),))


def layout_for(found: Context) -> Layout:
    return replace(layout_of(found.generator), context=found)


def test_groups_of_one_kind_are_ranked_together_and_others_by_themselves() -> None:
    found = repeated()
    names = [f"blocks.{k}.0" for k in range(4)]
    kinds = {g.name: kind_of(g, found.generator) for g in couple(found.generator, found.example_inputs).groups}
    assert kinds[names[0]] == kinds[names[1]] == kinds[names[2]]
    assert len(set(kinds.values())) == 3  # the trunk, the blocks, the block of another kernel
    scores = {name: torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]) * 10**k for k, name in enumerate(names)}
    priorities = isomorphic(scores, layout_for(found))
    assert list(priorities) == names
    assert torch.cat([priorities[name] for name in names[:3]]).tolist() == pytest.approx(
        [(k + 0.5) / 18 for k in range(18)]
    )
    assert priorities[names[3]].tolist() == pytest.approx([(k + 0.5) / 6 for k in range(6)])


def test_each_kind_loses_the_same_share_and_its_blocks_do_not() -> None:
    found = repeated()
    removal = group.rank(found, l2, isomorphic).cut(0.5, "params")
    gone = {name: len(channels) for name, channels in removal.removed.items()}
    (trunk,) = (g for g in couple(found.generator, found.example_inputs).groups if g.size == 8)
    share = gone[trunk.name] / 8
    inner = [gone[f"blocks.{k}.0"] for k in range(3)]
    assert abs(sum(inner) / 18 - share) <= 1 / 8 and abs(gone["blocks.3.0"] / 6 - share) <= 1 / 6 + 1 / 8
    assert inner[1] == min(inner) < max(inner)  # its weights are three times as large
    other = group.rank(found, l2, uniform).cut(0.5, "params").removed
    assert max(len(other[f"blocks.{k}.0"]) for k in range(3)) - min(len(other[f"blocks.{k}.0"]) for k in range(3)) <= 1


def test_where_no_two_groups_are_alike_it_is_uniform() -> None:
    """Those of `mnist-dcgan` are not: the same kinds of layers, of other sizes."""
    workload = BUILT_IN["mnist-dcgan"]
    found = context(load_checkpoint(workload).generator, (torch.randn(2, 64),))
    one, other = (group.rank(found, l2, allocation) for allocation in (isomorphic, uniform))
    assert one.order == other.order
    assert (one.priorities == other.priorities).all()


def test_single_weights_are_ranked_among_layers_of_one_shape() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 3))
    scores = {"0": torch.tensor([1.0, 3.0, 5.0, 7.0]), "1": torch.tensor([2.0, 4.0, 6.0, 8.0]), "2": torch.arange(6.0)}
    found = isomorphic(scores, layout_for(context(model.eval(), (torch.ones(2, 2),))))
    assert found["0"].tolist() == [0.0625, 0.3125, 0.5625, 0.8125]
    assert found["1"].tolist() == [0.1875, 0.4375, 0.6875, 0.9375]
    assert found["2"].tolist() == pytest.approx([(k + 0.5) / 6 for k in range(6)])


# LAMP of sums of squares.


def test_lamp_of_sums_of_squares_is_a_share_of_those_that_are_as_large() -> None:
    """3, 1, 2: 1 / 6, 2 / 5, 3 / 3."""
    found = lamp_of_squares({"a": torch.tensor([3.0, 1.0, 2.0])}, layout_of(nn.Identity()))["a"]
    assert found.tolist() == pytest.approx([1.0, 1 / 6, 2 / 5])


def test_allocations_are_told_apart_by_their_formula() -> None:
    used: dict[str, Allocation] = {}
    for name in STRATEGIES:
        allocation = STRATEGIES[name].allocation
        assert used.setdefault(allocation.formula, allocation) is allocation
