"""Every strategy on every architecture: pruned and proven, masked, or a reason why not. Never a wrong number."""

from __future__ import annotations

import contextlib
import copy
import json
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from bench.measure.complexity import count_macs, count_products_fvcore
from strategies.base import Infeasible, NotApplicable
from strategies.builtin import STRATEGIES
from strategies.composition import Strategy
from strategies.granularity import channel as channel_module
from strategies.granularity import graph, wiring
from strategies.granularity.coupling import Group, couple
from strategies.granularity.proof import RANDOM_TRIES, Prover
from strategies.layers import named_weights, outputs, prunable_layers, tensors_of, widths
from strategies.slicing import shrink, twin_error
from strategies.tracing.trace import OUTPUT
from tests.architectures.catalogue import ARCHITECTURES, build, example_inputs
from tests.architectures.compatibility import (
    ONE_IMAGE,
    PLACE,
    context_of,
    coupled_once,
    coupling,
    dense,
    dense_layers,
    fit,
    one_of_each,
    plain,
    sections,
)
from tests.helpers.positions import positions

SPARSITIES = (0.3, 0.5, 0.8)
STALE = f"{PLACE.name} is not what happens now: run `python -m tests.architectures.compatibility` and read its diff"
names = pytest.mark.parametrize("name", list(ARCHITECTURES))


@pytest.fixture
def coupled() -> Iterator[None]:
    with coupled_once():
        yield


def first_rows(name: str) -> tuple[Tensor, ...]:
    return tuple(x[:1] for x in example_inputs(name))


def entries(model: nn.Module) -> int:
    return sum(weight.numel() for _, weight in named_weights(model))


def nonzero(model: nn.Module) -> int:
    return sum(int(weight.count_nonzero()) for _, weight in named_weights(model))


@names
def test_every_layer_is_offered_or_stays_dense_for_a_reason(name: str) -> None:
    found, expected = coupling(name), ARCHITECTURES[name]
    layers = prunable_layers(plain(name))
    made = {m.module for group in found.groups for m in group.members if m.side == "out" or m.side == "bias:0:out"}
    assert made & set(found.dense) == set()
    assert made | set(found.dense) >= set(layers)
    assert {layer for layer, reason in found.dense.items() if reason == OUTPUT} == set(expected.outputs)
    others = {layer: reason for layer, reason in found.dense.items() if layer not in expected.outputs}
    assert others.keys() == expected.dense.keys()
    assert all(part in others[layer] for layer, part in expected.dense.items())


@names
@pytest.mark.parametrize("keep", ["odd", "last"])
def test_the_compact_network_is_its_masked_twin(name: str, keep: str) -> None:
    groups = coupling(name).groups
    removed = {g.name: torch.arange(g.size - 1)[:: 2 if keep == "odd" else 1] for g in groups}
    kept = channel_module.kept_without(plain(name), groups, removed)
    compact = shrink(dense(name), kept)
    assert twin_error(dense(name), compact, kept, example_inputs(name)) <= 1e-9
    assert entries(compact) < entries(plain(name))
    with torch.no_grad(), torch.random.fork_rng():
        shapes = [x.shape for x in (outputs(compact, example_inputs(name)), outputs(dense(name), example_inputs(name)))]
    assert shapes[0] == shapes[1]
    for layer in ARCHITECTURES[name].outputs:
        assert widths(compact)[layer][0] == widths(plain(name))[layer][0]


@names
def test_kept_indices_alone_make_the_network_again(name: str) -> None:
    """As `bench.load` does: from a new network of the factory, JSON of indices, and a state dict."""
    groups = coupling(name).groups
    kept = channel_module.kept_without(plain(name), groups, {g.name: torch.arange(0, g.size - 1, 3) for g in groups})
    compact = shrink(dense(name), kept)
    text = json.dumps({module: {side: i.tolist() for side, i in sides.items()} for module, sides in kept.items()})
    read = {
        module: {side: torch.tensor(i, dtype=torch.long) for side, i in sides.items()}
        for module, sides in json.loads(text).items()
    }
    again = shrink(ARCHITECTURES[name].factory(), read)
    again.load_state_dict(compact.state_dict(), strict=True)
    with torch.no_grad():
        results = []
        for model in (compact, again):
            torch.manual_seed(0)
            results.append(outputs(model, example_inputs(name)))
    assert torch.equal(*results)


QUICK = [strategy for strategy in one_of_each() if not strategy.needs and strategy.levels.continuous]


@names
def test_every_kind_of_strategy_prunes_masks_or_says_why_not(name: str, coupled: None) -> None:
    for strategy in QUICK:
        _prune(name, strategy)


@pytest.mark.slow
@names
def test_all_strategies_prune_mask_or_say_why_not(name: str, coupled: None) -> None:
    for strategy in (STRATEGIES[s] for s in STRATEGIES):
        if strategy.levels.continuous:
            _prune(name, strategy)


def _prune(name: str, strategy: Strategy) -> None:
    several = len(list(tensors_of(plain(name)(*example_inputs(name))))) > 1
    if several and fit(name, strategy).reason == ONE_IMAGE:
        return  # a criterion that wants one image; a workload names one of the outputs
    try:
        ranking = strategy.rank(context_of(name))
    except NotApplicable as reason:
        assert str(reason)
        return
    for sparsity in SPARSITIES:
        try:
            removal = ranking.cut(sparsity, "params")
            pruned = removal.apply(dense(name))  # raises where the compact network is not its masked twin
        except Infeasible as error:
            assert error.maximum < sparsity
            continue
        except NotApplicable as reason:
            assert str(reason)
            continue
        kept = sum(cut.kept for cut in pruned.layers)
        assert 1 - removal.sparsity("params") == pytest.approx(kept / entries(plain(name)), abs=1e-9)
        if pruned.physical:
            assert kept == entries(pruned.generator)
        elif not pruned.tied:
            assert nonzero(pruned.generator) <= kept
        with torch.no_grad(), torch.random.fork_rng():
            assert torch.isfinite(outputs(pruned.generator, example_inputs(name))).all()


def test_the_page_on_compatibility_is_what_happens() -> None:
    page = PLACE.read_text(encoding="utf-8")
    for part in [*sections(quick=True), dense_layers()]:
        assert part in page, STALE


# Two ways of finding the same.


def as_sets(groups: tuple[Group, ...]) -> set[frozenset[frozenset[tuple[str, str, int]]]]:
    """Groups as sets of channels, channels as sets of (module, side, index): whatever they are called and numbered."""
    return {
        frozenset(
            frozenset(
                (m.module, m.side, int(i))
                for m in group.members
                for i in m.indices[m.channels == channel]
                if not m.side.startswith(".")
            )
            for channel in range(group.size)
        )
        for group in groups
    }


@pytest.mark.parametrize("name", ["dcgan", "mlp", "rrdb", "unet", "two-outputs"])
def test_following_the_channels_finds_the_groups_of_torch_pruning(name: str) -> None:
    model, inputs = plain(name), example_inputs(name)
    library = tuple(group for group in graph.find(model, inputs) if group.consumed)
    ours, _ = wiring.find(model, inputs)
    assert as_sets(ours) == as_sets(library)


@pytest.mark.parametrize("name", ["dcgan", "mlp"])
def test_where_torch_pruning_finds_all_its_groups_stand_in_its_order(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("nothing else should be asked")

    monkeypatch.setattr(wiring, "find", never)
    model, inputs = plain(name), example_inputs(name)
    expected = [group for group in graph.find(model, inputs) if group.consumed]
    order = list(prunable_layers(model))
    found = couple(model, inputs).groups
    assert [g.name for g in found] == sorted((g.name for g in expected), key=order.index)
    for group, other in zip(found, sorted(expected, key=lambda g: order.index(g.name)), strict=True):
        for mine, theirs in zip(group.members, other.members, strict=True):
            assert (mine.module, mine.side) == (theirs.module, theirs.side)
            assert torch.equal(mine.indices, theirs.indices) and torch.equal(mine.channels, theirs.channels)


def test_queries_and_keys_of_an_attention_lose_the_same_channels() -> None:
    (group,) = [g for g in coupling("sagan").groups if g.name == "attention.query"]
    by_module = {m.module: m.indices[m.channels.argsort()].tolist() for m in group.members if m.side == "out"}
    assert by_module == {"attention.query": [0, 1, 2, 3], "attention.key": [0, 1, 2, 3]}


def test_a_class_embedding_loses_the_gains_and_shifts_of_its_channel() -> None:
    (group,) = [g for g in coupling("cgan-embedding-bn").groups if g.name == "stem"]
    (table,) = [m for m in group.members if m.module == "norm.embed"]
    assert sorted(table.indices[table.channels == 3].tolist()) == [3, 3 + 16]
    assert ("norm", ".num_features") in {(m.module, m.side) for m in group.members}


def test_each_channel_behind_a_pixel_shuffle_is_four_filters() -> None:
    (group,) = [g for g in coupling("srgan").groups if g.name == "up.0"]
    (made,) = [m for m in group.members if m.module == "up.0"]
    assert group.size == 12
    assert made.indices[made.channels == 2].tolist() == [8, 9, 10, 11]


# Faults.


class _Leaking(nn.Module):
    """A channel is also used where no rule looks: its spectrum scales the image."""

    def __init__(self) -> None:
        super().__init__()
        self.head, self.image = nn.Linear(4, 6), nn.Linear(6, 3)

    def forward(self, z: Tensor) -> Tensor:
        h = torch.relu(self.head(z))
        return self.image(h) * torch.fft.fft(h).abs().mean()


def test_channels_that_reach_an_unknown_operator_stay_and_name_it() -> None:
    found = couple(_Leaking().eval(), (torch.randn(2, 4),))
    assert found.groups == ()
    assert found.dense["head"] == "reaches the operator _fft_r2c, which no rule follows"


class _Averaged(_Leaking):
    def forward(self, z: Tensor) -> Tensor:
        h = torch.relu(self.head(z))
        return self.image(h / (h.square().mean(1, keepdim=True) + 1e-8).sqrt())


def test_pixel_norm_keeps_its_channels() -> None:
    found = couple(_Averaged().eval(), (torch.randn(2, 4),))
    assert found.dense["head"] == "is averaged together with the other channels"


class _Summed(_Leaking):
    """The sum of what the channels hold, not of what is read of them: a trace cannot tell, the twin can."""

    def forward(self, z: Tensor) -> Tensor:
        h = torch.sigmoid(self.head(z))
        return self.image(h) * h.sum(1, keepdim=True)


def test_what_a_trace_cannot_tell_the_twin_does() -> None:
    found = couple(_Summed().eval(), (torch.randn(2, 4),))
    assert found.groups == ()
    assert "differs from its masked twin" in found.dense["head"]


class _Raising(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 3)

    def forward(self, z: Tensor) -> Tensor:
        raise RuntimeError("no forward pass today")


def test_a_network_that_does_not_run_has_nothing_to_offer_and_says_why() -> None:
    found = couple(_Raising(), (torch.randn(2, 2),))
    assert found.groups == ()
    assert found.dense == {"layer": "the forward pass cannot be followed: no forward pass today"}


def test_a_search_that_hangs_is_given_up() -> None:
    def forever() -> None:
        while True:
            with contextlib.suppress(Exception):  # what a library may do
                sum(range(1000))

    with pytest.raises(TimeoutError, match=r"not done after 0\.1 s"):
        graph.within(0.1, forever)


def test_after_a_search_that_hangs_the_channels_are_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(*_: object, **__: object) -> None:
        raise TimeoutError("not done")

    monkeypatch.setattr(graph, "find", slow)
    assert as_sets(couple(dense("unet"), example_inputs("unet")).groups) == as_sets(coupling("unet").groups)


def test_groups_that_only_work_alone_are_not_offered_together() -> None:
    """Both groups would set the same attribute: the second one stays dense."""

    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.width = 6
            self.a, self.b, self.c = nn.Linear(4, 6), nn.Linear(6, 6), nn.Linear(6, 3)

        def forward(self, z: Tensor) -> Tensor:
            h = torch.relu(self.a(z)) * torch.ones(self.a.out_features)
            h = torch.relu(self.b(h))
            assert self.a.out_features == 6 or self.b.out_features == 6
            return self.c(h)

    model = Shared().eval()
    inputs = (torch.randn(2, 4),)
    groups, _ = wiring.find(model, inputs)
    proven, refused = Prover(model, inputs).prove(groups)
    assert [g.name for g in proven] == ["a"]
    assert refused["b"].startswith("not together with other groups")


def test_a_proof_that_takes_too_long_leaves_dense_what_is_not_proven() -> None:
    model, inputs = dense("unet"), example_inputs("unet")
    groups, _ = wiring.find(model, inputs)
    proven, refused = Prover(model, inputs, limit=-1.0).prove(groups)
    assert proven == ()
    assert {refused[group.name] for group in groups if group.size > 1} == {"not proven to go within -1 s"}


def test_where_all_is_well_nothing_is_tried_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[object] = []
    attempt = Prover._try
    monkeypatch.setattr(Prover, "_try", lambda *given: tried.append(given) or attempt(*given))  # type: ignore[func-returns-value]
    groups, _ = wiring.find(dense("dcgan"), example_inputs("dcgan"))
    proven, _ = Prover(dense("dcgan"), example_inputs("dcgan")).prove(groups)
    assert len(proven) == len(groups) > 1
    assert len(tried) == RANDOM_TRIES + 1


def test_coupling_leaves_the_network_as_it_was() -> None:
    for name in ("sagan-sn-old", "sagan-sn", "stylegan2"):
        model = copy.deepcopy(build(name)).train()
        before = {key: value.clone() for key, value in model.state_dict().items()}
        couple(model, example_inputs(name))
        assert model.training and not any(m._forward_hooks for m in model.modules())
        assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


# MACs.


@names
def test_macs_of_the_layers_are_positions_times_weights(name: str) -> None:
    model = plain(name)
    uses = positions(model, first_rows(name))
    macs = count_macs(model, first_rows(name))
    assert macs.by_module == {layer: uses[layer] * weight.numel() for layer, weight in named_weights(model)}
    assert macs.uncounted == ()


OUTSIDE = {
    "sagan": 64 * 16 * (4 + 8),  # queries with keys, weights with values, keys and values pooled
    "stylegan2": 12 * (8 * 8) * 16 + 8 * (16 * 16) * 16,  # blurs of 4 x 4 taps
    "stylegan2-functional": 0,
}


@pytest.mark.parametrize("name", list(OUTSIDE))
def test_macs_outside_of_layers_are_those_counted_by_hand(name: str) -> None:
    assert count_macs(plain(name), first_rows(name)).outside == OUTSIDE[name]


@names
def test_fvcore_counts_the_same_products(name: str) -> None:
    pytest.importorskip("fvcore")
    assert count_products_fvcore(plain(name), first_rows(name)) == count_macs(plain(name), first_rows(name)).dense


@names
def test_effective_macs_skip_zeros_and_nothing_else(name: str) -> None:
    model = copy.deepcopy(plain(name))
    expected = count_macs(model, first_rows(name)).dense
    uses = positions(model, first_rows(name))
    with torch.no_grad():
        for layer, weight in named_weights(model):
            gone = torch.rand(weight.shape, generator=torch.Generator().manual_seed(0)) < 0.4
            expected -= uses[layer] * int((gone & (weight != 0)).sum())
            weight.masked_fill_(gone, 0.0)
    assert count_macs(model, first_rows(name)).effective == expected
