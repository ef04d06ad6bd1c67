"""What records and timings carry is said: no flag and no lost timing stays unsaid."""

from __future__ import annotations

import pytest

from bench.records import LatencyRecord, Record
from bench.report.blocks import Inline
from bench.report.drawings import floors
from bench.report.flags import flag_notes, of_dense, timing_notes
from bench.report.inputs import ReportInputs
from bench.report.markdown import inline, render_markdown
from bench.report.model import build_model
from bench.report.sections import columns_of
from bench.tables import latency_table, run_tables, tidy
from bench.tasks import TASKS
from bench.tasks.base import DENSE_REFERENCE
from tests.report.drawn import headline
from tests.report.synthetic import FID, latency_record, make_record

FLOOR = "fid_floor[mnist-lenet]"


def flagged(record: Record, *flags: str) -> Record:
    return record.model_copy(update={"provenance": record.provenance.model_copy(update={"flags": list(flags)})})


def said(notes: list[Inline]) -> list[str]:
    return [inline(note).replace("\\", "") for note in notes]


def with_floor(record: Record, value: float, num_images: int) -> Record:
    number = record.numbers[FID].model_copy(
        update={"value": value, "num_images": num_images, "kind": "exact", "direction": "none"}
    )
    return record.model_copy(update={"numbers": record.numbers | {FLOOR: number}})


def run(floor_images: int, *flags: str) -> list[Record]:
    """Dense with a floor of so many images, and a pruned network; both judged by 1,000."""
    dense = [with_floor(make_record(strategy="dense", sparsity=0.0, seed=seed, fid=4.0), 3.0, floor_images)
             for seed in range(3)]  # fmt: skip
    return [flagged(record, *flags) for record in [*dense, *(make_record(seed=seed) for seed in range(3))]]


# Flags


@pytest.mark.parametrize("flag", sorted(TASKS["generation"].flags))
def test_every_flag_of_the_task_is_explained(flag: str) -> None:
    (note,) = said(flag_notes([flagged(make_record(), flag)]))
    assert note == f"`{flag}` (every cell): {TASKS['generation'].flags[flag]}."


def test_a_flag_of_some_cells_says_how_many_and_where() -> None:
    records = [flagged(make_record("mnist-mlp"), "low-rank-fid"), make_record(), make_record(seed=1)]
    (note,) = said(flag_notes(records))
    assert note.startswith("`low-rank-fid` (1 of 3 cells; mnist-mlp): ")


def test_operators_of_one_counter_are_one_sentence() -> None:
    record = flagged(make_record(), "uncounted:aten::b", "uncounted:aten::a", "fvcore-unsupported:aten::tanh")
    found = said(flag_notes([record]))
    assert len(found) == 2
    assert found[1].startswith("`uncounted:aten::a`, `uncounted:aten::b` (every cell): operators that nobody counts")


def test_a_flag_that_nobody_describes_is_named_all_the_same() -> None:
    (note,) = said(flag_notes([flagged(make_record(), "brand-new")]))
    assert note.startswith("`brand-new` (every cell): no description")


def test_a_record_without_numbers_carries_none() -> None:
    assert flag_notes([flagged(make_record(empty=True, status="infeasible"), "small-n")]) == []


def test_the_names_of_flags_cannot_be_markup() -> None:
    (note,) = flag_notes([flagged(make_record(), "uncounted:<script>`|")])
    assert "<script>" not in inline(note)


# Timings


def timed(status: str, **more: object) -> LatencyRecord:
    known = latency_record("mnist-dcgan", "mnist-dcgan-dense", 1, 1.0)
    return known.model_copy(update={"status": status, "reason": "why", **more})


def test_timings_that_gave_no_time_are_counted_by_what_became_of_them() -> None:
    table = latency_table([timed("ok"), timed("invalid"), timed("invalid", batch=16), timed("refused")])
    noise, *found = said(timing_notes(table))
    assert "dense against itself: within 0.9" in noise and "“not separable from 1”" in noise
    assert [note.partition(":")[0] for note in found] == [
        "`invalid` (2 of 4 timings; mnist-dcgan)", "`refused` (1 of 4 timings; mnist-dcgan)",
    ]  # fmt: skip
    assert "disturbed by other work" in found[0]
    assert timing_notes(latency_table([])) == []


def test_keep_in_mind_has_flags_and_lost_timings_in_both_reports() -> None:
    records = [flagged(record, "small-n", "low-rank-fid") for record in (make_record(), make_record(seed=1))]
    model = build_model(ReportInputs({"name": "x"}, "main", records, latency=[timed("invalid")]))
    kept = render_markdown(model, [], []).partition("### Keep in mind\n")[2].partition("\n#")[0]
    assert all(f"`{name}`" in kept for name in ("small-n", "low-rank-fid", "invalid"))
    (notes,) = model.notes  # what the page shows under the same title
    assert kept.count("\n- ") + kept.startswith("- ") == len(notes.items)  # type: ignore[union-attr]


# A reference of dense's own samples


def test_the_columns_do_not_speak_of_training_images_that_there_are_not() -> None:
    frame = tidy(run(1000, DENSE_REFERENCE))
    real, own = columns_of(frame), columns_of(frame, of_dense(run(1000, DENSE_REFERENCE)))
    words = {name: "".join(map(str, text)) for name, text in own.items()}
    assert "training images" in "".join(map(str, real["fid[...]"]))
    assert "training images" not in words["fid[...]"] and "samples of the dense generator" in words["fid[...]"]
    gap = "fid-held-out[...], fid-train-subset[...]"
    assert "memorising" in "".join(map(str, real[gap])) and "memorising" not in words[gap]
    assert list(own) == list(real)


def test_where_some_workloads_have_real_images_both_are_said() -> None:
    records = [*run(1000, DENSE_REFERENCE), make_record("mnist-mlp")]
    text = "".join(map(str, columns_of(tidy(records), of_dense(records))["fid[...]"]))
    assert "training images" in text and "Of mnist-dcgan: Fréchet distance to samples of the dense generator" in text


# The floor


@pytest.mark.parametrize(("images", "drawn"), [(999, False), (1000, True), (1001, False), (123, False)])
def test_a_floor_is_drawn_where_it_is_of_as_many_images_as_the_cells(images: int, drawn: bool) -> None:
    known, left_out = floors(run_tables(run(images)).aggregated, FID, frozenset())
    assert known == ({"mnist-dcgan": "real images"} if drawn else {})
    assert left_out == ([] if drawn else [
        f"mnist-dcgan: no band for real images, whose value is of N = {images:,} and not of 1,000"
    ])  # fmt: skip


@pytest.mark.parametrize(("flags", "words"), [((), "real images 3"), ((DENSE_REFERENCE,), "dense's own samples 3")])
def test_the_band_is_called_what_it_is(flags: tuple[str, ...], words: str) -> None:
    figure = next(each for each in headline(run(1000, *flags)) if each.name == "quality-fid")
    texts = [text.get_text() for axes in figure.figure.axes for text in axes.texts]
    assert words in "".join(texts)
    assert "no band" not in figure.caption


def test_where_no_band_is_drawn_the_caption_says_why() -> None:
    figure = next(each for each in headline(run(123, DENSE_REFERENCE)) if each.name == "quality-fid")
    assert not any("samples" in text.get_text() for axes in figure.figure.axes for text in axes.texts)
    assert "no band for dense's own samples, whose value is of N = 123 and not of 1,000" in figure.caption
