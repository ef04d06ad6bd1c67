"""Speed-up by backend: one column each, zeros matched to the cells that have them, reasons instead of numbers."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import pytest

from bench.measure.backends import BACKENDS
from bench.records import LatencyRecord, Record
from bench.records.zeros import zeros_of
from bench.report.backends import backends_section
from bench.report.build import build_report
from bench.report.figures.backends import LOOKS, backends_figure
from bench.report.inputs import ReportInputs
from bench.report.markdown import markdown
from bench.tables import aggregate, latency_table, summarise, tidy
from bench.tables.backends import ORDER, by_backend
from bench.tables.latency import SKIP_ZEROS
from strategies.cut import LayerCut
from tests.report.synthetic import latency_record, make_record

WORKLOAD = "mnist-mlp"
CHANNEL = f"{WORKLOAD}-l1-channel-global-0.5"


def masked(sparsity: float) -> Record:
    layer = LayerCut(
        name="0", kind="Linear", weights=200, kept=round(200 * (1 - sparsity)), width=(10, 20), kept_width=(10, 20)
    )
    return make_record(WORKLOAD, "l1-weight-global", sparsity).model_copy(update={"layers": [layer]})


RECORDS = [
    make_record(WORKLOAD, "dense", 0.0),
    make_record(WORKLOAD, "l1-channel-global", 0.5),
    masked(0.5),
    masked(0.9),
]


def timed(backend: str, architecture: str, speedup: float, *, batch: int = 1, zeros: str = "") -> LatencyRecord:
    found = latency_record(WORKLOAD, architecture, batch, 1.0)
    update = {"backend": backend, "speedup": speedup, "zeros": zeros, "latency_key": f"{backend}{architecture}{zeros}"}
    low_high = {"speedup_low": speedup * 0.9, "speedup_high": speedup * 1.1}
    return found.model_copy(update=update | low_high | {"prepare_dense_seconds": 2.0, "prepare_pruned_seconds": 1.0})


def untimed(backend: str, status: str, reason: str) -> LatencyRecord:
    nothing = dict.fromkeys(["dense_ms", "pruned_ms", "speedup", "speedup_low", "speedup_high", "speedup_cpu"])
    found = timed(backend, CHANNEL, 1.0).model_copy(update={"status": status, "reason": reason, "samples": []})
    return found.model_copy(update=nothing)


def table(*latency: LatencyRecord) -> pd.DataFrame:
    frame = tidy(RECORDS)
    times = latency_table(latency)
    return by_backend(frame, summarise(frame, aggregate(frame), times), times)


def section_text(found: pd.DataFrame) -> str:
    return markdown(backends_section(found).blocks)


def speedups(found: pd.DataFrame, strategy: str, level: str) -> dict[str, float]:
    rows = found[(found["strategy"] == strategy) & (found["level"] == level)]
    return dict(zip(rows["backend"], rows["speedup"], strict=True))


def test_each_backend_has_its_own_speed_up_of_the_same_network() -> None:
    found = table(timed("eager", CHANNEL, 2.0), timed("onnx", CHANNEL, 3.0))
    assert speedups(found, "l1-channel-global", "0.5") == {"eager": 2.0, "onnx": 3.0}


def test_masks_run_like_dense_on_every_backend_that_multiplies_by_zeros() -> None:
    found = table(timed("eager", CHANNEL, 2.0), timed("onnx", CHANNEL, 3.0))
    assert speedups(found, "l1-weight-global", "0.9") == {"eager": 1.0, "onnx": 1.0}


def test_a_backend_that_skips_zeros_has_a_time_for_each_density() -> None:
    half, tenth = (zeros_of(masked(sparsity)).hash for sparsity in (0.5, 0.9))
    assert half != tenth
    sparse = [timed("csr", f"{WORKLOAD}-dense", s, zeros=z) for s, z in ((0.6, half), (1.7, tenth))]
    found = table(timed("eager", CHANNEL, 2.0), *sparse)
    assert speedups(found, "l1-weight-global", "0.5") == {"eager": 1.0, "csr": 0.6}
    assert speedups(found, "l1-weight-global", "0.9") == {"eager": 1.0, "csr": 1.7}
    assert speedups(found, "l1-channel-global", "0.5") == {"eager": 2.0}


def test_dense_has_no_zeros_and_no_speed_up_from_them() -> None:
    half = zeros_of(masked(0.5)).hash
    frame, times = tidy(RECORDS), latency_table([timed("csr", f"{WORKLOAD}-dense", 1.7, zeros=half)])
    summary = summarise(frame, aggregate(frame), times).set_index(["strategy", "level"])
    assert summary.loc[("dense", "0"), "speedup_b1"] == 1.0
    assert summary.loc[("l1-weight-global", "0.5"), "speedup_b1"] == 1.7
    assert math.isnan(summary.loc[("l1-weight-global", "0.9"), "speedup_b1"])


def test_the_tables_know_which_backends_skip_zeros() -> None:
    assert set(SKIP_ZEROS) == {name for name in BACKENDS if BACKENDS[name].skips_zeros}
    assert tuple(BACKENDS) == tuple(name for name in ORDER if name in BACKENDS)  # the others are those of finishes
    assert len(LOOKS) >= len(ORDER)


@pytest.mark.parametrize("status", ["refused", "not-applicable", "unavailable", "invalid"])
def test_what_was_not_timed_has_a_reason_and_no_number(status: str) -> None:
    found = table(timed("eager", CHANNEL, 2.0), untimed("onnx", status, "because <b>"))
    assert math.isnan(speedups(found, "l1-channel-global", "0.5")["onnx"])
    text = section_text(found)
    assert f"- onnx, mnist-mlp: {status}. because &lt;b&gt;" in text
    row = next(line for line in text.splitlines() if "l1-channel-global" in line)
    assert row.count(status) == 1 and "2.00x [1.80, 2.20]" in row


def test_the_section_needs_two_backends() -> None:
    assert section_text(table(timed("eager", CHANNEL, 2.0))) == ""
    assert backends_figure(table(timed("eager", CHANNEL, 2.0))) is None
    assert section_text(table()) == ""


def test_where_dense_runs_otherwise_it_is_said() -> None:
    tenth = zeros_of(masked(0.9)).hash
    sparse = timed("csr", f"{WORKLOAD}-dense", 1.7, zeros=tenth).model_copy(update={"dense_backend": "eager"})
    assert "Under csr dense runs eager" in section_text(table(timed("eager", CHANNEL, 2.0), sparse))


def test_times_of_exporting_stand_apart() -> None:
    text = section_text(table(timed("eager", CHANNEL, 2.0), timed("onnx", CHANNEL, 3.0)))
    assert "no part of these times" in text
    cells = [[word.strip() for word in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]
    assert ["onnx", "2", "1", "—"] in cells


def test_the_figure_has_a_panel_for_each_batch_and_a_colour_for_each_backend() -> None:
    latency = [timed(name, CHANNEL, s, batch=b) for name, s in (("eager", 2.0), ("onnx", 3.0)) for b in (1, 16)]
    drawn = backends_figure(table(*latency))
    assert drawn is not None
    panels = [axes for axes in drawn.axes if axes.get_visible()]
    assert [axes.get_title(loc="left") for axes in panels] == ["mnist-mlp, batch 1", "mnist-mlp, batch 16"]
    assert [text.get_text() for text in drawn.legends[0].get_texts()] == ["eager", "onnx"]


@pytest.mark.slow
def test_a_report_of_several_backends_shows_them(tmp_path: Path) -> None:
    latency = [timed("eager", CHANNEL, 2.0), timed("onnx", CHANNEL, 3.0)]
    page = build_report(ReportInputs({"name": "x"}, "main", RECORDS, latency), tmp_path).read_text()
    words = (tmp_path / "report.md").read_text()
    for text in (page, words):
        assert "Theoretical and realised speed-up by backend" in text and "3.00x" in text
    assert (tmp_path / "figures" / "speedup-backends.svg").exists()
