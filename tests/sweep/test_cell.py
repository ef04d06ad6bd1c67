"""One cell from load to record: what its numbers are, when it has none, and what cells share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import bench.sweep.cell
from bench.base.seeds import stream
from bench.records import Cell, Record
from bench.sweep.cell import make, pruning_context, run_cell
from bench.sweep.resolved import ResolvedCell
from bench.sweep.settings import Settings
from bench.sweep.workshop import Workshop
from bench.training.recovery import Recovered, Recovery, Start, recover
from bench.workloads.generate import generate
from bench.workloads.loaded import Gan
from strategies.base import Pruned
from strategies.builtin import STRATEGIES
from strategies.granularity.channel import ChannelRemoval
from strategies.layers import prunable_layers
from tests.helpers.cells import NUM_IMAGES, cell, planned, record_of
from tests.helpers.scored import count_scores

QUALITY = {f"{name}[dummy-judge]" for name in ("fid-inf", "fid", "fid-held-out", "fid-train-subset", "is")}
AGREEMENT = {"psnr-to-dense", "feature-distance-to-dense[dummy-judge]"}
FLOOR = {"fid_floor[dummy-judge]", "fid-inf_floor[dummy-judge]"}
TOLD_APART = {"d-accuracy-real", "d-accuracy-generated"}
TOLD_FROM_DENSE = {*TOLD_APART, "d-accuracy-dense"}
SIZE = {"params", "params_nonzero", "bytes", "bytes_bitmask", "macs_dense", "macs_effective", "macs_fvcore"}

EVERYSTEP = cell("rownorm-channel+everystep", recovery="finetune-4", level={"threshold": 0.5})


def value(record: Record, name: str) -> float:
    found = record.numbers[name].value
    assert found is not None
    return float(found)


# Numbers


def test_a_pruned_cell_is_a_record_with_every_number(shop: Workshop) -> None:
    record = record_of(cell(), shop)
    assert record.status == "ok"
    assert set(record.numbers) == QUALITY | AGREEMENT | TOLD_FROM_DENSE | SIZE
    assert all(number.value is not None for number in record.numbers.values())


def test_dense_has_the_floor_instead_of_agreement_with_itself(shop: Workshop, dense: Cell) -> None:
    assert set(record_of(dense, shop).numbers) == QUALITY | FLOOR | TOLD_APART | SIZE


def test_only_the_metrics_asked_for_are_there() -> None:
    record = record_of(cell(), Workshop(Settings(num_images=NUM_IMAGES, metrics=("is",))))
    assert set(record.numbers) == {"is[dummy-judge]"} | AGREEMENT | TOLD_FROM_DENSE | SIZE


@pytest.mark.parametrize(
    "thing",
    [
        cell("dense", recovery="bn-recalibrate"),
        cell("random-weight-global"),
        cell("l1-channel-global", recovery="finetune-3"),
        EVERYSTEP,
    ],
    ids=lambda thing: f"{thing.strategy}-{thing.recovery}",
)
def test_the_same_cell_in_two_workshops_has_bit_identical_numbers(thing: Cell) -> None:
    first, second = (record_of(thing, Workshop(Settings(num_images=NUM_IMAGES))) for _ in range(2))
    assert first.numbers == second.numbers


def test_another_seed_has_other_numbers(shop: Workshop) -> None:
    first, second = (record_of(cell(seed=seed), shop) for seed in (0, 1))
    assert value(first, "fid[dummy-judge]") != value(second, "fid[dummy-judge]")


def test_the_batch_size_of_generation_changes_rounding_at_most(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = record_of(cell(), shop)
    monkeypatch.setattr("bench.tasks.generation.evaluation.generate", functools.partial(generate, batch=7))
    odd = record_of(cell(), Workshop(shop.settings))
    for name in usual.numbers:
        assert value(odd, name) == pytest.approx(value(usual, name), rel=0.01), name


def test_agreement_of_a_network_without_one_weight_is_near_perfect(shop: Workshop) -> None:
    record = record_of(cell(sparsity=1 / 2776), shop)
    assert sum(layer.weights - layer.kept for layer in record.layers) == 1
    assert value(record, "psnr-to-dense") > 40
    assert value(record, "feature-distance-to-dense[dummy-judge]") < 0.02


def test_agreement_falls_with_sparsity(shop: Workshop) -> None:
    psnr = [value(record_of(cell(sparsity=x), shop), "psnr-to-dense") for x in (0.1, 0.5, 0.9)]
    assert psnr == sorted(psnr, reverse=True)


def test_a_cell_is_compared_with_the_dense_of_its_own_recovery_and_seed(shop: Workshop) -> None:
    record = record_of(cell(recovery="bn-recalibrate", seed=3), shop)
    assert record.provenance.dense_key == shop.resolve(cell("dense", recovery="bn-recalibrate", seed=3)).keys.eval


def test_agreement_is_the_same_whether_the_dense_images_were_kept_or_are_made_again(tmp_path: Path) -> None:
    settings = Settings(num_images=NUM_IMAGES, run=tmp_path)
    record_of(cell("dense"), Workshop(settings))
    kept = record_of(cell(), Workshop(settings))
    made = record_of(cell(), Workshop(replace(settings, run=None)))
    assert {name: kept.numbers[name] for name in AGREEMENT} == {name: made.numbers[name] for name in AGREEMENT}


# Achieved sparsity


@pytest.mark.parametrize(
    "thing",
    [cell("l1-weight-uniform", 0.7), cell("random-channel-uniform"), cell("bnscale-channel-global"), EVERYSTEP],
    ids=lambda thing: thing.strategy,
)
def test_achieved_sparsity_counted_on_the_network_is_that_of_the_layers(thing: Cell, shop: Workshop) -> None:
    record = record_of(thing, shop)
    dense, kept = (sum(getattr(layer, side) for layer in record.layers) for side in ("weights", "kept"))
    assert dense == 2776
    assert record.achieved_params == 1 - kept / dense


def test_a_masked_network_reaches_its_target_to_the_weight(shop: Workshop) -> None:
    assert record_of(cell(sparsity=0.7), shop).achieved_params == pytest.approx(0.7, abs=0.5 / 2776)


def test_a_target_in_macs_is_met_in_macs(shop: Workshop) -> None:
    record = record_of(cell("l1-weight-global", 0.5, target="macs"), shop)
    assert record.achieved_macs == pytest.approx(0.5, abs=0.01)
    assert record.achieved_params != pytest.approx(0.5, abs=0.01)


def test_a_masked_network_has_the_architecture_of_dense(shop: Workshop, dense: Cell) -> None:
    masked, whole = record_of(cell(), shop), record_of(dense, shop)
    assert masked.architecture == whole.architecture
    assert not masked.physical


def test_a_channel_pruned_network_is_smaller_and_says_what_is_left(shop: Workshop, dense: Cell) -> None:
    small, whole = record_of(cell("l1-channel-global"), shop), record_of(dense, shop)
    assert small.physical
    assert small.architecture is not None and whole.architecture is not None
    assert small.architecture.hash != whole.architecture.hash
    outs, _ = small.architecture.widths["net.0"]
    assert len(small.architecture.kept["net.0"]["out"]) == outs < whole.architecture.widths["net.0"][0]
    assert value(small, "macs_dense") < value(whole, "macs_dense")


# No numbers


def test_a_schedule_without_training_steps_is_not_applicable(shop: Workshop) -> None:
    record = record_of(cell("rownorm-channel+everystep", recovery="bn-recalibrate"), shop)
    assert record.status == "not-applicable"
    assert "bn-recalibrate" in record.reason and "no steps" in record.reason
    assert record.numbers == {}


def test_bn_scale_without_batchnorm_is_not_applicable(shop: Workshop, tiny_mlp: str) -> None:
    record = record_of(cell("bnscale-channel-global", workload=tiny_mlp), shop)
    assert record.status == "not-applicable"
    assert "BatchNorm" in record.reason


def test_finetuning_without_a_discriminator_is_not_applicable(shop: Workshop, tiny_mlp: str) -> None:
    record = record_of(cell(workload=tiny_mlp, recovery="finetune-4"), shop)
    assert record.status == "not-applicable"
    assert "discriminator" in record.reason


def test_recalibrating_a_network_without_batchnorm_changes_nothing(shop: Workshop, tiny_mlp: str) -> None:
    plain, calibrated = (record_of(cell(workload=tiny_mlp, recovery=name), shop) for name in ("none", "bn-recalibrate"))
    assert calibrated.status == "ok"
    assert calibrated.numbers == plain.numbers
    assert calibrated.varies == "eval"


def test_a_target_out_of_reach_is_infeasible_and_names_the_maximum(shop: Workshop) -> None:
    record = record_of(cell("l1-channel-global", 0.9999), shop)
    assert record.status == "infeasible"
    assert "maximum is 0.9" in record.reason
    assert record.numbers == {} and record.achieved_params is None


def spoiled(change: Callable[[torch.Tensor], Any]) -> Callable[..., Recovered]:
    """`recover`, with every weight of the network that comes out changed."""

    def wrapper(*args: Any, **options: Any) -> Recovered:
        found = recover(*args, **options)
        for parameter in found.generator.parameters():
            change(parameter)
        return found

    return wrapper


FAINT = 0.05
"""How much of the contrast of the dummy generator is a collapse; three times that is none."""


class Faded(nn.Module):
    """A generator with so much of its contrast."""

    def __init__(self, generator: nn.Module, share: float) -> None:
        super().__init__()
        self.generator, self.share = generator, share

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        return self.share * self.generator(*inputs)


def faded(share: float, *, dense: bool = False) -> Callable[..., Recovered]:
    """`recover`, with what comes out of pruned networks, or of dense, faded towards grey."""

    def wrapper(recovery: Recovery, gan: Gan, start: Start, **options: Any) -> Recovered:
        found = recover(recovery, gan, start, **options)
        return replace(found, generator=Faded(found.generator, share)) if (start is None) == dense else found

    return wrapper


def test_a_generator_that_yields_nan_is_collapsed_and_still_a_record(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench.sweep.cell, "recover", spoiled(lambda weight: weight.fill_(float("nan"))))
    record = record_of(cell(), shop)
    assert (record.status, record.reason) == ("collapsed", "the generator's output is not finite")
    assert all(record.numbers[name].value is None for name in QUALITY)
    assert not set(record.numbers) & (AGREEMENT | TOLD_FROM_DENSE)
    assert Record.model_validate_json(record.model_dump_json()) == record


def test_a_generator_that_yields_a_constant_is_collapsed(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench.sweep.cell, "recover", spoiled(lambda weight: weight.zero_()))
    record = record_of(cell("dense"), shop)
    assert (record.status, record.reason) == ("collapsed", "every image is the same constant")


def test_images_that_all_look_alike_are_collapsed_and_keep_their_numbers(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Towards one grey, so that the images differ by a few grey levels where dense's differ by dozens."""
    monkeypatch.setattr(bench.sweep.cell, "recover", faded(FAINT))
    record = record_of(cell(), shop)
    assert record.status == "collapsed"
    assert record.reason.endswith("below 0.1: all images look alike")
    assert set(record.numbers) == QUALITY | AGREEMENT | TOLD_FROM_DENSE | SIZE
    assert all(number.value is not None for number in record.numbers.values())


def test_images_that_differ_enough_are_not_collapsed_whatever_the_judge_makes_of_them(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The judge names all of them alike: its IS says one image."""
    monkeypatch.setattr(bench.sweep.cell, "recover", faded(3 * FAINT))
    monkeypatch.setattr("bench.tasks.generation.quality.inception_score", lambda logits: 1.0)
    record = record_of(cell(), shop)
    assert (record.status, record.reason) == ("ok", "")
    assert value(record, "is[dummy-judge]") == 1.0


def test_a_training_that_makes_dense_paint_one_image_is_collapsed(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dense has no dense beside it: it is compared with what the checkpoint draws of the same inputs."""
    monkeypatch.setattr(bench.sweep.cell, "recover", faded(FAINT, dense=True))
    assert record_of(cell("dense", recovery="none"), shop).status == "ok"
    assert record_of(cell("dense", recovery="finetune-2"), shop).reason.endswith("all images look alike")


# What the cells share


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Strategies in the order in which they were scored."""
    return count_scores(monkeypatch)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Strategies in the order in which networks were made; dense is left out."""
    names: list[str] = []

    def counted(todo: ResolvedCell, shop: Workshop, **options: Any) -> Any:
        if todo.strategy is not None:
            names.append(todo.strategy.name)
        return make(todo, shop, **options)

    monkeypatch.setattr(bench.sweep.cell, "make", counted)
    return names


def test_one_score_serves_all_sparsities_and_recoveries(shop: Workshop, scored: list[str]) -> None:
    for recovery in ("none", "bn-recalibrate"):
        for sparsity in (0.3, 0.5, 0.7):
            record_of(cell(sparsity=sparsity, recovery=recovery), shop)
    assert scored == ["l1-weight-global"]


def test_a_random_strategy_is_scored_for_each_seed(shop: Workshop, scored: list[str]) -> None:
    for seed in (0, 1):
        for sparsity in (0.3, 0.5):
            record_of(cell("random-weight-global", sparsity, seed=seed), shop)
    assert scored == ["random-weight-global"] * 2


def test_a_shared_score_prunes_as_one_of_its_own_does(shop: Workshop) -> None:
    record_of(cell("l1-channel-uniform", 0.3), shop)
    shared = record_of(cell("l1-channel-uniform", 0.6), shop)
    assert shared.numbers == record_of(cell("l1-channel-uniform", 0.6), Workshop(shop.settings)).numbers


def test_seeds_of_one_pruned_network_share_it(shop: Workshop, made: list[str]) -> None:
    for seed in (0, 1, 2):
        record_of(cell(seed=seed), shop)
    assert len(made) == 1


def test_seeds_that_prune_differently_share_nothing(shop: Workshop, made: list[str]) -> None:
    for seed in (0, 1, 2):
        record_of(cell("random-weight-global", seed=seed), shop)
    assert len(made) == 3


@pytest.fixture
def cuts(monkeypatch: pytest.MonkeyPatch) -> list[ChannelRemoval]:
    """Removals of channels in the order in which they were carried out."""
    done: list[ChannelRemoval] = []
    apply = ChannelRemoval.apply

    def counted(self: ChannelRemoval, model: nn.Module) -> Pruned:
        done.append(self)
        return apply(self, model)

    monkeypatch.setattr(ChannelRemoval, "apply", counted)
    return done


def test_seeds_share_a_cut_where_the_strategy_does_not_draw(shop: Workshop, cuts: list[ChannelRemoval]) -> None:
    """Recalibration makes another network of each seed, but of the same cut."""
    records = [record_of(cell("l1-channel-global", recovery="bn-recalibrate", seed=seed), shop) for seed in (0, 1, 2)]
    assert len(cuts) == 1
    assert len({record.cost.prune_seconds for record in records}) == 1  # what it took, not what was saved
    alone = record_of(records[2].cell, Workshop(shop.settings))
    assert (records[2].numbers, records[2].architecture) == (alone.numbers, alone.architecture)


def test_every_seed_of_a_strategy_that_draws_has_a_cut_of_its_own(shop: Workshop, cuts: list[ChannelRemoval]) -> None:
    for seed in (0, 1):
        record_of(cell("random-channel-uniform", recovery="bn-recalibrate", seed=seed), shop)
    assert len(cuts) == 2


def test_another_level_or_target_is_another_cut(shop: Workshop, cuts: list[ChannelRemoval]) -> None:
    for sparsity, target in ((0.3, "params"), (0.5, "params"), (0.5, "macs")):
        record_of(cell("l1-channel-global", sparsity, target=target), shop)
    assert len(cuts) == 3


def test_a_training_leaves_a_shared_cut_as_it_was(shop: Workshop) -> None:
    for seed in (0, 1):
        shared = record_of(cell("l1-weight-global", recovery="finetune-2", seed=seed), shop)
    assert shared.numbers == record_of(shared.cell, Workshop(shop.settings)).numbers


def test_measuring_leaves_a_shared_network_as_it_was(shop: Workshop) -> None:
    record_of(cell("l1-channel-global", recovery="none", seed=0), shop)
    second = record_of(cell("l1-channel-global", recovery="none", seed=1), shop)
    alone = record_of(cell("l1-channel-global", recovery="none", seed=1), Workshop(shop.settings))
    assert second.numbers == alone.numbers


def test_a_strategy_leaves_the_dense_generator_as_it_was(shop: Workshop) -> None:
    generator = shop.load("dummy", "shipped").gan.checkpoint.generator
    before = {name: tensor.clone() for name, tensor in generator.state_dict().items()}
    for thing in (cell(), cell("l1-channel-global"), cell("random-weight-global", recovery="finetune-2"), EVERYSTEP):
        record_of(thing, shop)
    assert all(torch.equal(tensor, before[name]) for name, tensor in generator.state_dict().items())


# What a strategy is given, and what the record says


def test_a_strategy_that_needs_only_weights_is_given_nothing_else(shop: Workshop) -> None:
    context = pruning_context(shop.resolve(cell()), STRATEGIES["l1-weight-global"], shop)
    assert (context.draw_inputs, context.images, context.discriminator) == (None, None, None)


def test_a_strategy_that_needs_data_sees_training_images_only(shop: Workshop) -> None:
    strategy = STRATEGIES["l1-weight-global"]
    strategy = replace(strategy, criterion=replace(strategy.criterion, needs=frozenset({"data"})))
    context = pruning_context(shop.resolve(cell()), strategy, shop)
    assert context.images is shop.load("dummy", "shipped").gan.data.train


def test_what_a_strategy_draws_is_not_what_it_is_judged_on(shop: Workshop) -> None:
    strategy = STRATEGIES["l1-weight-global"]
    strategy = replace(strategy, criterion=replace(strategy.criterion, needs=frozenset({"inputs"})))
    drawn = pruning_context(shop.resolve(cell()), strategy, shop).inputs(4)[0]
    judged = shop.load("dummy", "shipped").gan.workload.inputs.sample(4, stream(0, "eval"))[0]
    assert not torch.isclose(drawn, judged).any()


@pytest.mark.parametrize(
    ("strategy", "recovery", "expected"),
    [
        ("dense", "none", "eval"),
        ("l1-weight-global", "bn-recalibrate", "calibrate+eval"),
        ("random-weight-global", "none", "prune+eval"),
        ("random-channel-uniform", "finetune-2", "prune+calibrate+train+eval"),
    ],
)
def test_a_record_says_which_streams_its_numbers_depend_on(
    strategy: str, recovery: str, expected: str, shop: Workshop
) -> None:
    assert record_of(cell(strategy, recovery=recovery), shop).varies == expected


def test_what_training_took_is_recorded_and_equal_for_all_strategies(shop: Workshop) -> None:
    costs = [
        record_of(thing, shop).cost
        for thing in (cell("dense", recovery="finetune-4"), cell(recovery="finetune-4"), EVERYSTEP)
    ]
    assert {(c.train_steps, c.train_images, c.training_macs) for c in costs} == {(4, 64, costs[0].training_macs)}
    assert costs[0].training_macs > 0


def test_a_mask_stays_through_finetuning(shop: Workshop) -> None:
    made = make(shop.resolve(cell(sparsity=0.7, recovery="finetune-4")), shop)
    assert made.recovered.pruned is not None
    for name, layer in prunable_layers(made.recovered.generator).items():
        gone = ~made.recovered.pruned.masks[name]
        assert gone.any() and not layer.weight[gone].any()


def test_few_images_are_flagged(shop: Workshop) -> None:
    assert "small-n" in record_of(cell(), shop).provenance.flags


def test_weights_are_kept_for_a_trained_cell_and_not_for_another(tmp_path: Path) -> None:
    shop = Workshop(Settings(num_images=NUM_IMAGES, run=tmp_path))
    assert shop.paths is not None
    plain, trained = (planned(cell(recovery=name), shop) for name in ("none", "finetune-2"))
    for thing in (plain, trained):
        run_cell(thing.cell, shop)
    assert not shop.paths.artifact(plain.keys.prune).exists()
    assert (shop.paths.artifact(trained.keys.prune) / "manifest.json").exists()


def test_weights_are_kept_on_request(tmp_path: Path) -> None:
    shop = Workshop(Settings(num_images=NUM_IMAGES, run=tmp_path, save=True))
    thing = planned(cell(), shop)
    run_cell(thing.cell, shop)
    assert shop.paths is not None
    kept = bench.load(shop.paths.artifact(thing.keys.prune))
    assert isinstance(kept, nn.Module)
    assert sum(int(p.count_nonzero()) for p in kept.parameters()) < sum(p.numel() for p in kept.parameters())


# The whole catalogue


SCHEDULED = [name for name in STRATEGIES if STRATEGIES[name].schedule is not None]


@pytest.mark.parametrize("name", SCHEDULED)
def test_every_strategy_that_trains_becomes_a_record(name: str, shop: Workshop) -> None:
    """`dummy` was never trained, so there is no earlier state of its training to go back to."""
    record = record_of(cell(name, recovery="finetune-4"), shop)
    needs = STRATEGIES[name].needs & {"rewind", "initialisation"}
    assert record.status == ("not-applicable" if needs else "ok"), record.reason
    if needs:
        assert "earlier state of the training" in record.reason
    else:
        assert record.achieved_params == pytest.approx(0.5, abs=0.05)


def test_a_quantised_network_says_what_it_takes_when_stored(shop: Workshop) -> None:
    record = record_of(cell("l1-quantised-16", recovery="finetune-3"), shop)
    assert record.status == "ok"
    assert value(record, "bytes_coded") < value(record, "bytes_bitmask") < value(record, "bytes")


def test_a_pattern_is_asked_for_by_its_own_level(shop: Workshop) -> None:
    record = record_of(cell("l1-nm-2-4", level={"n": 2.0}), shop)
    assert record.achieved_params is not None and 0.4 < record.achieved_params <= 0.5
