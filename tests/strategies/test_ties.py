"""A tensor that several layers use is one: scored, masked, cut and counted once, multiplied at each use."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bench.measure.coded import pack, unpack
from bench.measure.complexity import count_macs
from bench.measure.footprint import footprint
from bench.workloads.store import load_into, read_weights, write_weights
from strategies.base import Context, Infeasible, Level, NotApplicable, Pruned, Removal, Snapshot, Target
from strategies.builtin import STRATEGIES
from strategies.granularity.coupling import couple
from strategies.layers import holders, layer_uses, prunable_layers, ties, widths
from strategies.slicing import shrink
from strategies.work import work_of
from tests.strategies.nets import context as context_of
from tests.strategies.shared import SHARED, Judge, inputs, shared
from tests.strategies.test_schedule_hooks import Still

nets = pytest.mark.parametrize("net", list(SHARED))
ONE_SHOT = [name for name in STRATEGIES if STRATEGIES[name].schedule is None]
SCHEDULED = [name for name in STRATEGIES if STRATEGIES[name].schedule is not None]


def context(model: nn.Module) -> Context:
    def draw(count: int, rng: torch.Generator) -> tuple[Tensor, ...]:
        return (torch.randn(count, 16, generator=rng),)

    images = torch.randint(0, 255, (64, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    judge = Judge()
    start = Snapshot(copy.deepcopy(model), copy.deepcopy(judge))
    return replace(
        context_of(model, inputs()),
        draw_inputs=draw,
        images=images,
        discriminator=judge,
        rewind=start,
        initialisation=start,
    )


def cut(net: str, strategy: str, target: Target = "params", sparsity: float = 0.5) -> tuple[nn.Module, Removal, Pruned]:
    model, thing = shared(net), STRATEGIES[strategy]
    level = Level.sparsity(sparsity)
    if not thing.levels.continuous:
        assert thing.levels.knob is not None
        level = Level(thing.levels.knob, thing.levels.fixed[0])
    try:
        removal = thing.decide(thing.rank(context(model)), level, target)
        return model, removal, removal.apply(model)
    except (NotApplicable, Infeasible) as reason:
        pytest.skip(str(reason))


# What is counted.


def test_a_shared_weight_belongs_to_the_first_layer_that_holds_it() -> None:
    model = shared("blocks")
    assert list(prunable_layers(model)) == ["stem", "one.0", "one.2", "three.0", "three.2", "image"]
    assert ties(model) == {"two.0": "one.0", "two.2": "one.2"}
    assert holders(model)["one.0"] == ("one.0", "two.0")
    assert list(widths(model)) == list(layer_uses(model)) and "two.0" in widths(model)


def test_a_tie_is_the_tensors_and_not_the_values() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4))
    with torch.no_grad():
        model[1].weight.copy_(model[0].weight)
    model[2].weight = nn.Parameter(model[0].weight.data)  # another parameter over the same memory
    assert ties(model) == {"2": "0"}
    assert footprint(model).params == 2 * 16 + 3 * 4


def test_a_tie_of_normalised_layers_is_that_of_what_their_weights_are_made_of() -> None:
    model = nn.Sequential(*(nn.utils.parametrizations.spectral_norm(nn.Linear(4, 4)) for _ in range(3)))
    model[2].parametrizations.weight.original = model[0].parametrizations.weight.original
    assert ties(model) == {"2": "0"}


def test_macs_of_a_shared_weight_are_those_of_all_its_uses() -> None:
    work = work_of(shared("tied"), inputs())
    assert work.by_layer == {"stem": 16 * 192, "first": (16 + 64) * 144 * 9, "image": 64 * 36}
    assert work.entries["first"] == 144 * 9 and work.outside == 0


# What is removed.


@nets
@pytest.mark.parametrize("strategy", ["l1-weight-global", "l1-weight-uniform", "random-weight-uniform"])
def test_weights_of_strategy_and_control_go_at_the_very_level_that_is_asked_for(net: str, strategy: str) -> None:
    _, removal, pruned = cut(net, strategy)
    weights = footprint(pruned.generator)
    assert weights.weights_nonzero == weights.weights - round(0.5 * weights.weights)
    assert removal.sparsity("params") == 1 - weights.weights_nonzero / weights.weights
    assert set(pruned.masks) == set(prunable_layers(pruned.generator))


def _sparsity(pruned: Pruned, dense: nn.Module) -> float:
    sizes = footprint(pruned.generator).layers
    return 1 - sum(size.nonzero for name, size in sizes.items() if name not in pruned.tied) / footprint(dense).weights


@pytest.mark.parametrize("net", ["tied", "blocks"])
@pytest.mark.parametrize("strategy", ONE_SHOT)
def test_every_strategy_says_what_it_removes_of_a_network_that_shares(net: str, strategy: str) -> None:
    dense, removal, pruned = cut(net, strategy, sparsity=0.3)
    reached = _sparsity(pruned, dense)
    assert removal.sparsity("params") == pytest.approx(reached, abs=1e-9)
    assert sum(c.weights for c in pruned.layers) == footprint(dense).weights
    assert 1 - sum(c.kept for c in pruned.layers) / footprint(dense).weights == pytest.approx(reached, abs=1e-9)
    assert footprint(pruned.generator).params <= footprint(dense).params
    if not pruned.bypassed and not pruned.tied:
        assert ties(pruned.generator) == ties(dense)
    if pruned.codes:
        unpacked = unpack(pack(pruned.generator, pruned.codes))
        state = pruned.generator.state_dict()
        assert set(unpacked) == set(state) and all(torch.equal(unpacked[key], x) for key, x in state.items())


@nets
@pytest.mark.parametrize(
    "strategy", ["l1-weight-global", "random-weight-uniform", "l1-channel-uniform", "random-block"]
)
def test_multiplications_go_as_the_record_counts_them(net: str, strategy: str) -> None:
    dense, removal, pruned = cut(net, strategy, "macs", 0.3)
    effective = count_macs(pruned.generator, inputs()).effective
    assert removal.sparsity("macs") == pytest.approx(1 - effective / count_macs(dense, inputs()).dense, abs=1e-9)


@pytest.mark.parametrize(
    ("net", "groups"),
    [
        ("tied", [{"stem", "first", "second", "norm", "image", ""}]),
        ("autoencoder", [{"stem", "down", "up", "image"}, {"down", "up"}]),
        ("two-names", [{"stem", "a", "image"}]),
        ("blocks", [{"stem", "one.0", "two.0", "one.2", "two.2", "three.0", "three.2", "image"},
                    {"one.0", "two.0", "one.2", "two.2"}, {"three.0", "three.2"}]),
    ],
)  # fmt: skip
def test_channels_of_layers_that_share_are_cut_in_all_of_them(net: str, groups: list[set[str]]) -> None:
    dense, _, pruned = cut(net, "l1-channel-uniform")
    found = couple(dense, inputs())
    assert [{m.module for m in group.members} for group in found.groups] == groups
    assert ties(pruned.generator) == ties(dense)
    assert footprint(pruned.generator).params < footprint(dense).params


def test_layers_that_share_and_cannot_be_cut_stay_dense_with_the_reason() -> None:
    found = couple(shared("fixed-stem"), inputs())
    assert found.groups == ()
    assert found.dense["first"].startswith("shares its weight with second, and cannot be made smaller")


def test_a_cut_that_layers_would_see_differently_is_refused() -> None:
    with pytest.raises(ValueError, match=r"first\.weight and second\.weight are one tensor"):
        kept = {"first": {"in": torch.arange(5)}, "second": {"in": torch.arange(6)}}
        shrink(shared("tied"), kept)


def test_the_table_of_layers_names_the_tie_and_counts_its_weight_once() -> None:
    _, _, pruned = cut("tied", "random-weight-uniform")
    rows = {c.name: (c.weights, c.kept, c.note) for c in pruned.layers}
    assert rows["first"][:2] == (1296, 648)
    assert rows["second"] == (0, 0, "uses the weight of first, which is counted there")


def test_a_weight_lives_on_in_a_block_that_stays() -> None:
    model = shared("blocks")
    ranking = STRATEGIES["random-block"].rank(context(model))
    shares = ranking.shares["params"]  # type: ignore[attr-defined]
    gone = dict(zip(ranking.blocks, shares[1:] - shares[:-1], strict=True))  # type: ignore[attr-defined]
    first, second = (name for name in ranking.blocks if name in ("one.0", "two.0"))  # type: ignore[attr-defined]
    assert gone[first] == 0 and gone[second] == pytest.approx(1296 / footprint(model).weights)


@pytest.mark.parametrize("net", ["tied", "autoencoder", "blocks"])
@pytest.mark.parametrize("strategy", ["l1-channel-uniform", "l1-weight-global"])
def test_what_was_stored_is_the_same_network_again_and_shares_as_it_did(
    net: str, strategy: str, tmp_path: Path
) -> None:
    _, _, pruned = cut(net, strategy)
    write_weights(tmp_path / "generator.safetensors", pruned.generator.state_dict())
    again = shrink(shared(net), pruned.kept)
    load_into(again, read_weights(tmp_path / "generator.safetensors"), "the file")
    assert torch.equal(again(*inputs(3)), pruned.generator(*inputs(3)))
    assert ties(again) == ties(pruned.generator) != {}


# Schedules.


class Trained(Still):
    """A training whose network shares weights."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model)
        self.discriminator: Any = Judge()
        self.adversarial = True
        self.opt_d = torch.optim.Adam(self.discriminator.parameters())

    def move(self, rng: torch.Generator) -> None:
        with torch.no_grad():
            for parameter in [*self.generator.parameters(), *self.average.parameters()]:
                parameter.add_(torch.randn(parameter.shape, generator=rng), alpha=0.01)
                parameter.grad = torch.randn(parameter.shape, generator=rng)


@pytest.mark.parametrize("strategy", SCHEDULED)
def test_schedules_keep_ties_and_reach_their_level(strategy: str) -> None:
    thing, model, rng = STRATEGIES[strategy], shared("tied"), torch.Generator().manual_seed(0)
    assert thing.schedule is not None
    if thing.schedule.name == "performance":
        pytest.skip("waits for a game between G and D")
    level = Level.sparsity(0.4)
    if not thing.levels.continuous:
        assert thing.levels.knob is not None
        level = Level(thing.levels.knob, thing.levels.fixed[0])
    training: Any = Trained(model)
    hooks = thing.schedule.hooks(thing, context(model), level, "params", 12)
    for step in range(12):
        hooks.before_step(step, training)
        training.move(rng)
        if (pruned := hooks.after_step(step, training)) is not None:
            training.generator = pruned.generator
    assert hooks.pruned is not None
    if level.name == "sparsity":
        assert _sparsity(hooks.pruned, model) == pytest.approx(0.4, abs=0.06)
    assert ties(training.generator) == ties(training.average) == {"second": "first"}
