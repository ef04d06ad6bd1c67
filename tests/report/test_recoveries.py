"""The table of recoveries x strategies."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from bench.records import Record
from bench.report.build import build_report
from bench.report.inputs import ReportInputs
from bench.report.markdown import markdown
from bench.report.recoveries import recoveries_section
from bench.tables import aggregate, latency_table, summarise, tidy
from tests.report.synthetic import make_record

RECOVERIES = ("none", "bn-recalibrate")


def records(recoveries: tuple[str, ...] = RECOVERIES) -> list[Record]:
    """Dense 4 and 3, l1 at .8 20 and 10, at .9 40 and 20: halved by the second recovery, three seeds 1 apart."""
    found = []
    for seed in (0, 1, 2):
        for recovery, share in zip(RECOVERIES, (1.0, 0.5), strict=True):
            if recovery not in recoveries:
                continue
            dense = 4.0 if recovery == "none" else 3.0
            found.append(make_record(strategy="dense", sparsity=0.0, seed=seed, fid=dense, recovery=recovery))
            for level, fid in ((0.8, 20.0), (0.9, 40.0)):
                value = share * fid + seed - 1
                found.append(make_record(sparsity=level, seed=seed, fid=value, recovery=recovery))
    return found


def section_text(table: pd.DataFrame) -> str:
    return markdown(recoveries_section(table).blocks)


def summary(found: list[Record]) -> pd.DataFrame:
    frame = tidy(found)
    return summarise(frame, aggregate(frame), latency_table([]))


def rows_of(text: str, heading: str) -> list[list[str]]:
    """The body of the table under ``heading``."""
    lines = text.split(heading)[1].split("###")[0].strip().splitlines()
    table = [line for line in lines if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in [table[0], *table[2:]]]


def test_rows_are_recoveries_and_columns_strategies() -> None:
    text = section_text(summary(records()))
    head, *body = rows_of(text, "### mnist-dcgan, 0.8: fid[mnist-lenet] ↓")
    assert head == ["recovery", "dense", "l1-weight-global"]
    found = {row[0]: row[1:] for row in body}
    assert (found["none"][1], found["bn-recalibrate"][1]) == ("20.00 ± 2.48", "10.00 ± 2.48")  # t(.975, 2) / sqrt(3)
    assert (found["none"][0][:4], found["bn-recalibrate"][0][:4]) == ("4.00", "3.00")
    harder = {row[0]: row[2] for row in rows_of(text, "### mnist-dcgan, 0.9: fid[mnist-lenet] ↓")[1:]}
    assert harder == {"none": "40.00 ± 2.48", "bn-recalibrate": "20.00 ± 2.48"}


def test_a_single_recovery_needs_no_such_table() -> None:
    assert section_text(summary(records(("none",)))) == ""


def test_where_nothing_was_judged_there_is_none() -> None:
    judged = [r.model_copy(update={"numbers": {k: v for k, v in r.numbers.items() if "[" not in k}}) for r in records()]
    assert section_text(summary(judged)) == ""


def test_what_collapsed_or_does_not_fit_says_so() -> None:
    found = records()
    fallen = [
        r.model_copy(update={"status": "collapsed"})
        if r.cell.recovery == "none" and r.cell.strategy != "dense" and r.cell.seed == 0
        else r
        for r in found
    ]
    other = [
        make_record(strategy="bnscale-channel-global", sparsity=0.8, seed=s, recovery="none", empty=True,
                    status="not-applicable", reason="no BatchNorm")
        for s in (0, 1, 2)
    ]  # fmt: skip
    text = section_text(summary([*fallen, *other]))
    head, *body = rows_of(text, "### mnist-dcgan, 0.8: ")
    none = dict(zip(head, next(row for row in body if row[0] == "none"), strict=True))
    assert none["l1-weight-global"] == "20.00 ± 2.48, collapsed 1/3"
    assert none["bnscale-channel-global"] == "not-applicable"
    calibrated = dict(zip(head, next(row for row in body if row[0] == "bn-recalibrate"), strict=True))
    assert calibrated["bnscale-channel-global"] == "—"


def changed(record: Record, **fields: object) -> Record:
    return record.model_copy(update={"cell": record.cell.model_copy(update=fields)})


def test_dense_stands_beside_cells_of_any_target() -> None:
    """Dense has no target: its own is always ``params``."""
    found = [r if r.cell.strategy == "dense" else changed(r, target="macs") for r in records()]
    head, *body = rows_of(section_text(summary(found)), "### mnist-dcgan, 0.8: ")
    assert head == ["recovery", "dense", "l1-weight-global"]
    assert {row[0]: row[1][:4] for row in body} == {"none": "4.00", "bn-recalibrate": "3.00"}


def test_two_targets_are_two_tables() -> None:
    found = [*records(), *(changed(r, target="macs") for r in records() if r.cell.strategy != "dense")]
    text = section_text(summary(found))
    assert text.count("### mnist-dcgan, ") == 4
    assert "### mnist-dcgan, macs, 0.8: " in text and "### mnist-dcgan, params, 0.8: " in text


def test_levels_come_in_their_order_whichever_strategy_has_them() -> None:
    other = [
        make_record(strategy="l1-weight-uniform", sparsity=0.3, seed=seed, fid=5.0, recovery=recovery)
        for seed in (0, 1, 2)
        for recovery in RECOVERIES
    ]
    text = section_text(summary([*records(), *other]))
    headings = [line for line in text.splitlines() if line.startswith("###")]
    assert [heading.split(", ")[1][:3] for heading in headings] == ["0.3", "0.8", "0.9"]


def test_kid_stands_in_where_fid_was_not_asked_for() -> None:
    found = []
    for record in records():
        fid = record.numbers["fid[mnist-lenet]"]
        assert fid.value is not None
        kid = fid.model_copy(update={"value": fid.value / 1e4})
        found.append(record.model_copy(update={"numbers": {"kid[mnist-lenet]": kid}}))
    text = section_text(summary(found))
    assert "### mnist-dcgan, 0.8: kid[mnist-lenet] × 10³ ↓" in text
    assert {row[0]: row[2][:4] for row in rows_of(text, "### mnist-dcgan, 0.8: ")[1:]} == {
        "none": "2.00",
        "bn-recalibrate": "1.00",
    }


def test_both_reports_show_it(tmp_path: Path) -> None:
    page = build_report(ReportInputs({}, "main", records()), tmp_path).read_text(encoding="utf-8")
    assert '<section id="recoveries"' in page and '<a href="#recoveries">Recoveries</a>' in page
    assert "## What each recovery brings" in (tmp_path / "report.md").read_text(encoding="utf-8")
