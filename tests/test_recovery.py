"""What is done for a pruned network, and that it is the same for all of them."""

from __future__ import annotations

import functools
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from bench.recovery import Recovered, Recovery, parse_recovery, recover
from bench.seeds import stream
from bench.training.loop import TrainingSpec
from bench.workloads.base import InputSpec, Recipe, Workload
from bench.workloads.builtin import DUMMY
from bench.workloads.checkpoints import Checkpoint, load_checkpoint
from bench.workloads.data import DATA_SOURCES
from bench.workloads.networks import MlpDiscriminator, MlpGenerator
from strategies.base import Context, Level, NotApplicable, Pruned, Strategy
from strategies.catalog import STRATEGIES
from strategies.layers import named_weights

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


def context(name: str) -> Context:
    workload = WORKLOADS[name]
    example = workload.inputs.sample(2, stream(0, "prune", "example"))
    return Context(checkpoint(name).generator, example, stream(0, "prune"))


def pruned(name: str, strategy: str, sparsity: float = 0.5) -> Pruned:
    thing: Strategy = STRATEGIES[strategy]
    return thing.rank(context(name)).cut(sparsity, "params").apply(checkpoint(name).generator)


def recovered(name: str, recovery: Recovery, *, seed: int = 0, start: Pruned | None = None) -> Recovered:
    workload = WORKLOADS[name]
    return recover(recovery, workload, checkpoint(name), DATA_SOURCES[workload.data](), seed=seed, pruned=start)


def scheduled(name: str, level: Level, recovery: Recovery = TRAINED, *, target: str = "params") -> Recovered:
    workload = WORKLOADS[name]
    return recover(
        recovery,
        workload,
        checkpoint(name),
        DATA_SOURCES[workload.data](),
        seed=0,
        scheduled=(EVERYSTEP, context(name), level, target),  # type: ignore[arg-type]
    )


def same(one: nn.Module, other: nn.Module) -> bool:
    first, second = one.state_dict(), other.state_dict()
    return list(first) == list(second) and all(torch.equal(value, second[key]) for key, value in first.items())


def statistics(model: nn.Module) -> list[Tensor]:
    return [value for name, value in model.named_buffers() if "running" in name]


# Names.


@pytest.mark.parametrize("name", ["none", "bn-recalibrate", "finetune-1", "finetune-200", "finetune-200-d.frozen"])
def test_a_name_and_its_recovery_are_one_to_one(name: str) -> None:
    assert parse_recovery(name).name == name


@settings(max_examples=30, deadline=None, derandomize=True, database=None)
@given(st.integers(1, 10**9), st.sampled_from(["original", "frozen"]))
def test_every_recovery_is_found_again_by_its_name(steps: int, discriminator: str) -> None:
    recovery = Recovery(steps, discriminator)  # type: ignore[arg-type]
    assert parse_recovery(recovery.name) == recovery


@pytest.mark.parametrize(
    "name",
    [
        *("", "None", "bn", "finetune", "finetune-", "finetune-0", "finetune-010", "finetune--5", "finetune-1.5"),
        *("finetune-5-d.thawed", "finetune-5-d.frozen-x", " finetune-5", "finetune-5\n", "finetune-٣", "distil-5"),
    ],
)
def test_a_bad_name_is_refused_with_the_known_ones(name: str) -> None:
    with pytest.raises(ValueError, match="Known: none, bn-recalibrate, finetune-N"):
        parse_recovery(name)


def test_every_recovery_but_none_ends_with_calibration() -> None:
    assert [r.calibrate for r in (NONE, CALIBRATED, TRAINED)] == [False, True, True]


def test_the_streams_are_those_that_the_network_uses() -> None:
    with_norm, without = checkpoint("dummy").generator, checkpoint("plain").generator
    assert [r.streams(with_norm) for r in (NONE, CALIBRATED, TRAINED)] == [set(), {"calibrate"}, {"train", "calibrate"}]
    assert [r.streams(without) for r in (NONE, CALIBRATED, TRAINED)] == [set(), set(), {"train"}]


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
@pytest.mark.parametrize("recovery", ["none", "bn-recalibrate", "finetune-6", "finetune-6-d.frozen"])
def test_dense_goes_through_every_recovery_and_comes_out_ready_for_use(name: str, recovery: str) -> None:
    found = recovered(name, parse_recovery(recovery))
    assert found.pruned is None
    assert not any(m.training for m in found.generator.modules())
    assert not any(p.requires_grad for p in found.generator.parameters())
    assert len(found.curve) == parse_recovery(recovery).steps
    trained = not same(found.generator, checkpoint(name).generator)
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


@pytest.mark.parametrize("name", list(WORKLOADS))
def test_masked_weights_are_exactly_zero_after_fine_tuning(name: str) -> None:
    start = pruned(name, "l1-weight-global", 0.7)
    found = recovered(name, TRAINED, start=start)
    for layer, values in named_weights(found.generator):
        mask = start.masks[layer]
        assert not values[~mask].any()
        assert values[mask].all()
    moved = [
        not torch.equal(a, b) for a, b in zip(found.generator.parameters(), start.generator.parameters(), strict=True)
    ]
    assert all(moved)


def test_a_physically_smaller_network_is_trained_as_it_is() -> None:
    start = pruned("dummy", "l1-channel-global")
    found = recovered("dummy", TRAINED, start=start)
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


def test_a_schedule_without_training_steps_is_not_applicable() -> None:
    with pytest.raises(NotApplicable, match="'bn-recalibrate' has no steps"):
        scheduled("dummy", Level.sparsity(0.5), CALIBRATED)


def test_training_without_a_discriminator_is_not_applicable() -> None:
    alone = replace(checkpoint("dummy"), discriminator=None)
    with pytest.raises(NotApplicable, match="needs a discriminator, dummy has none"):
        recover(TRAINED, DUMMY, alone, DATA_SOURCES[DUMMY.data](), seed=0)


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
