"""The ways of running a network whose latency can be measured, one file each."""

from __future__ import annotations

from bench.artifact.outputs import difference
from bench.measure.backends.base import Backend, Call, Inputs, Prepare
from bench.measure.backends.compiled import COMPILE
from bench.measure.backends.csr import CSR
from bench.measure.backends.eager import BF16, CHANNELS_LAST, EAGER
from bench.measure.backends.graphs import GRAPH
from bench.measure.backends.onnx_runtime import ONNX
from bench.measure.backends.open_vino import OPENVINO
from bench.measure.backends.rounded import TF32
from bench.measure.backends.semi_structured import TWO_OF_FOUR
from strategies.registry import Registry

__all__ = ["BACKENDS", "Backend", "Call", "Inputs", "Prepare", "difference"]

BACKENDS: Registry[Backend] = Registry("latency backend")
"""In the order of tables."""

for _backend in (EAGER, CHANNELS_LAST, BF16, COMPILE, ONNX, OPENVINO, CSR, TWO_OF_FOUR, TF32, GRAPH):
    BACKENDS.add(_backend.name, _backend)
