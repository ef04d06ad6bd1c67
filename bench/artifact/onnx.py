"""A network as ONNX: for latency backends, and `ganprune export` (extra ``onnx``)."""

from __future__ import annotations

import importlib
import importlib.util
import io
import math
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from bench.artifact.folder import example_inputs, load_artifact
from bench.artifact.outputs import FLOAT32, difference
from bench.base.errors import UserError
from bench.base.files import write_atomically

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

CHECKED_BATCHES = (1, 3)
"""Batch sizes at which an export for any batch is compared; neither is the one that it was traced with."""


def onnx_bytes(module: nn.Module, inputs: tuple[Tensor, ...], *, any_batch: bool = False) -> bytes:
    """``module`` as an ONNX file of float32, its inputs named as in ``forward``.

    Args:
        any_batch: leave the first dimension of every input open; else the shapes of ``inputs`` are fixed.

    Raises:
        RuntimeError, and others of torch.export: an operator or a control flow that cannot be exported.
    """
    shapes = tuple({0: torch.export.Dim("batch")} for _ in inputs) if any_batch else None
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()), torch.no_grad():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(module.eval(), inputs, dynamo=True, dynamic_shapes=shapes, verbose=False)
    assert program is not None
    return bytes(program.model_proto.SerializeToString())


def session(model: bytes) -> InferenceSession:
    """An ONNX Runtime session on the CPU, one thread, all graph optimisations."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def factory_named(name: str) -> Callable[[], nn.Module]:
    """The function ``module:function`` that the user has named, never one that a file names.

    Raises:
        UserError: nothing that can be imported under that name.
    """
    place, _, function = name.partition(":")
    try:
        found = getattr(importlib.import_module(place), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(f"--factory {name}: expected MODULE:FUNCTION on PYTHONPATH ({error}).") from error
    if not callable(found):
        raise UserError(f"--factory {name}: {function!r} cannot be called.")
    factory: Callable[[], nn.Module] = found
    return factory


@dataclass(frozen=True)
class Exported:
    """What `export_artifact` wrote."""

    path: Path
    size: int
    """Bytes."""
    error: float | None
    """Largest difference from PyTorch, as a share of the largest output; None: ONNX Runtime is not installed."""


def export_artifact(
    folder: Path, out: Path, *, factory: Callable[[], nn.Module] | None = None, batch: int | None = None
) -> Exported:
    """Write the generator of an artefact as ONNX, for any batch size unless ``batch`` fixes it.

    Where ONNX Runtime is installed its outputs are compared with PyTorch's first; nothing is written if they differ.

    Raises:
        UserError: a package that is missing, a folder that is no artefact, a network that cannot be exported, or an
            export that computes something else.
    """
    absent = [name for name in ("onnx", "onnxscript") if importlib.util.find_spec(name) is None]
    if absent:
        raise UserError(f"export needs {' and '.join(absent)}: pip install 'ganprune[onnx]'.")
    model = load_artifact(folder, factory)
    sizes = (batch,) if batch else CHECKED_BATCHES
    try:
        content = onnx_bytes(model, example_inputs(folder, batch or 2), any_batch=batch is None)
    except Exception as error:
        advice = "" if batch else " If the batch size is the reason, fix it with --batch N."
        raise UserError(f"{folder}: cannot be exported ({_first_line(error)}).{advice}") from error
    found = None
    if importlib.util.find_spec("onnxruntime") is not None:
        found = max(_error(model, content, example_inputs(folder, size)) for size in sizes)
        if not found <= FLOAT32:
            raise UserError(
                f"{folder}: ONNX Runtime computes something else: it differs by {found:.1e} of the largest output, "
                f"{FLOAT32:g} is allowed. Nothing was written."
            )
    try:
        write_atomically(out, content)
    except OSError as error:
        raise UserError(f"--onnx {out}: cannot be written ({error.strerror}).") from error
    return Exported(out, len(content), found)


def _error(model: nn.Module, content: bytes, inputs: tuple[Tensor, ...]) -> float:
    runner = session(content)
    given = runner.get_inputs()
    if len(given) != len(inputs):  # an input that the network does not use is not part of the export
        return math.inf
    with torch.inference_mode():
        expected = model(*inputs)
    return difference(expected, runner.run(None, {x.name: y.numpy() for x, y in zip(given, inputs, strict=True)}))


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0].strip().rstrip('.')}" if lines else type(error).__name__
