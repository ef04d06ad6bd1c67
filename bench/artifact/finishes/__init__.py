"""Finishes: a recovered network as it is shipped, in fewer bits, and run by what it is shipped for."""

from __future__ import annotations

from bench.artifact.finishes.base import Finish, FinishedNetwork
from bench.artifact.finishes.bfloat import BF16
from bench.artifact.finishes.onnx_int8 import INT8_ONNX
from bench.artifact.finishes.openvino_int8 import INT8_OPENVINO
from strategies.registry import Registry

__all__ = ["FINISH", "Finish", "FinishedNetwork"]

FINISH: Registry[Finish] = Registry("finish")
"""All but ``none``, in the order of tables."""

for _finish in (BF16, INT8_ONNX, INT8_OPENVINO):
    FINISH.add(_finish.name, _finish)
