"""What is done for a pruned network, and that it is the same for all of them."""

from __future__ import annotations

import functools
import math
import re
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from bench.base.seeds import stream
from bench.records import CurvePoint
from bench.records.paths import safe
from bench.training.recovery import Recovered, Recovery, Scheduled, parse_recovery, recover
from bench.workloads.base import InputSpec, Workload
from bench.workloads.builtin import DUMMY
from bench.workloads.checkpoints import Checkpoint, load_checkpoint
from bench.workloads.data import DATA_SOURCES
from bench.workloads.loaded import Gan
from bench.workloads.networks import MlpDiscriminator, MlpGenerator
from bench.workloads.recipe import Recipe, TrainingSpec
from strategies.base import Context, Level, NotApplicable, Pruned
from strategies.builtin import STRATEGIES
from strategies.composition import Strategy
from strategies.layers import named_weights
from tests.helpers.properties import examples

NONE, CALIBRATED, TRAINED = (parse_recovery(name) for name in ("none", "bn-recalibrate", "finetune-6"))
EVERYSTEP = STRATEGIES["rownorm-channel+everystep"]

PLAIN = Workload(
    name="plain",
    summary="no BatchNorm, dropout in D",
    generator=lambda: MlpGenerator(8, (12, 10), 8),
    discriminator=lambda: MlpDiscriminator((12, 10), 8),
    inputs=InputSpec(latent=8),
    data="dummy-blobs",
    extractor="dummy-judge",
    recipe=Recipe(spec=TrainingSpec(loss="hinge", batch_size=16, lr=1e-3, ema_decay=0.9), steps=20),
    weights="initialisation",
)

WORKLOADS = {"dummy": DUMMY, "plain": PLAIN}


@functools.cache
def checkpoint(name: str) -> Checkpoint:
    return load_checkpoint(WORKLOADS[name])


def gan(name: str) -> Gan:
    return Gan(WORKLOADS[name], checkpoint(name), DATA_SOURCES[WORKLOADS[name].data]())


def context(name: str) -> Context:
    workload = WORKLOADS[name]
    example = workload.inputs.sample(2, stream(0, "prune", "example"))
    return Context(checkpoint(name).generator, example, stream(0, "prune"))


def pruned(name: str, strategy: str, sparsity: float = 0.5) -> Pruned:
    thing: Strategy = STRATEGIES[strategy]
    return thing.rank(context(name)).cut(sparsity, "params").apply(checkpoint(name).generator)


def recovered(name: str, recovery: Recovery, *, seed: int = 0, start: Pruned | None = None) -> Recovered:
    return recover(recovery, gan(name), start, seed=seed)


def scheduled(name: str, level: Level, recovery: Recovery = TRAINED, *, target: str = "params") -> Recovered:
    start = Scheduled(EVERYSTEP, context(name), level, target)  # type: ignore[arg-type]
    return recover(recovery, gan(name), start, seed=0)


def same(one: nn.Module, other: nn.Module) -> bool:
    first, second = one.state_dict(), other.state_dict()
    return list(first) == list(second) and all(torch.equal(value, second[key]) for key, value in first.items())


def statistics(model: nn.Module) -> list[Tensor]:
    return [value for name, value in model.named_buffers() if "running" in name]


# Names.


FATES = ("", "-d.frozen", "-d.reset", "-d.pruned", "-d.adapt", "-d.sparse0.5")
LESSONS = ("output", "feature", "dfeature")
EVERY = [
    *("none", "bn-recalibrate"),
    *(f"finetune-6{fate}" for fate in FATES),
    *(f"finetune-6-distil.{lesson}" for lesson in LESSONS),
    *(f"distil-6-{lesson}" for lesson in LESSONS),
    "finetune-6-d.adapt-distil.feature",
]


@pytest.mark.parametrize(
    "name", [*EVERY, "finetune-1", "finetune-200-d.sparse0.0625", "finetune-9-d.reset-distil.output"]
)
def test_a_name_and_its_recovery_are_one_to_one(name: str) -> None:
    assert parse_recovery(name).name == name


recoveries = st.one_of(
    st.builds(Recovery, calibrate=st.booleans()),
    st.builds(
        Recovery,
        st.integers(1, 10**9),
        st.sampled_from(["original", "frozen", "reset", "pruned", "adapt"]),
        distil=st.sampled_from([None, "output", "feature", "dfeature"]),
    ),
    st.builds(
        Recovery,
        st.integers(1, 10**9),
        st.just("sparse"),
        d_sparsity=st.integers(1, 9999).map(lambda parts: parts / 10_000),
        distil=st.sampled_from([None, "output", "feature", "dfeature"]),
    ),
    st.builds(
        Recovery,
        st.integers(1, 10**9),
        distil=st.sampled_from(["output", "feature", "dfeature"]),
        adversarial=st.just(False),
    ),
)


@examples(100)
@given(recoveries)
def test_every_recovery_is_found_again_by_its_name(recovery: Recovery) -> None:
    assert parse_recovery(recovery.name) == recovery
    assert re.fullmatch(r"[a-z0-9._-]+", recovery.name)
    assert safe(recovery.name) == recovery.name


pieces = st.sampled_from(
    [*("d.frozen", "d.sparse0.5", "d.sparse0.50", "d.sparse1.5", "d.adapt", "distil.output", "distil.", "output", "")]
)


@examples(100)
@given(st.sampled_from(["finetune", "distil"]), st.sampled_from(["0", "3", "03"]), st.lists(pieces, max_size=3))
def test_a_name_that_is_understood_is_the_name_of_what_it_means(kind: str, steps: str, rest: list[str]) -> None:
    name = "-".join([kind, steps, *rest])
    try:
        found = parse_recovery(name)
    except ValueError:
        return
    assert found.name == name


@pytest.mark.parametrize(
    "fields",
    [
        {"discriminator": "frozen"},
        {"distil": "output"},
        {"steps": 3, "calibrate": False},
        {"steps": 3, "adversarial": False},
        {"steps": 3, "adversarial": False, "distil": "output", "discriminator": "reset"},
        {"steps": 3, "discriminator": "sparse"},
        {"steps": 3, "d_sparsity": 0.5},
        {"steps": 3, "discriminator": "sparse", "d_sparsity": 0.12345},
        {"steps": 3, "discriminator": "sparse", "d_sparsity": 1.0},
    ],
)
def test_what_has_no_name_is_no_recovery(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        Recovery(**fields)


@pytest.mark.parametrize(
    "name",
    [
        *("", "None", "bn", "finetune", "finetune-", "finetune-0", "finetune-010", "finetune--5", "finetune-1.5"),
        *("finetune-5-d.thawed", "finetune-5-d.frozen-x", " finetune-5", "finetune-5\n", "finetune-٣", "distil-5"),
        *("distil-5-pixels", "distil-0-output", "distil-5-output-d.frozen", "finetune-5-distil.output-d.frozen"),
        *("finetune-5-d.sparse0", "finetune-5-d.sparse1", "finetune-5-d.sparse0.50", "finetune-5-d.sparse0.12345"),
        *("finetune-5-d.sparse.5", "finetune-5-d.frozen-d.pruned", "finetune-5-output", "bn-recalibrate-d.frozen"),
        *("compensate-", "compensate-none", "compensate-bn-recalibrate", "compensate-compensate", "compensate-5"),
        *("compensate-compensate-finetune-5", "finetune-5-compensate"),
    ],
)
def test_a_bad_name_is_refused_with_the_known_ones(name: str) -> None:
    with pytest.raises(ValueError, match=r"Known: none, bn-recalibrate, compensate .*, finetune-N"):
        parse_recovery(name)


def test_every_recovery_but_none_ends_with_calibration() -> None:
    assert [r.calibrate for r in (NONE, CALIBRATED, TRAINED)] == [False, True, True]


def test_the_streams_are_those_that_the_network_uses() -> None:
    with_norm, without = checkpoint("dummy").generator, checkpoint("plain").generator
    assert [r.streams(with_norm) for r in (NONE, CALIBRATED, TRAINED)] == [set(), {"calibrate"}, {"train", "calibrate"}]
    assert [r.streams(without) for r in (NONE, CALIBRATED, TRAINED)] == [set(), set(), {"train"}]
    compensated = parse_recovery("compensate"), parse_recovery("compensate-finetune-6")
    assert [r.streams(without) for r in compensated] == [{"calibrate"}, {"train", "calibrate"}]
    assert [r.streams(without, pruned=False) for r in compensated] == [set(), {"train"}]


# Without training.


@pytest.mark.parametrize("name", list(WORKLOADS))
@pytest.mark.parametrize("strategy", [None, "l1-weight-global", "l1-channel-global"])
def test_none_leaves_every_bit_as_it_was(name: str, strategy: str | None) -> None:
    start = pruned(name, strategy) if strategy else None
    found = recovered(name, NONE, start=start)
    assert same(found.generator, start.generator if start else checkpoint(name).generator)
    assert (found.pruned, found.images, found.curve) == (start, 0, ())


def test_recalibration_is_a_no_op_without_batchnorm() -> None:
    start = pruned("plain", "l1-weight-global")
    assert same(recovered("plain", CALIBRATED, start=start).generator, start.generator)


@pytest.mark.parametrize("strategy", [None, "l1-weight-global", "l1-channel-global"])
def test_recalibration_changes_statistics_and_nothing_else(strategy: str | None) -> None:
    start = pruned("dummy", strategy) if strategy else None
    before = start.generator if start else checkpoint("dummy").generator
    after = recovered("dummy", CALIBRATED, start=start).generator
    assert all(torch.equal(a, b) for a, b in zip(before.parameters(), after.parameters(), strict=True))
    assert all(not torch.equal(a, b) for a, b in zip(statistics(before), statistics(after), strict=True))


def test_recalibration_follows_its_seed() -> None:
    first, again, other = (recovered("dummy", CALIBRATED, seed=seed).generator for seed in (0, 0, 1))
    assert same(first, again)
    assert not same(first, other)


# With training.


@pytest.mark.parametrize("name", list(WORKLOADS))
@pytest.mark.parametrize("recovery", EVERY)
def test_dense_goes_through_every_recovery_and_comes_out_ready_for_use(name: str, recovery: str) -> None:
    found = recovered(name, parse_recovery(recovery))
    assert found.pruned is None
    assert not any(m.training for m in found.generator.modules())
    assert not any(p.requires_grad for p in found.generator.parameters())
    assert len(found.curve) == parse_recovery(recovery).steps
    trained = not same(found.generator, checkpoint(name).generator)
    # Dense is its own teacher: without D, and without BatchNorm's batches to tell them apart, nothing is to be learnt.
    assert trained == (recovery != "none" and (name == "dummy" or "finetune" in recovery))


@pytest.mark.parametrize("recovery", ["none", "bn-recalibrate", "finetune-3"])
def test_the_checkpoint_stays_as_it_is(recovery: str) -> None:
    before = load_checkpoint(DUMMY)
    recovered("dummy", parse_recovery(recovery), start=pruned("dummy", "l1-weight-global"))
    scheduled("dummy", Level.sparsity(0.3))
    for one, other in (
        (before.generator, checkpoint("dummy").generator),
        (before.discriminator, checkpoint("dummy").discriminator),
    ):
        assert one is not None and other is not None
        assert same(one, other)
        assert one.training is other.training is False


@pytest.mark.parametrize("recovery", EVERY[2:])
@pytest.mark.parametrize("name", list(WORKLOADS))
def test_masked_weights_are_exactly_zero_after_training(name: str, recovery: str) -> None:
    start = pruned(name, "l1-weight-global", 0.7)
    found = recovered(name, parse_recovery(recovery), start=start)
    for layer, values in named_weights(found.generator):
        mask = start.masks[layer]
        assert not values[~mask].any()
        assert values[mask].all()
    moved = [
        not torch.equal(a, b) for a, b in zip(found.generator.parameters(), start.generator.parameters(), strict=True)
    ]
    assert all(moved)


@pytest.mark.parametrize("recovery", EVERY[2:])
def test_a_physically_smaller_network_is_trained_as_it_is(recovery: str) -> None:
    start = pruned("dummy", "l1-channel-global")
    found = recovered("dummy", parse_recovery(recovery), start=start)
    assert [p.shape for p in found.generator.parameters()] == [p.shape for p in start.generator.parameters()]
    assert not same(found.generator, start.generator)


def test_training_is_reproducible_and_follows_its_seed() -> None:
    first, again, other = (recovered("plain", TRAINED, seed=seed) for seed in (0, 0, 1))
    assert same(first.generator, again.generator)
    assert first.curve == again.curve
    assert not same(first.generator, other.generator)


def test_a_frozen_discriminator_leads_elsewhere() -> None:
    frozen, trained = (recovered("plain", parse_recovery(f"finetune-6{end}")) for end in ("-d.frozen", ""))
    assert frozen.curve[0].loss_g != trained.curve[0].loss_g  # D's first step comes before G's
    assert frozen.curve[0].loss_d == trained.curve[0].loss_d
    assert not same(frozen.generator, trained.generator)


@pytest.mark.parametrize("target", ["params", "macs"])
def test_pruning_in_every_step_reaches_its_target(target: str) -> None:
    found = scheduled("dummy", Level.sparsity(0.5), target=target)
    assert found.pruned is not None and found.pruned.generator is found.generator
    # Uses of each weight for one image: 1, 16 and 16 positions.
    worth = {"net.0": 1, "net.3": 16, "net.6": 16} if target == "macs" else {}
    left, whole = (
        sum(w.numel() * worth.get(layer, 1) for layer, w in named_weights(g))
        for g in (found.generator, checkpoint("dummy").generator)
    )
    assert {cut.name: cut.kept for cut in found.pruned.layers} == {
        layer: w.numel() for layer, w in named_weights(found.generator)
    }
    # The channel that weighs the most: what makes it and what reads it.
    most = max(8 * 16 * worth.get("net.0", 1) + 10 * 9 * worth.get("net.3", 1), (12 * 9 + 16) * worth.get("net.3", 1))
    assert abs(1 - left / whole - 0.5) <= most / whole / 2


def test_pruning_below_a_threshold_takes_the_rows_below_it() -> None:
    norms = dict(named_weights(checkpoint("plain").generator))["net.0"].norm(dim=1)
    threshold = float(norms.sort().values[:6].mean())
    found = scheduled("plain", Level("threshold", threshold))
    assert found.pruned is not None
    after = dict(named_weights(found.generator))["net.0"]
    assert 0 < len(after) < 12
    assert found.pruned.kept["net.0"]["out"].shape == (len(after),)


@pytest.mark.parametrize(
    "name", ["rownorm-channel+everystep", "l1-weight-global+performance", "l1-channel-global+cubic"]
)
def test_a_training_that_loses_its_network_is_a_result(name: str) -> None:
    lost = replace(DUMMY, recipe=replace(DUMMY.recipe, spec=replace(DUMMY.recipe.spec, lr=1e30)))
    found = recover(
        TRAINED,
        replace(gan("dummy"), workload=lost),
        Scheduled(STRATEGIES[name], context("dummy"), Level.sparsity(0.5), "params"),
        seed=0,
        watch=lambda step, model, since: CurvePoint(step=step, quality=None, loss_g=None, loss_d=None),
    )
    assert found.pruned is None
    assert not all(bool(torch.isfinite(weight).all()) for _, weight in named_weights(found.generator))
    assert len(found.curve) < TRAINED.steps


def test_a_schedule_without_training_steps_is_not_applicable() -> None:
    with pytest.raises(NotApplicable, match="'bn-recalibrate' has no steps"):
        scheduled("dummy", Level.sparsity(0.5), CALIBRATED)


def test_training_without_a_discriminator_is_not_applicable() -> None:
    alone = replace(gan("dummy"), checkpoint=replace(checkpoint("dummy"), discriminator=None))
    with pytest.raises(NotApplicable, match="needs a discriminator, dummy has none"):
        recover(TRAINED, alone, seed=0)
    with pytest.raises(NotApplicable, match="'distil-6-dfeature' needs a discriminator"):
        recover(parse_recovery("distil-6-dfeature"), alone, seed=0)


@pytest.mark.parametrize("lesson", ["output", "feature"])
def test_distillation_works_without_a_discriminator_and_shows_no_image(lesson: str) -> None:
    alone = replace(gan("dummy"), checkpoint=replace(checkpoint("dummy"), discriminator=None))
    start = pruned("dummy", "l1-channel-global")
    recovery = parse_recovery(f"distil-6-{lesson}")
    found = recover(recovery, alone, start, seed=0)
    assert same(found.generator, recovered("dummy", recovery, start=start).generator)
    assert (found.discriminator, found.images, len(found.curve)) == (None, 0, 6)
    assert all(math.isnan(s.loss_g) and math.isnan(s.loss_d) and s.loss_extra > 0 for s in found.curve)


@pytest.mark.parametrize("lesson", LESSONS)
@pytest.mark.parametrize("name", list(WORKLOADS))
def test_distillation_brings_the_pruned_network_nearer_to_what_is_distilled(name: str, lesson: str) -> None:
    start = pruned(name, "l1-channel-global", 0.3)
    losses = [s.loss_extra for s in recovered(name, parse_recovery(f"distil-60-{lesson}"), start=start).curve]
    assert sum(losses[-10:]) < 0.9 * sum(losses[:10])


def test_features_are_distilled_while_a_schedule_cuts_the_network() -> None:
    found = scheduled("dummy", Level.sparsity(0.5), parse_recovery("finetune-6-distil.feature"))
    assert found.pruned is not None and found.pruned.kept
    assert all(s.loss_extra > 0 for s in found.curve)


# What happens to D.


def density(model: nn.Module) -> float:
    weights = [w for _, w in named_weights(model)]
    return sum(int(w.count_nonzero()) for w in weights) / sum(w.numel() for w in weights)


@pytest.mark.parametrize(
    ("recovery", "strategy", "expected"),
    [
        ("finetune-6", "l1-weight-global", 1.0),
        ("finetune-6-d.sparse0.75", None, 0.25),
        ("finetune-6-d.sparse0.75", "l1-weight-global", 0.25),
        ("finetune-6-d.pruned", None, 1.0),
        ("finetune-6-d.pruned", "l1-weight-global", 0.3),
        ("finetune-6-d.pruned", "l1-channel-global", None),
    ],
)
@pytest.mark.parametrize("name", list(WORKLOADS))
def test_what_is_left_of_d(name: str, recovery: str, strategy: str | None, expected: float | None) -> None:
    start = pruned(name, strategy, 0.7) if strategy else None
    found = recovered(name, parse_recovery(recovery), start=start)
    assert found.discriminator is not None
    if expected is None:
        total = sum(w.numel() for _, w in named_weights(checkpoint(name).generator))
        expected = sum(w.numel() for _, w in named_weights(found.generator)) / total
    unit = 1 / sum(w.numel() for _, w in named_weights(found.discriminator))
    assert density(found.discriminator) == pytest.approx(expected, abs=unit)
    assert found.curve[-1].d_density == pytest.approx(density(found.discriminator))


def test_d_follows_a_schedule_to_the_sparsity_of_g() -> None:
    found = scheduled("dummy", Level.sparsity(0.5), parse_recovery("finetune-8-d.pruned"))
    assert found.discriminator is not None
    total = sum(w.numel() for _, w in named_weights(checkpoint("dummy").generator))
    left = sum(w.numel() for _, w in named_weights(found.generator)) / total
    assert density(found.discriminator) == pytest.approx(left, abs=2e-3)
    densities = [s.d_density for s in found.curve]
    assert densities == sorted(densities, reverse=True) and len(set(densities)) > 2


def test_a_reset_discriminator_comes_from_the_seed_and_knows_nothing() -> None:
    first, again, other, shipped = (
        recovered("plain", parse_recovery(f"finetune-1{end}"), seed=seed)
        for end, seed in (("-d.reset", 0), ("-d.reset", 0), ("-d.reset", 1), ("", 0))
    )
    assert first.curve == again.curve
    assert len({found.curve[0].loss_d for found in (first, other, shipped)}) == 3
    shapes = [p.shape for p in first.discriminator.parameters()]  # type: ignore[union-attr]
    assert shapes == [p.shape for p in checkpoint("plain").discriminator.parameters()]  # type: ignore[union-attr]


def test_the_work_of_a_training_in_closed_form() -> None:
    works = {
        "finetune-10": 3 * 7 + 9 * 5,
        "finetune-10-d.reset": 3 * 7 + 9 * 5,
        "finetune-10-d.frozen": 3 * 7 + 5 * 5,
        "finetune-10-distil.feature": 4 * 7 + 9 * 5,
        "finetune-10-distil.dfeature": 4 * 7 + 13 * 5,
        "distil-10-output": 4 * 7,
        "distil-10-dfeature": 4 * 7 + 4 * 5,
        "finetune-10-d.adapt": (3 * 7 + 9 * 5) + (7 + 3 * 5),  # every one of so few steps is measured
        "none": 0,
    }
    for name, work in works.items():
        assert parse_recovery(name).training_macs(7, 5, 4) == work * 4 * (0 if name == "none" else 10)


def test_every_strategy_and_dense_train_on_the_same_images_in_the_same_order() -> None:
    judged: list[Tensor] = []
    source = checkpoint("dummy")
    assert source.discriminator is not None
    handle = source.discriminator.register_forward_pre_hook(lambda m, args: judged.append(args[0].detach().clone()))

    def real() -> list[Tensor]:
        found = judged[::3]  # real images, generated ones, and those again for G
        judged.clear()
        return found

    try:
        results = [recovered("dummy", TRAINED)]
        seen = [real()]
        for strategy in ("l1-weight-global", "random-channel-uniform"):
            results.append(recovered("dummy", TRAINED, start=pruned("dummy", strategy)))
            seen.append(real())
        results.append(scheduled("dummy", Level.sparsity(0.5)))
        seen.append(real())
    finally:
        handle.remove()
    assert [len(images) for images in seen] == [6, 6, 6, 6]
    assert all(torch.equal(a, b) for other in seen[1:] for a, b in zip(seen[0], other, strict=True))
    assert not torch.equal(seen[0][0], seen[0][1])
    assert {result.images for result in results} == {6 * 16}
    assert [len(result.curve) for result in results] == [6, 6, 6, 6]
