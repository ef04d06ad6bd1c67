"""The measurement of backends on a 64 x 64 DCGAN: its network and its table; `make bench-harness` runs it."""

from __future__ import annotations

from typing import Any

import torch

from strategies.slicing import shrink, twin_error
from tests.benchmarks import backends
from tests.benchmarks.backends import Dcgan64, Way, half_of_the_channels, rows_of, theoretical
from tests.benchmarks.test_harness import report


def test_the_network_has_the_size_that_is_claimed_and_a_quarter_of_its_macs_are_left() -> None:
    parameters, promised = theoretical()
    assert parameters == 3_576_704  # PyTorch's example with nz = 100, ngf = 64, nc = 3
    widths = [(100, 512, 1), (512, 256, 4), (256, 128, 8), (128, 64, 16), (64, 3, 32)]  # in, out, input side
    dense = sum(taken * made * 16 * side**2 for taken, made, side in widths)
    halves = [(100, 256, 1), (256, 128, 4), (128, 64, 8), (64, 32, 16), (32, 3, 32)]
    assert promised == dense / sum(taken * made * 16 * side**2 for taken, made, side in halves)


def test_half_of_the_channels_is_what_a_network_of_half_the_width_has() -> None:
    dense = Dcgan64(4).eval()
    small = shrink(dense, half_of_the_channels(dense))
    expected = {name: x.shape for name, x in Dcgan64(2).state_dict().items()}
    assert {name: x.shape for name, x in small.state_dict().items()} == expected
    assert twin_error(dense, small, half_of_the_channels(dense), (torch.randn(2, 100),)) < 1e-9


def test_a_row_shows_the_spread_over_processes_and_why_there_is_no_number() -> None:
    fields = {"dense_ms": 4.0, "pruned_ms": 2.0, "prepare_dense_seconds": 1.0, "reason": ""}
    timed: list[dict[str, Any]] = [fields | {"status": "ok", "speedup": s, "speedup_cpu": s} for s in (2.0, 2.5, 1.5)]
    disturbed = fields | {"status": "invalid", "speedup": None, "speedup_cpu": 2.2}
    absent = {"status": "unavailable", "reason": "x not installed", "speedup": None, "speedup_cpu": None}
    a, b = Way("eager", 1), Way("onnx", 1)
    rows = rows_of([*((a, f) for f in (*timed, disturbed)), (b, absent)], [a, b])
    assert rows[0][:4] == ["eager", "1", "2x (1.5 to 2.5)", "2.1x (1.5 to 2.5)"] and rows[0][-1] == "3 of 4"
    assert rows[1][2] == "—" and rows[1][-1] == "unavailable: x not installed"


def test_backends_on_a_dcgan(benchmark: Any) -> None:
    """One process, all backends but torch.compile (most of a minute to compile); the script has all options."""
    ways = [Way(name, batch) for batch in (1, 16) for name in backends.BACKENDS if name != "compile"]
    found = benchmark.pedantic(lambda: backends.time_all(ways), rounds=1)
    for row in rows_of(found, ways):
        benchmark.extra_info[f"{row[0]}, batch {row[1]}"] = f"{row[2]} by clock, {row[3]} by CPU time"
    report(benchmark)
