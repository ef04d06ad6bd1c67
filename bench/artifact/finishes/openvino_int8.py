"""``int8-openvino``: static 8-bit quantisation by NNCF, run by OpenVINO (extra ``openvino``)."""

from __future__ import annotations

import io
import logging
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bench.artifact.finishes.base import Call, Finish, FinishedNetwork, Inputs, products
from bench.artifact.onnx import onnx_bytes

GRAPH, WEIGHTS = "generator.int8.xml", "generator.int8.bin"

SETTINGS = {
    "INFERENCE_NUM_THREADS": 1,
    "NUM_STREAMS": 1,
    "PERFORMANCE_HINT": "LATENCY",
    "INFERENCE_PRECISION_HINT": "f32",  # what stays in floating point is not rounded to half precision besides
}
PRODUCTS = ("Convolution", "Deconvolution", "FullyConnected", "MatMul")
"""Layers of the compiled network that multiply matrices."""


def quiet() -> None:
    """Importing openvino or nncf sends a usage event over the network unless this package is absent."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]


class OpenVinoNetwork(FinishedNetwork):
    """Files of a quantised OpenVINO model, compiled for the CPU."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        super().__init__(files)
        self._compiled = self._compile()
        self._request = self._compiled.create_infer_request()

    def _compile(self, batch: int | None = None) -> Any:
        quiet()
        from openvino import Core, PartialShape

        core = Core()
        model = core.read_model(self.files[GRAPH], self.files[WEIGHTS])
        if batch is not None:
            shapes = {}
            for given in model.inputs:
                shape = PartialShape(given.partial_shape)
                shape[0] = batch
                shapes[given] = shape
            model.reshape(shapes)
        return core.compile_model(model, "CPU", SETTINGS)

    def run(self, inputs: Inputs) -> Tensor:
        made = self._request.infer([x.contiguous().numpy() for x in inputs])
        return torch.from_numpy(made[0].copy())

    def ready(self, inputs: Inputs) -> Call:
        compiled = self._compile(len(inputs[0]))
        request, feed = compiled.create_infer_request(), [x.contiguous().numpy() for x in inputs]

        def call() -> object:
            return [request.infer(feed, share_inputs=True, share_outputs=True)[0]]

        return call

    def again(self) -> OpenVinoNetwork:
        return OpenVinoNetwork(self.files)

    @property
    def flags(self) -> list[str]:
        return products(computed(self._compiled))


def make(network: nn.Module, inputs: Inputs) -> OpenVinoNetwork:
    """Quantised by `nncf.quantize` with its defaults, but that all weights have 7 bits: with 8, processors without
    VNNI instructions add up past 16 bits, and what is computed depends on the kernel that was chosen for the shape.
    """
    quiet()
    with redirect_stdout(io.StringIO()), torch.random.fork_rng(devices=[]):  # progress bars
        import nncf
        import openvino
        from nncf.quantization.advanced_parameters import AdvancedQuantizationParameters, OverflowFix

        nncf.set_log_level(logging.ERROR)
        model = openvino.Core().read_model(onnx_bytes(network, tuple(x[:2] for x in inputs), any_batch=True))
        rows = [tuple(x[at : at + 1].numpy() for x in inputs) for at in range(len(inputs[0]))]
        quantised = nncf.quantize(
            model,
            nncf.Dataset(rows),
            subset_size=len(rows),
            advanced_parameters=AdvancedQuantizationParameters(overflow_fix=OverflowFix.ENABLE),
        )
    with tempfile.TemporaryDirectory(prefix="ganprune-") as folder:
        place = Path(folder) / GRAPH
        openvino.save_model(quantised, place, compress_to_fp16=False)
        return OpenVinoNetwork({GRAPH: place.read_bytes(), WEIGHTS: place.with_suffix(".bin").read_bytes()})


def computed(compiled: Any) -> dict[str, str]:
    """Product by product what OpenVINO computes it in on this machine."""
    found: dict[str, str] = {}
    for node in compiled.get_runtime_model().get_ordered_ops():
        about = node.get_rt_info()
        kind, kernel = (about[name].astype(str) for name in ("layerType", "primitiveType"))
        if kind in PRODUCTS:
            found[node.get_friendly_name()] = "int8" if kernel.lower().endswith("i8") else kind
    return found


def load(network: Callable[[], nn.Module], files: Mapping[str, bytes]) -> OpenVinoNetwork:
    """The files are all of it."""
    return OpenVinoNetwork(files)


INT8_OPENVINO = Finish(
    "int8-openvino",
    make,
    load,
    (GRAPH, WEIGHTS),
    "int8-openvino-1",
    packages=("openvino", "nncf", "onnx", "onnxscript"),
    extra="openvino",
    calibrates=True,
)
