"""What a record says of a pair: compared with eager, timed or refused; the device and the clock are made up."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from bench.measure import latency
from bench.measure.backends import Backend, Call, Inputs
from bench.measure.blocks import Block, Plan
from bench.measure.latency import Prepared, _timed
from strategies.base import NotApplicable

DENSE, PRUNED = nn.Linear(2, 2), nn.Linear(2, 2)
PLAN = Plan(warmup=0, rounds=8, min_seconds=0, max_rounds=8, max_seconds=0)


def nothing(module: nn.Module, inputs: Inputs) -> Call:
    return lambda: None


def timed(
    monkeypatch: pytest.MonkeyPatch,
    dense: float | None = None,
    pruned: float | None = None,
    device: str = "cpu",
    **backend: Any,
) -> dict[str, Any]:
    """The fields of a pair whose outputs are so far from eager's; dense takes 4 s a call, pruned 1 s."""
    members = {
        id(DENSE): Prepared(lambda: 4.0, DENSE, 0.25, dense),
        id(PRUNED): Prepared(lambda: 1.0, PRUNED, 0.5, pruned),
    }

    def timer(call: Call, calls: int) -> Block:
        return Block(float(call()), 2 * float(call()), False)  # type: ignore[arg-type]

    monkeypatch.setattr(latency, "prepare", lambda how, module, rows: members[id(module)])
    monkeypatch.setattr(latency, "timer_of", lambda device: timer)
    monkeypatch.setattr(latency, "peak_of_call", lambda call, network, device: 1234 if network is PRUNED else 0)
    rows: Any = (SimpleNamespace(device=SimpleNamespace(type=device)),)
    return _timed(Backend("made-up", nothing, **backend), DENSE, PRUNED, rows, PLAN, 2)


@pytest.mark.parametrize(
    ("device", "private", "peak"),
    [("cuda", False, 1234), ("cuda", True, None), ("cpu", False, None), ("cpu", True, None)],
)
def test_memory_is_seen_on_cuda_where_it_is_not_set_aside(
    monkeypatch: pytest.MonkeyPatch, device: str, private: bool, peak: int | None
) -> None:
    found = timed(monkeypatch, device=device, private_memory=private)
    assert found["peak_memory_bytes"] == peak
    assert found["speedup"] == pytest.approx(4.0) and found["status"] == "ok"
    assert found["speedup_cpu"] == (None if device == "cuda" else pytest.approx(4.0))


def test_the_seconds_of_preparing_stand_with_their_network(monkeypatch: pytest.MonkeyPatch) -> None:
    found = timed(monkeypatch)
    assert (found["prepare_dense_seconds"], found["prepare_pruned_seconds"]) == (0.25, 0.5)
    assert found["output_error"] is None


@pytest.mark.parametrize(
    ("dense", "pruned", "error", "refused"),
    [
        (0.125, 0.0625, 0.125, None),  # at what is allowed
        (0.0625, 0.125, 0.125, None),
        (None, 0.0625, 0.0625, None),
        (0.0, None, 0.0, None),
        (0.126, 0.0, 0.126, "dense"),
        (0.0, 0.126, 0.126, "pruned"),
        (None, 0.25, 0.25, "pruned"),
        (0.5, 0.25, 0.5, "dense"),
        (0.0, math.nan, None, "pruned"),
        (math.inf, 0.0, None, "dense"),
    ],
)
def test_a_network_that_draws_something_else_than_eager_is_refused(
    monkeypatch: pytest.MonkeyPatch, dense: float | None, pruned: float | None, error: float | None, refused: str | None
) -> None:
    found = timed(monkeypatch, dense, pruned, tolerance=0.125)
    assert found["output_error"] == error
    assert found["status"] == ("refused" if refused else "ok")
    if refused:
        assert found["reason"].startswith(f"the {refused} network's output") and found["samples"] == []
        assert found["speedup"] is None and "peak_memory_bytes" not in found


@pytest.mark.parametrize("which", [DENSE, PRUNED], ids=["dense", "pruned"])
def test_what_a_backend_cannot_take_is_not_timed(monkeypatch: pytest.MonkeyPatch, which: nn.Module) -> None:
    def refusing(how: object, module: nn.Module, rows: object) -> Prepared:
        if module is which:
            raise NotApplicable("nothing to do")
        return Prepared(lambda: None, module, 0.0, None)

    monkeypatch.setattr(latency, "prepare", refusing)
    found = _timed(Backend("made-up", nothing), DENSE, PRUNED, (torch.ones(1, 2),), PLAN, 2)
    assert (found["status"], found["reason"], found["samples"]) == ("not-applicable", "nothing to do", [])


def test_dense_may_run_another_way(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def other(module: nn.Module, inputs: Inputs) -> Call:
        return lambda: None

    def taken(how: object, module: nn.Module, rows: object) -> Prepared:
        seen.append((how, module))
        return Prepared(lambda: None, module, 0.0, 0.0)

    monkeypatch.setattr(latency, "prepare", taken)
    _timed(Backend("a", nothing, prepare_dense=other), DENSE, PRUNED, (torch.ones(1, 2),), PLAN, 2)
    _timed(Backend("b", nothing), DENSE, PRUNED, (torch.ones(1, 2),), PLAN, 2)
    assert seen == [
        *[(other, DENSE), (nothing, PRUNED), (nothing, PRUNED), (other, DENSE)],
        *[(nothing, DENSE), (nothing, PRUNED), (nothing, PRUNED), (nothing, DENSE)],
    ]
