"""How finished networks are timed: each as it is shipped, against dense in float32 on the same runtime."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from bench.artifact.finishes import FINISH, FinishedNetwork
from bench.artifact.onnx import onnx_bytes
from bench.measure.backends import BACKENDS
from bench.measure.backends.base import Backend, Call, Inputs, Prepare
from bench.measure.backends.eager import eager
from bench.measure.backends.onnx_runtime import load_exporter
from bench.measure.backends.open_vino import load
from bench.records.finishes import TIMED_AS

# A kernel for another batch size may add up in another order, and a value that lies between two of the 255 steps then
# falls to the other side; in bfloat16 likewise.
STEP = 0.02


Pair = tuple[nn.Module, Inputs]
"""Dense, and the inputs that it is timed with."""


def shipped(module: nn.Module, inputs: Inputs) -> Call:
    """The finished network on its runtime; its first output is compared with what was judged."""
    assert isinstance(module, FinishedNetwork)
    return module.ready(inputs)


def _exported(run: Callable[[bytes, Inputs], Call], pair: Pair | None) -> Prepare:
    """Of one pair: exporting takes seconds, dense is the same in every build of it, and a finished network comes as a
    file too.
    """
    export = onnx_bytes(*pair) if pair else b""
    return lambda module, inputs: run(export, inputs)


def _onnx(model: bytes, inputs: Inputs) -> Call:
    from bench.artifact.onnx import session

    runner = session(model)
    feed = {given.name: x.numpy() for given, x in zip(runner.get_inputs(), inputs, strict=True)}
    return lambda: runner.run(None, feed)


def _openvino(model: bytes, inputs: Inputs) -> Call:
    from bench.artifact.finishes.openvino_int8 import SETTINGS, quiet

    quiet()
    from openvino import Core

    core = Core()
    request = core.compile_model(core.read_model(model), "CPU", SETTINGS).create_infer_request()
    feed = [x.numpy() for x in inputs]
    return lambda: [request.infer(feed, share_inputs=True, share_outputs=True)[0]]


def _here(finish: str, device: torch.device) -> str:
    lack = FINISH[finish].missing
    return lack if lack or device.type == "cpu" else f"finished networks run on the CPU here, not on {device.type}"


def _nothing() -> None:
    pass


_DENSE: dict[str, tuple[Callable[[Pair | None], Prepare], str, str, Callable[[], None]]] = {
    "bf16": (lambda _: eager, "eager in float32", "bfloat16", _nothing),
    "int8-onnx": (lambda pair: _exported(_onnx, pair), "onnx in float32", "int8", load_exporter),
    "int8-openvino": (lambda pair: _exported(_openvino, pair), "openvino in float32", "int8", load),
}
"""Finish -> how dense runs beside it, that in words, what the finished one computes in, what is called first."""


def backend_named(name: str, pair: Pair | None = None) -> Backend:
    """A backend that an experiment asks for, or a finish's own, which none can ask for.

    Args:
        pair: what a finished network is timed against, and with which inputs; None: nothing is timed.
    """
    finish = next((finish for finish, backend in TIMED_AS.items() if backend == name), None)
    if finish is None:
        return BACKENDS[name]
    dense, words, dtype, begin = _DENSE[finish]
    return Backend(
        name,
        shipped,
        tolerance=STEP,
        dtype=dtype,
        prepare_dense=dense(pair),
        dense_runs=words,
        missing=lambda device: _here(finish, device),
        begin=begin,
    )
