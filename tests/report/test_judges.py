"""What judges a run, how its numbers are printed, and that nothing is claimed of what was not measured."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Collection
from pathlib import Path

import pandas as pd
import pytest
from bench.report.claims import against_dense, against_reference, claims_of
from rich.console import Console

from bench.cli import terminal
from bench.records import LatencyRecord, Record
from bench.report.answer import answer as answered
from bench.report.build import build_report
from bench.report.cost_words import cost_section
from bench.report.drawings import figures_of
from bench.report.inputs import ReportInputs
from bench.report.markdown import markdown
from bench.report.paper import paper_tables, write_paper_tables
from bench.report.papertable import counted, decimals, faster
from bench.tables import aggregate, latency_table, run_tables, summarise, tidy, with_latency, write_tables
from bench.tables.backends import by_backend
from bench.tables.claims import against_dense, against_reference, claims_of
from bench.tables.isoquality import Margin, iso_points, iso_quality
from bench.tables.latency import timing_noise
from bench.tables.lead import judge_by, power_for, times_ten
from bench.tables.text import other_metrics_text, summary_text, with_interval
from bench.tasks.generation import GENERATION
from bench.tasks.generation.quantities import FID, KID
from tests.report.synthetic import latency_record, make_latency, make_record, make_records, with_metrics

FIDS = ("fid", "fid-held-out")


def records_without(drop: Collection[str] = ()) -> list[Record]:
    return [with_metrics(record, drop=drop) for record in make_records()]


def papers(folder: Path, records: list[Record], latency: list[LatencyRecord]) -> dict[str, Path]:
    numbers = run_tables(records, latency)
    return write_paper_tables(folder, paper_tables(numbers, claims_of(numbers.frame, "l1-weight-global")))


def answer(frame: pd.DataFrame, reference: str) -> list[str]:
    return [markdown(part.blocks) for part in answered(frame, claims_of(frame, reference))]


def csv_rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text())))


def of_itself(speedup: float) -> LatencyRecord:
    """Dense timed against itself."""
    record = latency_record("mnist-dcgan", "mnist-dcgan-dense", 1, 1.0)
    return record.model_copy(update={"speedup": speedup, "speedup_low": speedup - 0.01, "speedup_high": speedup + 0.02})


def test_a_small_interval_brings_its_digits_or_says_that_it_is_smaller():
    assert with_interval(2.3456, 0.0042, 2) == "2.346 ± 0.004"
    assert with_interval(2.3456, 0.42, 2) == "2.35 ± 0.42"
    assert with_interval(2.3456, 1e-7, 2) == "2.35 ± <0.01"
    assert with_interval(2.3456, 0.0, 2) == "2.35 ± 0"
    assert decimals(0.5, 3, 1e-9).text == "0.500 ± <0.001"
    assert counted(2.9, math.nan, 1e-9, smallest="").text == "2.90 ± <0.01"


def test_a_speed_up_has_its_interval_unless_it_is_the_same_network():
    assert faster(1.523, 1.477, 1.571).text == "1.52x [1.48, 1.57]"
    assert faster(1.0, 1.0, 1.0).text == "1.00x"
    assert faster(math.nan, math.nan, math.nan).text == "—"


def test_speed_ups_in_the_paper_tables_have_the_intervals_of_the_summary(tmp_path: Path):
    records = make_records()
    files = papers(tmp_path, records, make_latency(records))
    frame, timed = tidy(records), latency_table(make_latency(records))
    summary = summarise(frame, aggregate(frame), timed).set_index(["workload", "strategy", "requested"])
    shown = csv_rows(files["equal-params.csv"])
    checked = 0
    for row in shown:
        if row["strategy"] == "l1-channel-global":
            known = summary.loc[(row["workload"], row["strategy"], float(row["sparsity"]) / 100)]
            for name in ("speedup_b1", "speedup_b16"):
                for end in ("", "_low", "_high"):
                    assert row[name + end] == f"{known[name + end]:.2f}"
                    checked += 1
                cell = f"{row[name]}x [{row[name + '_low']}, {row[name + '_high']}]"
                assert cell in files["equal-params.md"].read_text()
                assert f"$[{row[name + '_low']}, {row[name + '_high']}]$" in files["equal-params.tex"].read_text()
    assert checked == 48


def test_dense_against_itself_is_noise_and_no_speed_up(tmp_path: Path):
    records = make_records()
    latency = [*make_latency(records), of_itself(1.012)]
    table = latency_table(latency)
    raw = table[table["architecture"] == table["dense_architecture"]]
    assert list(raw["speedup"]) == [1.012]
    joined = with_latency(tidy(records)[["workload", "checkpoint", "architecture"]].drop_duplicates(), table)
    masks = joined[joined["architecture"].str.endswith("-dense")]
    assert set(masks["speedup"]) == {1.0} and set(masks["latency_status"]) == {"same-as-dense"}
    assert timing_noise(table) == "dense against itself: within 0.97 to 1.03x, the timing's own noise"
    files = papers(tmp_path, records, latency)
    masked = [row for row in csv_rows(files["equal-params.csv"]) if row["masked"] == "true"]
    assert masked and {row["speedup_b1"] for row in masked} == {"1.00"}
    assert {row["speedup_b1_low"] for row in masked} == {""}
    words = files["equal-params.md"].read_text()
    assert "1.00x: the dense architecture" in words and "within 0.97 to 1.03x" in words
    write_tables(tmp_path, run_tables(records, latency))
    assert re.search(r",1\.012,", (tmp_path / "latency.csv").read_text())


def test_a_sparse_kernel_on_the_dense_architecture_keeps_its_speed_up():
    other = of_itself(1.7).model_copy(update={"backend": "csr"})
    table = latency_table([other])
    cells = tidy([make_record()])[["workload", "checkpoint", "architecture"]].drop_duplicates()
    assert 1.7 in list(with_latency(cells, table)["speedup"])


def test_the_noise_of_the_timing_is_otherwise_that_of_its_intervals():
    assert timing_noise(latency_table([])) == ""
    records = make_records()
    assert timing_noise(latency_table(make_latency(records))) == "the median interval of a timing is ± 4.5 %"


def test_the_latency_of_masks_at_equal_quality_is_that_of_dense(tmp_path: Path):
    records = make_records()
    latency = make_latency(records)
    frame = tidy(records)
    table = iso_quality(frame, iso_points(frame, latency_table(latency), [Margin(0.5)]))
    masked = table[(table["cost"] == "latency") & (table["strategy"] == "l1-weight-global")]
    assert set(masked["status"]) == {"as dense"} and set(masked["ratio"]) == {1.0} and masked["ci95"].isna().all()
    assert list(masked["value"]) == list(masked["dense"])
    files = papers(tmp_path, records, latency)
    words = files["iso-quality.md"].read_text()
    assert (
        "as dense" in words
        and not re.search(r"± 0\.0+( ms|M)", words)
        and "nothing to measure (the median interval" in words
    )
    rows = [row for row in csv_rows(files["iso-quality.csv"]) if row["latency_b1"] == "as dense"]
    assert rows and not any("latency_b1" in row["best"] for row in rows)
    assert "as dense" in files["iso-quality.tex"].read_text()


def test_fid_judges_where_it_was_measured_else_kid():
    def judging(*metrics: str) -> str | None:
        judge = judge_by(GENERATION, metrics)
        return judge.metric if judge else None

    assert judging("kid[a]", "fid[b]", "is[b]") == "fid[b]"
    assert judging("kid[a]", "is[b]", "fid-held-out[b]") == "kid[a]"
    assert judging("is[b]", "precision[b]") is None


@pytest.mark.parametrize(
    ("values", "power", "words"),
    [
        ([0.0012, 0.002, 0.3], 3, "× 10³"),
        ([2e-6, 3e-6, -4e-6], 6, "× 10⁶"),
        ([0.05, math.nan], 3, "× 10³"),
        ([0.0, math.nan], 0, ""),
        ([3.0], 0, ""),
    ],
)
def test_kid_is_shown_times_a_power_of_ten_from_the_data(values: list[float], power: int, words: str):
    assert power_for(KID, values) == power and times_ten(power) == words
    assert power_for(FID, values) == 0


def test_kid_stands_in_the_tables_times_its_power(tmp_path: Path):
    records = records_without()
    files = papers(tmp_path, records, [])
    assert r"{[}mnist-lenet] $\times$ 10$^{3}$" in files["equal-params.tex"].read_text()
    assert "KID[mnist-lenet] × 10³ ↓" in files["equal-params.md"].read_text()
    aggregated = aggregate(tidy(records))
    known = aggregated[(aggregated["metric"] == "kid[mnist-lenet]") & (aggregated["strategy"] == "dense")]
    rows = {row["workload"]: row for row in csv_rows(files["equal-params.csv"]) if row["strategy"] == "dense"}
    for row in known.to_dict("records"):
        assert float(rows[row["workload"]]["kid"]) == pytest.approx(row["mean"] * 1e3, abs=0.006)
    headers, shown = other_metrics_text(aggregated[aggregated["workload"] == "mnist-dcgan"])
    place = next(index for index, header in enumerate(headers) if header.startswith("kid"))
    assert "× 10³" in headers[place] and shown[0][place].startswith("0.023")


def test_without_fid_kid_takes_its_place_and_nobody_speaks_of_fid(tmp_path: Path):
    records = [record for record in records_without(FIDS) if record.cell.workload == "mnist-dcgan"]
    frame = tidy(records)
    summary = summarise(frame, aggregate(frame), latency_table([]))
    headers, _ = summary_text(summary)
    assert any(header.startswith("kid[mnist-lenet] ×") for header in headers)
    assert not any("fid" in header for header in headers)
    words = "\n".join(answer(frame, "l1-weight-global"))
    assert "differences of KID" in words and "FID" not in words
    assert "so a share of the dense KID is no margin: no pruned network is shown to be as good as dense" in words
    claims = against_dense(frame)
    assert claims and all(math.isnan(claim.allowed) and claim.verdict != "holds" for claim in claims)
    claims = against_reference(frame, "l1-weight-global")
    assert {claim.metric for claim in claims} == {"kid[mnist-lenet]"}
    assert {"higher"} <= {claim.verdict for claim in claims}
    files = papers(tmp_path, records, [])
    table = files["equal-params.md"].read_text()
    assert "differences of KID" in table and "FID" not in table and "**" in table
    assert not any(name.startswith("iso-quality") for name in files)
    figures = figures_of(run_tables(records), records, by_backend(frame, summary, latency_table([])))
    assert {"quality-kid", "quality-precision", "quality-coverage", "pareto-macs"} <= {each.name for each in figures}
    assert not any("fid" in each.name for each in figures)


def test_a_known_shift_of_kid_is_a_claim_and_noise_is_none():
    shifted = [with_metrics(record, drop=FIDS) for record in kid_run([1.0, 1.02, 1.01])]
    assert [claim.verdict for claim in against_reference(tidy(shifted), "l1-weight-global")] == ["higher"]
    noisy = [with_metrics(record, drop=FIDS) for record in kid_run([1.0, -1.0, 0.3])]
    assert [claim.verdict for claim in against_reference(tidy(noisy), "l1-weight-global")] == ["not separable"]


def kid_run(differences: list[float]) -> list[Record]:
    """Dense and the reference with a KID around 0, partly below, and a strategy at these differences / 5e4."""
    found = []
    for seed, difference in enumerate(differences):
        base = (2.9, 3.1, 3.0)[seed]
        found += [
            make_record(strategy="dense", sparsity=0.0, seed=seed, fid=base),
            make_record(strategy="l1-weight-global", seed=seed, fid=base),
            make_record(strategy="l1-channel-global", seed=seed, fid=base + difference),
        ]
    return found


def test_without_fid_and_kid_nothing_is_tested_and_the_answer_says_so(tmp_path: Path):
    records = records_without((*FIDS, "kid"))
    frame = tidy(records)
    words = answer(frame, "l1-weight-global")
    assert len(words) == 1 and words[0].startswith("Neither FID nor KID was measured")
    table = papers(tmp_path, records, [])["equal-params.md"].read_text()
    assert "Precision[mnist-lenet]" in table and "FID" not in table and "**" not in table


def test_a_whole_report_without_fid_claims_none(tmp_path: Path):
    shown = {"dense", "l1-weight-global", "l1-channel-global"}
    records = [record for record in records_without(FIDS) if record.cell.strategy in shown]
    records = [record for record in records if record.cell.workload == "mnist-dcgan"]
    build_report(ReportInputs(experiment={"name": "kid"}, run="main", records=records), tmp_path)
    text = (tmp_path / "report.md").read_text()
    claimed = [line for line in text.splitlines() if re.search(r"\bFID\b|fid\[", line)]
    assert all("FID was not measured" in line or "FID[held-out]" in line for line in claimed), claimed


def terminal_text(records: list[Record], monkeypatch: pytest.MonkeyPatch) -> str:
    frame = tidy(records)
    console = Console(file=io.StringIO(), width=160)
    monkeypatch.setattr(terminal, "console", console)
    console.print(*terminal._summary_tables(summarise(frame, aggregate(frame), latency_table([]))))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_terminal_names_what_judged(monkeypatch: pytest.MonkeyPatch):
    assert "FID" in terminal_text(records_without(), monkeypatch)
    kid = terminal_text(records_without(FIDS), monkeypatch)
    assert "FID" not in kid and "KID × 10³" in kid and "1/3" in kid
    neither = terminal_text(records_without((*FIDS, "kid")), monkeypatch)
    assert "FID" not in neither and "KID" not in neither and "status" in neither and "IS" in neither


def test_what_pruning_cost_names_the_memory():
    record = make_record()
    costly = record.model_copy(
        update={"cost": record.cost.model_copy(update={"peak_memory_bytes": 3 * 2**20, "recover_seconds": 1.5})}
    )
    words = markdown(cost_section([record, costly], latency_table([])).blocks)
    assert "peak memory (MiB)" in words and re.search(r"\| +2 \| +0\.00 \| +0\.75 \| .* 3 \|", words)
    assert "upper bound" in words and "no counter of its own" in words
    timed = latency_record("mnist-dcgan", "x", 1, 2.0).model_copy(update={"peak_memory_bytes": 5 * 2**20})
    assert "| 5.0" in re.sub(" +", " ", markdown(cost_section([record], latency_table([timed])).blocks))
    assert "No cell has a cost" in markdown(cost_section([], latency_table([])).blocks)


def test_the_hypervolumes_are_a_table_of_the_run(tmp_path: Path):
    records = make_records()
    write_tables(tmp_path, run_tables(records))
    rows = csv_rows(tmp_path / "hypervolume.csv")
    assert {row["cost"] for row in rows} == {"macs_dense", "macs_effective"}
    for row in rows:
        values = [float(value) for value in row["values"].split()]
        assert len(values) == int(row["n"]) and float(row["mean"]) == pytest.approx(sum(values) / len(values), abs=1e-5)
