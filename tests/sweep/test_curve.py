"""Learning curves of trained cells: what is watched, and that watching changes nothing."""

from __future__ import annotations

import json

import pytest
import torch

from bench.base.seeds import stream
from bench.records import Cell, CurvePoint, Record
from bench.sweep.cell import make
from bench.sweep.curve import CURVE_OUTPUTS, CurveRecorder, _mean, first_at, recorder, sparse_discriminator
from bench.sweep.settings import Settings
from bench.sweep.workshop import Workshop
from bench.tasks.generation.quality import judge
from bench.tasks.generation.quantities import FID, IS
from bench.training.loop import StepStats
from bench.training.recovery import parse_recovery, watched_steps
from bench.workloads.generate import generate
from tests.helpers.cells import NUM_IMAGES, cell, record_of

EVERYSTEP = cell("rownorm-channel+everystep", recovery="finetune-4", level={"threshold": 0.5})
TRAINED = [
    cell("dense", recovery="finetune-12"),
    cell(recovery="finetune-12"),
    cell("l1-channel-global", recovery="finetune-5-d.frozen"),
    EVERYSTEP,
]


def ids(thing: Cell) -> str:
    return f"{thing.strategy}-{thing.recovery}"


def watcher_of(thing: Cell, shop: Workshop) -> CurveRecorder:
    found = recorder(shop.resolve(thing), shop)
    assert found is not None
    return found


def points(*fids: float | None) -> list[CurvePoint]:
    return [CurvePoint(step=10 * i, quality=fid, loss_g=None, loss_d=None) for i, fid in enumerate(fids)]


@pytest.mark.parametrize(
    ("steps", "expected"),
    [(1, [0, 1]), (4, [0, 1, 2, 3, 4]), (200, [*range(0, 201, 20)]), (25, [0, 2, 5, 8, 10, 12, 15, 18, 20, 22, 25])],
)
def test_ten_even_steps_are_watched_besides_the_start(steps: int, expected: list[int]) -> None:
    assert watched_steps(steps) == expected


@pytest.mark.parametrize("thing", TRAINED, ids=ids)
def test_a_training_is_bit_identical_with_and_without_watching(thing: Cell, shop: Workshop) -> None:
    watched, alone = make(shop.resolve(thing), shop).recovered, make(shop.resolve(thing), shop, watch=False).recovered
    for one, other in ((watched.generator, alone.generator), (watched.discriminator, alone.discriminator)):
        assert one is not None and other is not None
        states = one.state_dict(), other.state_dict()
        assert states[0].keys() == states[1].keys()
        assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert watched.curve == alone.curve
    assert watched.watch_seconds > 0 == alone.watch_seconds


def test_watching_changes_no_number_of_the_record() -> None:
    with_curve, without = (
        record_of(TRAINED[1], Workshop(Settings(num_images=NUM_IMAGES, curve=curve))) for curve in (True, False)
    )
    assert with_curve.curve and not without.curve
    assert {name: number for name, number in with_curve.numbers.items() if "steps_to_dense" not in name} == (
        without.numbers
    )


@pytest.mark.parametrize("thing", TRAINED, ids=ids)
def test_the_last_point_is_the_fid_of_the_recovered_network(thing: Cell, shop: Workshop) -> None:
    # The evaluation has fewer images than a curve's point may have, so both are of the same images.
    assert NUM_IMAGES <= CURVE_OUTPUTS
    record = record_of(thing, shop)
    assert record.curve[0]["step"] == 0
    assert record.curve[-1]["step"] == record.cost.train_steps
    assert record.curve[-1]["quality"] == record.numbers["fid[dummy-judge]"].value


def test_the_first_point_is_the_recalibrated_network_before_training(shop: Workshop) -> None:
    before = record_of(cell(recovery="bn-recalibrate"), shop)
    first = record_of(cell(recovery="finetune-12"), shop).curve[0]
    assert first["quality"] == pytest.approx(before.numbers["fid[dummy-judge]"].value)
    assert (first["loss_g"], first["loss_d"]) == (None, None)


def test_losses_are_means_over_the_steps_since_the_point_before(shop: Workshop) -> None:
    made = make(shop.resolve(cell(recovery="finetune-12")), shop)
    stats = made.recovered.curve
    steps = [point["step"] for point in made.curve]
    for start, end, point in zip(steps, steps[1:], made.curve[1:], strict=False):
        since = stats[start:end]
        assert point["loss_g"] == pytest.approx(sum(s.loss_g for s in since) / len(since))
        assert point["loss_d"] == pytest.approx(sum(s.loss_d for s in since) / len(since))


def test_the_inputs_are_the_first_of_the_evaluation() -> None:
    shop = Workshop(Settings(num_images=CURVE_OUTPUTS + 20))
    watcher = watcher_of(cell(seed=3, recovery="finetune-2"), shop)
    (expected,) = shop.load("dummy", "shipped").gan.workload.inputs.sample(CURVE_OUTPUTS + 20, stream(3, "eval"))
    assert torch.equal(watcher.inputs[0], expected[:CURVE_OUTPUTS])


def test_a_network_that_yields_nan_has_no_fid(shop: Workshop) -> None:
    watcher = watcher_of(cell(recovery="finetune-2"), shop)
    generator = make(shop.resolve(cell()), shop).recovered.generator
    for parameter in generator.parameters():
        parameter.fill_(float("nan"))
    point = watcher(0, generator, [])
    assert point["step"] == 0
    assert all(value is None for name, value in point.items() if name != "step")


@pytest.mark.parametrize("thing", [cell(), cell(recovery="bn-recalibrate")], ids=ids)
def test_a_cell_without_training_has_no_curve(thing: Cell, shop: Workshop) -> None:
    record = record_of(thing, shop)
    assert record.curve == []
    assert not any("steps_to_dense" in name for name in record.numbers)
    assert record.cost.watch_seconds == 0


def test_the_first_step_that_reaches_dense_counts() -> None:
    assert first_at(points(9, 5, 4, 3), 5.0, FID) == 10
    assert first_at(points(9, None, 4, 7), 5.0, FID) == 20
    assert first_at(points(5, 9), 5.0, FID) == 0


def test_dense_quality_that_is_never_regained_has_no_step() -> None:
    assert first_at(points(9, 6), 5.0, FID) is None
    assert first_at(points(1), None, FID) is None


def fid_of_dense(shop: Workshop, watcher: CurveRecorder) -> float:
    value = watcher.quality(shop.load("dummy", "shipped").gan.checkpoint.generator)
    assert value is not None
    return value


def test_steps_to_dense_is_counted_on_the_curve(shop: Workshop) -> None:
    record = record_of(cell(recovery="finetune-12"), shop)
    number = record.numbers["steps_to_dense[dummy-judge]"]
    expected = first_at(record.curve, fid_of_dense(shop, watcher_of(cell(recovery="finetune-12"), shop)), FID)
    assert number.value == expected
    assert bool(number.note) == (expected is None)
    assert number.num_images == NUM_IMAGES


def test_dense_quality_out_of_reach_is_said(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.sweep.curve.first_at", lambda *_: None)
    number = record_of(cell(recovery="finetune-4"), shop).numbers["steps_to_dense[dummy-judge]"]
    assert (number.value, number.note) == (None, "not within 4 steps")


def test_dense_has_a_curve_and_nothing_to_regain(shop: Workshop) -> None:
    record = record_of(cell("dense", recovery="finetune-4"), shop)
    assert len(record.curve) == 5
    assert not any("steps_to_dense" in name for name in record.numbers)


def test_a_record_with_a_curve_survives_its_file_and_one_without_is_still_read(shop: Workshop) -> None:
    record = record_of(cell(recovery="finetune-4"), shop)
    assert Record.model_validate_json(record.model_dump_json()) == record
    old = json.loads(record_of(cell(), shop).model_dump_json())
    del old["curve"], old["cost"]["watch_seconds"]
    assert Record.model_validate_json(json.dumps(old)).curve == []


# D


def test_d_names_images_as_its_logits_say(shop: Workshop, dense: Cell) -> None:
    loaded = shop.load("dummy", "shipped")
    discriminator = loaded.gan.checkpoint.discriminator
    assert discriminator is not None
    inputs = loaded.gan.workload.inputs.sample(NUM_IMAGES, stream(0, "eval"))
    images, _ = generate(loaded.gan.checkpoint.generator, inputs)
    with torch.inference_mode():
        logits = {
            name: discriminator(shown.float() / 127.5 - 1)
            for name, shown in (("real", loaded.gan.data.train[:NUM_IMAGES]), ("generated", images))
        }
    numbers = record_of(dense, shop).numbers
    assert numbers["d-accuracy-real"].value == pytest.approx(float((logits["real"] > 0).float().mean()))
    assert numbers["d-accuracy-generated"].value == pytest.approx(float((logits["generated"] <= 0).float().mean()))


def test_a_trained_cell_is_told_apart_by_its_own_d(shop: Workshop) -> None:
    made = make(shop.resolve(cell(recovery="finetune-12")), shop)
    shipped = shop.load("dummy", "shipped").gan.checkpoint.discriminator
    assert made.recovered.discriminator is not None and shipped is not None
    pairs = zip(made.recovered.discriminator.parameters(), shipped.parameters(), strict=True)
    assert not all(torch.equal(one, other) for one, other in pairs)
    assert not made.recovered.discriminator.training


def test_accuracy_on_dense_is_that_of_the_dense_cell_s_images(shop: Workshop, dense: Cell) -> None:
    pruned, whole = record_of(cell(), shop).numbers, record_of(dense, shop).numbers
    assert pruned["d-accuracy-dense"].value == whole["d-accuracy-generated"].value
    assert pruned["d-accuracy-real"] == whole["d-accuracy-real"]


def test_a_workload_without_d_has_no_accuracy(shop: Workshop, tiny_mlp: str) -> None:
    assert not any(name.startswith("d-accuracy") for name in record_of(cell(workload=tiny_mlp), shop).numbers)


def test_few_images_for_many_features_are_flagged() -> None:
    wide, few = (Workshop(Settings(num_images=n)) for n in (50, 6))
    flags = [record_of(cell(), shop).provenance.flags for shop in (wide, few)]
    assert ["low-rank-fid" in found for found in flags] == [False, True]
    extractor = wide.load("dummy", "shipped").judge.extractor
    assert judge(extractor, wide.load("dummy", "shipped").gan.data.train[:6]).gaussian.factor is not None


def test_a_network_that_is_pruned_on_the_way_regains_nothing_before_its_last_event(shop: Workshop) -> None:
    """At step 0 it still is dense, and so is as good as dense."""
    pruned = cell("rownorm-channel+everystep", recovery="finetune-8")
    record = record_of(pruned, shop)
    step = record.numbers["steps_to_dense[dummy-judge]"].value
    dense = watcher_of(pruned, shop).quality(shop.load("dummy", "shipped").gan.checkpoint.generator)
    assert first_at(record.curve[:1], None if dense is None else 2 * dense, FID) == 0  # the trap
    assert step is None or step >= 6


# By hand.


def test_more_is_better_where_the_quantity_says_so_and_as_good_is_good_enough() -> None:
    assert first_at(points(3, 4, 5, 6), 5.0, IS) == 20 and first_at(points(9, 5, 4), 5.0, FID) == 10
    assert first_at(points(4.9), 5.0, IS) is None and first_at(points(5.1), 5.0, FID) is None
    assert first_at([], 5.0, FID) is None


def steps(*densities: float, balance: float | None = None) -> list[StepStats]:
    return [StepStats(k, *[0.0] * 6, d_density=x, balance=balance) for k, x in enumerate(densities)]


@pytest.mark.parametrize("name", ["finetune-4-d.sparse0.5", "finetune-4-d.pruned", "finetune-4-d.adapt"])
def test_what_is_left_of_a_sparse_d_is_that_of_the_last_step(name: str) -> None:
    found = sparse_discriminator(parse_recovery(name), steps(1.0, 0.75, 0.5))
    assert {key: number.value for key, number in found.items()} == {"d-density": 0.5}
    balanced = sparse_discriminator(parse_recovery(name), steps(1.0, 0.5, balance=0.0))
    assert {key: number.value for key, number in balanced.items()} == {"d-density": 0.5, "balance-ratio": 0.0}
    assert sparse_discriminator(parse_recovery(name), []) == {}


@pytest.mark.parametrize("name", ["finetune-4", "finetune-4-d.frozen", "finetune-4-d.reset", "bn-recalibrate"])
def test_of_a_whole_d_nothing_is_told(name: str) -> None:
    assert sparse_discriminator(parse_recovery(name), steps(1.0)) == {}


def test_a_point_has_the_means_since_the_last_one_and_the_state_of_the_last_step() -> None:
    class Watched(CurveRecorder):
        def quality(self, generator: torch.nn.Module) -> float | None:
            return 7.0

    watcher = Watched(None, ())  # type: ignore[arg-type]
    first = StepStats(3, 1.0, 2.0, 0.2, 0.4, 5.0, 6.0, loss_extra=1.0, d_density=0.9, balance=0.1)
    second = StepStats(4, 3.0, 6.0, 0.4, 0.8, 7.0, 10.0, loss_extra=2.0, d_density=0.8, balance=0.3)
    assert watcher(5, torch.nn.Identity(), [first, second]) == {
        "step": 5, "quality": 7.0, "loss_g": 2.0, "loss_d": 4.0, "loss_extra": 1.5, "accuracy_real": pytest.approx(0.3),
        "accuracy_fake": pytest.approx(0.6), "logit_real": 6.0, "logit_fake": 8.0, "d_density": 0.8, "balance": 0.3,
    }  # fmt: skip
    assert (_mean([]), _mean([1.0, torch.nan]), _mean([1.0, 2.0])) == (None, None, 1.5)


def test_a_curve_is_watched_where_there_are_steps_a_wish_and_a_leading_metric() -> None:
    def watched(recovery: str, **settings: object) -> bool:
        shop = Workshop(Settings(num_images=NUM_IMAGES, **settings))  # type: ignore[arg-type]
        return recorder(shop.resolve(cell(recovery=recovery)), shop) is not None

    assert watched("finetune-2") and not watched("bn-recalibrate")
    assert not watched("finetune-2", curve=False) and not watched("finetune-2", metrics=("kid",))
