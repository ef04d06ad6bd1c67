"""What collapsed keeps its numbers, says that it collapsed, and is never ranked, tested or recommended by them."""

from __future__ import annotations

import csv
import io
import math

import pytest
from rich.console import Console

from bench.cli import terminal
from bench.records import Record
from bench.report.answer import answer
from bench.report.drawings import _sample_captions
from bench.report.glance import best_means
from bench.report.inputs import ReportInputs
from bench.report.latex import latex
from bench.report.markdown import inline, markdown, render_markdown
from bench.report.model import build_model
from bench.report.paper import paper_tables
from bench.report.papertable import comma_separated
from bench.report.rankings import rankings
from bench.report.rows import main_tables
from bench.tables import aggregate, run_tables, tidy
from bench.tables.claims import claims_of
from bench.tables.hypervolume import hypervolume_table
from bench.tables.isoquality import iso_points, iso_quality
from bench.tables.text import MISSING, seen_places, summary_text
from bench.tables.tidy import rows_of
from bench.tables.write import comma_separated as csv_of
from tests.report.synthetic import FID, make_record

BEST = 0.5
"""An FID far below that of everything else: whoever looks at it would recommend it."""
LOST, KEPT = "l1-channel-uniform", "l1-channel-global"


def records(lost: int = 2, fid: float | None = BEST) -> list[Record]:
    """Three seeds of dense and three strategies, one of which collapsed in ``lost`` of them."""
    found = []
    for seed in range(3):
        found.append(make_record(strategy="dense", sparsity=0.0, seed=seed, fid=4.0 + seed / 10))
        found += [make_record(strategy=name, seed=seed, fid=9.0 + seed) for name in (KEPT, "l1-weight-global")]
        status = "collapsed" if seed < lost else "ok"
        gone = fid if seed < lost else 40.0
        found.append(make_record(strategy=LOST, seed=seed, fid=gone, status=status, reason="look alike" * (seed < lost),
                                 inception=None if gone is None else 1.0))  # fmt: skip
    return found


def row(found: list[Record], strategy: str = LOST) -> dict[str, object]:
    return next(each for each in rows_of(run_tables(found).summary) if each["strategy"] == strategy)


# The tables have both


def test_the_mean_of_a_group_with_a_collapse_is_hidden_and_that_of_every_seed_stands_beside() -> None:
    table = aggregate(tidy(records()))
    fid = next(r for r in rows_of(table) if r["strategy"] == LOST and r["metric"] == FID)
    assert math.isnan(fid["mean"]) and fid["n"] == 1 and fid["collapsed"] == "collapsed 2/3"
    assert (fid["finite_n"], fid["finite_mean"]) == (3, pytest.approx((BEST + BEST + 40.0) / 3))
    assert fid["finite_delta_mean"] == pytest.approx((BEST + BEST + 40.0) / 3 - 4.1)
    assert fid["finite_ci95"] > 0 and math.isnan(fid["delta_mean"])


def test_without_a_collapse_both_are_the_same() -> None:
    for each in rows_of(aggregate(tidy(records(lost=0)))):
        pairs = [(each[f"finite_{name}"], each[name]) for name in ("n", "mean", "ci95", "delta_mean", "delta_ci95")]
        assert all(one == other or (math.isnan(one) and math.isnan(other)) for one, other in pairs)


def test_what_is_not_finite_has_neither() -> None:
    lost = row(records(lost=3, fid=None))
    assert math.isnan(lost["fid_mean"]) and math.isnan(lost["fid_finite_mean"])  # type: ignore[arg-type]
    some = row(records(lost=2, fid=None))
    assert (some["finite_n"], some["fid_finite_mean"]) == (1, 40.0)


def test_the_csv_has_the_columns() -> None:
    (lost,) = [each for each in csv.DictReader(io.StringIO(csv_of(run_tables(records()).summary)))
               if each["strategy"] == LOST]  # fmt: skip
    assert float(lost["fid_finite_mean"]) == pytest.approx(41 / 3) and lost["fid_mean"] == ""
    assert (lost["finite_n"], lost["collapsed"]) == ("3", "collapsed 2/3")


# It is shown


def test_the_main_table_in_words() -> None:
    headers, rows = summary_text(run_tables(records(lost=3)).summary)
    lost = dict(zip(headers, next(each for each in rows if each[0] == LOST), strict=True))
    assert lost["fid[mnist-lenet] ↓"] == "0.500 ± 0, collapsed 3/3"
    assert lost["difference to dense"].startswith("−3.600")
    assert (lost["is[mnist-lenet] ↑"], lost["n"]) == ("1.00 ± 0, collapsed 3/3", "3")
    headers, rows = summary_text(run_tables(records(lost=3, fid=None)).summary)
    lost = dict(zip(headers, next(each for each in rows if each[0] == LOST), strict=True))
    assert (lost["fid[mnist-lenet] ↓"], lost["difference to dense"]) == ("collapsed 3/3", MISSING)


def test_the_other_metrics_in_words() -> None:
    text = render_markdown(build_model(ReportInputs({"name": "x"}, "main", records(lost=3))), [], [])
    other = text.partition(": other metrics")[2]
    (line,) = [each for each in other.splitlines() if LOST in each and "collapsed" in each][:1]
    assert "2.65 ± 0, collapsed 3/3" in line


def test_the_page_shows_the_number_with_the_collapse_below_it_and_sorts_it_last() -> None:
    numbers = run_tables(records())
    (table,) = main_tables(numbers.summary, numbers.frame, {}, None)
    cells = {entry.key[1]: dict(zip([c.key for c in table.columns], entry.cells, strict=True))
             for entry in table.entries}  # fmt: skip
    lead, delta = cells[LOST]["lead"], cells[LOST]["delta"]
    assert lead.text.startswith("13.67 ± ") and (lead.note, lead.sort, lead.warn) == ("collapsed 2/3", "", True)
    assert delta.text.startswith("+9.57") and delta.sort == ""
    assert cells[KEPT]["lead"].note == "" and float(cells[KEPT]["lead"].sort) == 10.0


def terminal_lines(found: list[Record]) -> dict[str, str]:
    console = Console(file=io.StringIO(), width=160, highlight=False)
    console.print(*terminal._summary_tables(run_tables(found).summary))
    assert isinstance(console.file, io.StringIO)
    return {line.split()[0]: line for line in console.file.getvalue().splitlines() if line.strip()}


def test_the_terminal() -> None:
    lines = terminal_lines(records())
    assert "13.67 ±" in lines[LOST] and "+9.57" in lines[LOST] and lines[LOST].rstrip().endswith(" 2/3")
    assert "/3" not in lines[KEPT]
    assert "collapsed 3/3" in terminal_lines(records(lost=3, fid=None))[LOST]


def test_the_paper_tables() -> None:
    numbers = run_tables(records())
    table = next(each for each in paper_tables(numbers, claims_of(numbers.frame, "l1-weight-global"))
                 if each.name == "equal-params")  # fmt: skip
    for text in (latex(table).replace(r"$\pm$", "±"), comma_separated(table)):
        (line,) = [each for each in text.splitlines() if LOST in each]
        assert "13.67 ± " in line and "collapsed 2/3" in line


def test_the_captions_of_samples() -> None:
    summary = run_tables(records(lost=3)).summary
    keys = {("mnist-dcgan", name, "0.5"): None for name in (LOST, KEPT)}
    captions = _sample_captions(summary, keys, None)  # type: ignore[arg-type]
    assert list(captions.values()) == ["0.5, FID 0.500\ncollapsed 3/3", "0.5, FID 10.0"]
    summary = run_tables(records(lost=3, fid=None)).summary
    assert _sample_captions(summary, keys, None)["mnist-dcgan", LOST, "0.5"] == "0.5, collapsed 3/3"  # type: ignore[arg-type]


# It decides nothing


@pytest.mark.parametrize("lost", [1, 2, 3])
def test_it_is_neither_the_best_mean_nor_claimed_nor_bold(lost: int) -> None:
    found = records(lost)
    numbers = run_tables(found)
    (best,) = best_means(numbers.summary)
    words = " ".join(map(inline, best.lines))
    assert LOST not in words and "1 without a mean here" in words
    claims = claims_of(numbers.frame, "l1-weight-global")
    verdict = "worse: collapsed" if lost == 3 else "collapsed"
    assert [claim.verdict for claim in claims.against_reference if claim.strategy == LOST] == [verdict]
    assert [claim.verdict for claim in claims.against_dense if claim.strategy == LOST] == [verdict]
    said = " ".join(markdown(part.blocks) for part in answer(numbers.frame, claims) if part.about == "dense")
    assert LOST not in said
    for table in paper_tables(numbers, claims):
        assert not any(line.best for line in table.lines if any(cell.text == LOST for cell in line.cells))


def test_it_wins_no_area_and_holds_no_quality() -> None:
    frame, latency = run_tables(records(lost=3)).frame, run_tables(records()).latency
    table = hypervolume_table(frame)
    assert set(table.loc[table["strategy"] == LOST, "mean"]) <= {0.0}
    found = iso_quality(frame, iso_points(frame, latency))
    assert set(found.loc[found["strategy"] == LOST, "status"]) <= {"not reached", "at least"}
    assert not found.loc[found["strategy"] == LOST, "reached"].any()


def test_it_ranks_last() -> None:
    second = [record.model_copy(update={"cell": record.cell.model_copy(update={"workload": "other"})})
              for record in records(lost=3)]  # fmt: skip
    (ranking,) = rankings(tidy([*records(lost=3), *second]))
    assert all(rank == 3 for seeds in ranking.ranks[LOST] for rank in seeds)


# The digits of a small judge


@pytest.mark.parametrize(("value", "digits", "expected"), [
    (0.033, 2, 4), (0.33, 2, 3), (1.0, 2, 2), (0.999, 1, 3), (23.0, 1, 1), (0.0, 2, 2), (math.nan, 2, 2),
    (-0.033, 2, 4), (1e-30, 2, 8),
])  # fmt: skip
def test_values_below_one_show_three_digits(value: float, digits: int, expected: int) -> None:
    assert seen_places(value, digits) == expected


def test_a_judge_of_small_distances_is_readable_in_captions_tables_and_the_terminal() -> None:
    found = [record.model_copy(update={"numbers": record.numbers | {
        FID: record.numbers[FID].model_copy(update={"value": (record.numbers[FID].value or 0) / 1000})
    }}) for record in records(lost=0)]  # fmt: skip
    summary = run_tables(found).summary
    captions = _sample_captions(summary, {("mnist-dcgan", "dense", "0"): None}, None)  # type: ignore[arg-type]
    assert captions["mnist-dcgan", "dense", "0"] == "dense, FID 0.00410"
    _, rows = summary_text(summary)
    assert any(cell.startswith("0.00410 ± ") for cell in rows[0])
    assert "0.00410 ±" in terminal_lines(found)["dense"] and "+0.0059" in terminal_lines(found)[KEPT]
