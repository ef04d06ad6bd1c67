"""A speed-up that is none is said in the same words wherever it stands, beside the timing's own noise."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.records import LatencyRecord
from bench.report.flags import timing_notes
from bench.report.glance import _saving
from bench.report.markdown import inline as plain
from bench.report.paper import paper_tables, write_paper_tables
from bench.report.papertable import faster
from bench.report.rows import main_tables
from bench.tables.claims import claims_of
from bench.tables.latency import NOT_SEPARABLE
from bench.tables.run_tables import RunTables, run_tables
from bench.tables.text import summary_text
from bench.tables.tidy import rows_of
from tests.report.synthetic import latency_record, make_records

STRATEGY, LEVEL = "l1-channel-global", "0.5"


def timed(
    speedup: float, half: float, *, name: str = f"mnist-dcgan-{STRATEGY}-{LEVEL}", batch: int = 1
) -> LatencyRecord:
    known = latency_record("mnist-dcgan", name, batch, 1.0)
    ends = {"speedup_low": speedup - half, "speedup_high": speedup + half}
    return known.model_copy(update={"speedup": speedup, **ends})


@pytest.fixture(scope="module")
def numbers() -> RunTables:
    """Batch 1 is within the noise of dense against itself, batch 16 is not."""
    itself = [timed(1.0, 0.06, name="mnist-dcgan-dense", batch=batch) for batch in (1, 16)]
    found = run_tables(make_records(), [*itself, timed(1.04, 0.01), timed(1.44, 0.01, batch=16)])
    return found.of_workloads(["mnist-dcgan"])


def test_the_page_says_it_in_the_cell_and_keeps_the_interval(numbers: RunTables) -> None:
    (table,) = main_tables(numbers.summary, numbers.frame, {}, None)
    where = [column.key for column in table.columns]
    (entry,) = [entry for entry in table.entries if entry.key[1:] == (STRATEGY, LEVEL)][:1]
    one, many = entry.cells[where.index("b1")], entry.cells[where.index("b16")]
    assert (one.text, one.note, one.sort) == (NOT_SEPARABLE, "1.03 to 1.05", "1.04")
    assert (many.text, many.note) == ("1.44×", "1.43 to 1.45")


def test_the_table_as_text_says_it(numbers: RunTables) -> None:
    headers, rows = summary_text(numbers.summary)
    found = [row for row in rows if row[:2] == [STRATEGY, LEVEL]]
    assert {row[headers.index("measured, batch 1")] for row in found} == {NOT_SEPARABLE}
    assert {row[headers.index("measured, batch 16")] for row in found} == {"1.44x"}


def test_paper_tables_say_it_in_every_format_and_the_noise_in_the_caption(numbers: RunTables, tmp_path: Path) -> None:
    tables = paper_tables(numbers, claims_of(numbers.frame, "l1-weight-global"))
    files = write_paper_tables(tmp_path, tables)
    for kind in ("md", "tex", "csv"):
        words = files[f"equal-params.{kind}"].read_text()
        assert NOT_SEPARABLE in words and "1.44" in words and "1.04x" not in words
    for kind in ("md", "tex"):
        words = files[f"equal-params.{kind}"].read_text()
        assert f"{NOT_SEPARABLE} [1.03, 1.05]" in words and "dense against itself: within 0.94 to 1.06" in words
        assert "Not separable from 1: the interval holds 1" in words


def test_keep_in_mind_and_the_glance_say_it(numbers: RunTables) -> None:
    (note,) = [plain(one) for one in timing_notes(numbers.latency)]
    assert "dense against itself: within 0.94 to 1.06x, the timing's own noise" in note and NOT_SEPARABLE in note
    (row, *_) = [row for row in rows_of(numbers.summary) if (row["strategy"], row["level"]) == (STRATEGY, LEVEL)]
    assert f"measured speed-up {NOT_SEPARABLE} at batch 1, measured 1.44× the speed of dense" in _saving(row)


def test_a_cell_without_the_verdict_keeps_its_number() -> None:
    assert faster(1.04, 1.03, 1.05, NOT_SEPARABLE).text == f"{NOT_SEPARABLE} [1.03, 1.05]"
    assert faster(1.04, 1.03, 1.05, "faster").text == "1.04x [1.03, 1.05]"
