"""CUDA graphs: a forward pass is recorded once and launched as a whole, so small networks do not wait for Python."""

from __future__ import annotations

import torch
from torch import nn

from bench.measure.backends.base import Backend, Call, Inputs

WARM_UP = 3
"""Passes before the recording, on a stream of their own: libraries choose their kernels and buffers in them."""


def graphed(module: nn.Module, inputs: Inputs) -> Call:
    """One pass of ``module`` on ``inputs`` as a graph. Every replay writes the same output tensors."""
    stream = torch.cuda.Stream(inputs[0].device)
    stream.wait_stream(torch.cuda.current_stream(inputs[0].device))
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.device(inputs[0].device), torch.inference_mode():
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP):
                module(*inputs)
        torch.cuda.current_stream().wait_stream(stream)
        with torch.cuda.graph(graph):
            made = module(*inputs)

    def call() -> object:
        graph.replay()
        return made

    return call


def missing(device: torch.device) -> str:
    """Graphs are CUDA's."""
    return "" if device.type == "cuda" else f"graphs need CUDA, not {device.type}"


GRAPH = Backend("cuda-graph", graphed, missing=missing, private_memory=True)
