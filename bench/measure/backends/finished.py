"""How finished networks are timed: each as it is shipped, against dense in float32 on the same runtime."""

from __future__ import annotations

import torch
from torch import nn

from bench.artifact.finishes import FINISH, FinishedNetwork
from bench.measure.backends import BACKENDS
from bench.measure.backends.base import Backend, Call, Inputs
from bench.measure.backends.eager import eager
from bench.measure.backends.onnx_runtime import load_exporter, onnx
from bench.measure.backends.open_vino import load, openvino
from bench.records.finishes import TIMED_AS

# A kernel for another batch size may add up in another order, and a value that lies between two of the 255 steps then
# falls to the other side; in bfloat16 likewise.
STEP = 0.02


def shipped(module: nn.Module, inputs: Inputs) -> Call:
    """The finished network on its runtime; its first output is compared with what was judged."""
    assert isinstance(module, FinishedNetwork)
    return module.ready(inputs)


def _here(finish: str, device: torch.device) -> str:
    lack = FINISH[finish].missing
    return lack if lack or device.type == "cpu" else f"finished networks run on the CPU here, not on {device.type}"


FINISHED: dict[str, Backend] = {
    backend.name: backend
    for backend in (
        Backend(
            TIMED_AS["bf16"],
            shipped,
            tolerance=STEP,
            dtype="bfloat16",
            prepare_dense=eager,
            dense_runs="eager in float32",
            missing=lambda device: _here("bf16", device),
        ),
        Backend(
            TIMED_AS["int8-onnx"],
            shipped,
            tolerance=STEP,
            dtype="int8",
            prepare_dense=onnx,
            dense_runs="onnx in float32",
            missing=lambda device: _here("int8-onnx", device),
            begin=load_exporter,
        ),
        Backend(
            TIMED_AS["int8-openvino"],
            shipped,
            tolerance=STEP,
            dtype="int8",
            prepare_dense=openvino,
            dense_runs="openvino in float32",
            missing=lambda device: _here("int8-openvino", device),
            begin=load,
        ),
    )
}
"""By the ``backend`` of their timings. No experiment asks for them: a finish has its own."""


def backend_named(name: str) -> Backend:
    """A backend that an experiment asks for, or a finish's own."""
    return FINISHED[name] if name in FINISHED else BACKENDS[name]
