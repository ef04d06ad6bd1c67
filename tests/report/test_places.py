"""Two trainings of a workload in one run: every table says which rows are of which, and with one nothing is said."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from bench.base.errors import UserError
from bench.cli import terminal
from bench.records import Record
from bench.report.drawings import grids_of
from bench.report.html import render_html
from bench.report.inputs import ReportInputs
from bench.report.markdown import render_markdown
from bench.report.model import ReportModel, build_model
from bench.tables import run_tables
from bench.tables.places import by_place, place_names
from tests.report.synthetic import FID, make_record

NAMES = ("first.pth", "second.pth")
EXPERIMENT = {"name": "two", "report": {"reference": "l1-weight-global"}}


def of(checkpoint: str, record: Record, **update: object) -> Record:
    return record.model_copy(update={"cell": record.cell.model_copy(update={"checkpoint": checkpoint}), **update})


def trainings(names: Sequence[str] = NAMES) -> list[Record]:
    """Dense and two strategies of each training, with other numbers in each; one cell that is out of reach."""
    found = []
    for index, name in enumerate(names):
        fid = 3.0 + 100 * index
        found += [
            of(name, make_record(strategy="dense", sparsity=0.0, seed=seed, fid=fid + seed / 10)) for seed in (0, 1, 2)
        ]
        for strategy, more in (("l1-weight-global", 1.0), ("l1-channel-uniform", 5.0)):
            found += [of(name, make_record(strategy=strategy, seed=seed, fid=fid + more)) for seed in (0, 1, 2)]
        lost = make_record(strategy="l1-channel-uniform", sparsity=0.9, empty=True, status="infeasible", reason="no")
        found.append(of(name, lost))
    return found


def model(records: Sequence[Record]) -> ReportModel:
    return build_model(ReportInputs(experiment=EXPERIMENT, run="main", records=records))


def report_md(records: Sequence[Record]) -> str:
    return render_markdown(model(records), [], [])


def printed(records: Sequence[Record]) -> str:
    console = Console(file=io.StringIO(), width=160, highlight=False)
    console.print(*terminal._summary_tables(run_tables(records).summary))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_place_is_named_by_its_checkpoint_only_where_its_workload_has_several() -> None:
    named = place_names([("a", "x"), ("a", "y"), ("b", "x"), ("b", "x")])
    assert named == {("a", "x"): "a, checkpoint x", ("a", "y"): "a, checkpoint y", ("b", "x"): "b"}


def test_every_row_is_in_one_place() -> None:
    summary = run_tables(trainings()).summary
    parts = dict(by_place(summary))
    assert list(parts) == [f"mnist-dcgan, checkpoint {name}" for name in NAMES]
    assert sum(map(len, parts.values())) == len(summary)
    assert all(set(part["checkpoint"]) == {name} for part, name in zip(parts.values(), NAMES, strict=True))


def test_the_terminal_has_a_block_for_each_checkpoint() -> None:
    blocks = re.split(r"mnist-dcgan, checkpoint (\S+), bn-recalibrate", printed(trainings()))
    assert blocks[1::2] == list(NAMES)
    for block, first in zip(blocks[2::2], ("3.10", "103.10"), strict=True):
        assert re.search(rf"dense .* {first} ±", block) and block.count("dense") == 1


def test_with_one_checkpoint_the_terminal_does_not_name_it() -> None:
    assert "mnist-dcgan, bn-recalibrate" in printed(trainings(NAMES[:1]))
    assert "first.pth" not in printed(trainings(NAMES[:1]))


def test_rows_of_two_targets_are_told_apart_too() -> None:
    records = trainings(NAMES[:1])
    macs = [r.model_copy(update={"cell": r.cell.model_copy(update={"target": "macs"})})
            for r in records if r.cell.strategy != "dense"]  # fmt: skip
    text = printed([*records, *macs])
    assert "mnist-dcgan, bn-recalibrate, target params" in text and "mnist-dcgan, bn-recalibrate, target macs" in text
    others = report_md([*records, *macs]).partition(": other metrics")[2].partition("\n## ")[0]
    assert others.count("l1-weight-global") == 2 and "| params" in others and "| macs" in others


def test_the_markdown_tables_stand_under_the_checkpoint_that_they_are_of() -> None:
    text = report_md(trainings())
    for name, dense in zip(NAMES, ("3.10", "103.10"), strict=True):
        for what in ("", ": other metrics"):
            table = text.partition(f"### mnist-dcgan, checkpoint {name}{what}\n")[2].partition("\n#")[0]
            assert table.count("| dense ") == 1, (name, what)
            assert what or f"{dense} ±" in table
    assert "### mnist-dcgan\n" not in text


@pytest.mark.parametrize("title", ["Method", "What pruning cost", "Exclusions"])
def test_what_the_report_lists_of_a_run_names_the_checkpoint(title: str) -> None:
    part = report_md(trainings()).partition(f"## {title}\n")[2].partition("\n## ")[0]
    assert all(name in part for name in NAMES), part


def test_with_one_checkpoint_the_report_names_it_only_where_it_says_what_was_asked() -> None:
    text = report_md(trainings(NAMES[:1]))
    assert "checkpoint first.pth" not in text and "### mnist-dcgan\n" in text


def test_the_page_has_a_table_for_each_checkpoint() -> None:
    page = render_html(model(trainings()), [], [], {})
    assert [f"<h3>mnist-dcgan, checkpoint {name}</h3>" in page for name in NAMES] == [True, True]
    assert page.count('class="results"') == 2


def test_samples_of_two_checkpoints_are_two_sheets_with_captions_of_their_own() -> None:
    places = [f"mnist-dcgan, checkpoint {name}" for name in NAMES]
    image = np.zeros((2, 1, 4, 4), np.uint8)
    samples = {(place, strategy, level): image for place in places
               for strategy, level in (("dense", "0"), ("l1-weight-global", "0.5"))}  # fmt: skip
    records = trainings()
    sheets = grids_of(ReportInputs(EXPERIMENT, "main", records, samples=samples), run_tables(records).summary)
    assert len({sheet.name for sheet in sheets}) == 2
    captions = [sheet.arguments[1][place, "dense", "0"] for sheet, place in zip(sheets, places, strict=True)]
    assert captions == ["dense, FID 3.1", "dense, FID 103.1"]


def test_each_checkpoint_may_have_a_reference_of_its_own_but_no_table_mixes_two() -> None:
    """`dense-samples` are of one dense generator, so FID of two trainings has two versions."""
    records = trainings()
    other = [
        record.model_copy(update={"numbers": {
            name: number.model_copy(update={"version": "2"}) if name == FID else number
            for name, number in record.numbers.items()
        }}) if record.cell.checkpoint == NAMES[1] else record
        for record in records
    ]  # fmt: skip
    assert len(run_tables(other).summary) == len(run_tables(records).summary)
    with pytest.raises(UserError, match="never put side by side"):
        run_tables([of(NAMES[0], record) for record in other[:3] + other[-7:]])


def test_a_run_s_folder_gives_the_samples_of_both(tmp_path: Path) -> None:
    from safetensors.numpy import save

    from bench.records import PlannedCell
    from bench.records.store import RunStore
    from bench.report.loading import _samples

    store, records = RunStore(tmp_path), [r for r in trainings() if r.numbers and r.cell.seed == 0]
    records = [r.model_copy(update={"keys": r.keys.model_copy(update={"eval": f"{n:064x}"})})
               for n, r in enumerate(records)]  # fmt: skip
    for n, record in enumerate(records):
        path = store.paths.cell_samples(record.keys.eval)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(save({"images": np.full((1, 1, 2, 2), n, np.uint8)}))
    _, found = _samples(store, [PlannedCell(cell=r.cell, keys=r.keys) for r in records], records)
    assert len(found) == len(records)
    assert {key[0] for key in found} == {f"mnist-dcgan, checkpoint {name}" for name in NAMES}
