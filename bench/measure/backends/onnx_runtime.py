"""ONNX Runtime on the CPU: the exported network, run by another library (extra ``onnx``)."""

from __future__ import annotations

import functools

import torch
from torch import nn

from bench.measure.backends.base import Backend, Call, Inputs, lacks


def onnx(module: nn.Module, inputs: Inputs) -> Call:
    """Exported for this batch size, run with all graph optimisations and one thread."""
    from bench.artifact.onnx import onnx_bytes, session

    runner = session(onnx_bytes(module, inputs))
    feed = {given.name: x.numpy() for given, x in zip(runner.get_inputs(), inputs, strict=True)}
    return lambda: runner.run(None, feed)


@functools.cache
def load_exporter() -> None:
    """Export something small: the first time, the exporter itself is imported and loads its tables of operators."""
    onnx(nn.Tanh(), (torch.zeros(2),))


def missing(device: torch.device) -> str:
    """What ONNX Runtime needs here."""
    return lacks("onnx", "onnxscript", "onnxruntime", extra="onnx", device=device)


ONNX = Backend("onnx", onnx, missing=missing, begin=load_exporter)
