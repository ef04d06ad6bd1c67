"""OpenVINO on the CPU: the exported network, run by another library (extra ``openvino``)."""

from __future__ import annotations

import functools
import sys

import torch
from torch import nn

from bench.measure.backends.base import Backend, Call, Inputs, lacks

SETTINGS = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY"}
EXACT = {"INFERENCE_PRECISION_HINT": "f32"}
"""By default it computes in half precision on processors that can."""


def openvino(module: nn.Module, inputs: Inputs) -> Call:
    """The ONNX export for this batch size, compiled for the CPU, one thread, in float32."""
    # Importing openvino sends a usage event over the network unless this package is absent.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    from openvino import Core

    from bench.artifact.onnx import onnx_bytes

    core = Core()
    compiled = core.compile_model(core.read_model(onnx_bytes(module, inputs)), "CPU", {**SETTINGS, **EXACT})
    request = compiled.create_infer_request()
    feed = [x.numpy() for x in inputs]

    def call() -> object:
        made = request.infer(feed, share_inputs=True, share_outputs=True)
        return [made[index] for index in range(len(compiled.outputs))]

    return call


@functools.cache
def load() -> None:
    """Compile something small: the first time, exporter and compiler are imported."""
    openvino(nn.Tanh(), (torch.zeros(2),))


def missing(device: torch.device) -> str:
    """What OpenVINO, and the export to it, need here."""
    return lacks("openvino", "onnx", "onnxscript", extra="openvino", device=device)


OPENVINO = Backend("openvino", openvino, missing=missing, begin=load)
