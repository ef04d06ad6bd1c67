"""``int8-onnx``: static 8-bit quantisation by ONNX Runtime, run by ONNX Runtime (extra ``onnx``)."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from bench.artifact.finishes.base import Call, Finish, FinishedNetwork, Inputs, products
from bench.artifact.onnx import onnx_bytes

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

FILE = "generator.int8.onnx"
BATCH = 64
"""Calibration inputs of one pass."""

FLOAT_PRODUCTS = ("Conv", "ConvTranspose", "FusedConv", "Gemm", "FusedGemm", "MatMul", "FusedMatMul", "Einsum")
INT8_PRODUCTS = ("QLinearConv", "QLinearMatMul", "QGemm", "MatMulInteger", "ConvInteger", "MatMulIntegerToFloat")


class OnnxNetwork(FinishedNetwork):
    """A file of quantised ONNX in a session of its own."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        super().__init__(files)
        self._session = session(self.files[FILE])
        self._names = [given.name for given in self._session.get_inputs()]

    def run(self, inputs: Inputs) -> Tensor:
        return torch.from_numpy(self._session.run(None, self._feed(inputs))[0])

    def ready(self, inputs: Inputs) -> Call:
        runner, feed = session(self.files[FILE], batch=len(inputs[0])), self._feed(inputs)
        return lambda: runner.run(None, feed)

    def again(self) -> OnnxNetwork:
        return OnnxNetwork(self.files)

    @property
    def flags(self) -> list[str]:
        return products(computed(self.files[FILE]))

    def _feed(self, inputs: Inputs) -> dict[str, Any]:
        return {name: x.numpy() for name, x in zip(self._names, inputs, strict=True)}


def make(network: nn.Module, inputs: Inputs) -> OnnxNetwork:
    """Quantised in QDQ form: weights by channel, symmetric, in 7 of the 8 bits; activations in 8 bits by the least and
    greatest value that calibration shows. The exporter has taken the norms into the convolutions before.

    With weights of 8 bits, processors without VNNI instructions add up past 16 bits: of a linear layer of random
    weights 7 % of the outputs were off by more than its steps allow, by up to a sixth of their range.
    """
    import onnx
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    with torch.random.fork_rng(devices=[]):
        model = onnx.load_from_string(onnx_bytes(network, tuple(x[:2] for x in inputs), any_batch=True))
    names = [given.name for given in model.graph.input]
    rows = ({n: x[at : at + BATCH].numpy() for n, x in zip(names, inputs, strict=True)} for at in _starts(inputs))
    with tempfile.TemporaryDirectory(prefix="ganprune-") as folder, _silent():
        place = Path(folder) / FILE
        quantize_static(
            model,
            place,
            _reader(rows),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            reduce_range=True,
            weight_type=QuantType.QInt8,
            activation_type=QuantType.QInt8,
        )
        return OnnxNetwork({FILE: place.read_bytes()})


def _starts(inputs: Inputs) -> range:
    return range(0, len(inputs[0]), BATCH)


def _reader(rows: Iterator[dict[str, Any]]) -> Any:
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        """Gives batches until there are none."""

        def get_next(self) -> dict[str, Any] | None:
            return next(rows, None)

    return Reader()


@contextmanager
def _silent() -> Iterator[None]:
    """The quantiser warns through the root logger, which sets it up for the whole process."""
    root, before = logging.getLogger(), logging.root.manager.disable
    handlers = list(root.handlers)
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
        root.handlers[:] = handlers


def session(model: bytes, *, batch: int | None = None, optimised: Path | None = None) -> InferenceSession:
    """On the CPU, one thread, all graph optimisations.

    Args:
        batch: the batch size is fixed to it, so that nothing is left to be found out in each call.
        optimised: a file that the graph is written to as it runs.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    if batch is not None:
        options.add_free_dimension_override_by_name("batch", batch)
    if optimised is not None:
        options.optimized_model_filepath = str(optimised)
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def computed(model: bytes) -> dict[str, str]:
    """Product by product what ONNX Runtime computes it in, seen in the graph that it runs on this machine."""
    import onnx

    with tempfile.TemporaryDirectory(prefix="ganprune-") as folder:
        place = Path(folder) / "optimised.onnx"
        session(model, optimised=place)
        nodes = onnx.load(place).graph.node
    found = {f"{i}": node.op_type for i, node in enumerate(nodes) if node.op_type in FLOAT_PRODUCTS + INT8_PRODUCTS}
    return {name: "int8" if kind in INT8_PRODUCTS else kind for name, kind in found.items()}


def load(network: Callable[[], nn.Module], files: Mapping[str, bytes]) -> OnnxNetwork:
    """The file is all of it."""
    return OnnxNetwork(files)


INT8_ONNX = Finish(
    "int8-onnx",
    make,
    load,
    (FILE,),
    "int8-onnx-1",
    packages=("onnxruntime", "onnx", "onnxscript"),
    extra="onnx",
    calibrates=True,
)
