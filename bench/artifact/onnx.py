"""A network as ONNX: for latency backends, and `ganprune export` (extra ``onnx``)."""

from __future__ import annotations

import importlib.util
import io
import math
import warnings
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from bench.artifact.folder import example_inputs, load_artifact, read_artifact
from bench.artifact.outputs import FLOAT32, difference
from bench.base.errors import UserError
from bench.base.files import write_atomically
from bench.base.raised import in_words
from bench.workloads.factories import find_function
from bench.workloads.own import Own
from bench.workloads.spec import FACTORY, WorkloadSpec

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

CHECKED_BATCHES = (1, 3)
"""Batch sizes at which an export for any batch is compared; neither is the one that it was traced with."""


ONLY_SOME = (
    "The graph is right for the batch that it was traced with (2) and not for any: squeeze() without a dimension drops "
    "a batch of one, and sizes that are written as numbers stay. Say squeeze(dim), or fix the batch with --batch N."
)


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


def factory_named(name: str) -> Callable[..., nn.Module]:
    """The function ``module:function`` or ``file.py:function`` that the user has named, never one that a file names.

    Raises:
        UserError: nothing that can be imported under that name.
    """
    here = f"--factory {name}"
    if not FACTORY.fullmatch(name):
        raise UserError(f"{here}: expected MODULE:FUNCTION or FILE.py:FUNCTION.")
    factory: Callable[..., nn.Module] = find_function(name, Path(), here)
    return factory


def factory_in(specs: Sequence[WorkloadSpec], folder: Path) -> Callable[..., nn.Module]:
    """The factory, arguments and all, of the artefact's workload among the tables of a file of the user's.

    Raises:
        UserError: none of that name.
    """
    name = read_artifact(folder).manifest.get("workload")
    spec = next((spec for spec in specs if spec.name == name), None)
    if spec is None:
        there = ", ".join(repr(spec.name) for spec in specs)
        raise UserError(f"--workload-file: has no [[workload]] named {name!r}, as {folder} is. It has {there}.")
    own = Own(spec.absolute())
    return lambda: own.network()


@dataclass(frozen=True)
class Exported:
    """What `export_artifact` wrote."""

    path: Path
    size: int
    """Bytes."""
    takes: tuple[str, ...]
    """``z (batch, 100, 1, 1)``: each input, with its sizes."""
    gives: tuple[str, ...]
    error: float | None
    """Largest difference from PyTorch, as a share of the largest output; None: ONNX Runtime is not installed."""


def export_artifact(
    folder: Path, out: Path, *, factory: Callable[..., nn.Module] | None = None, batch: int | None = None
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
        found = max(_error(model, content, folder, size, fixed=batch is not None) for size in sizes)
        if not found <= FLOAT32:
            raise UserError(
                f"{folder}: ONNX Runtime computes something else: it differs by {found:.1e} of the largest output, "
                f"{FLOAT32:g} is allowed. Nothing was written."
            )
    try:
        write_atomically(out, content)
    except OSError as error:
        raise UserError(f"--onnx {out}: cannot be written ({error.strerror}).") from error
    return Exported(out, len(content), *_shapes(content), found)


def _error(model: nn.Module, content: bytes, folder: Path, size: int, *, fixed: bool) -> float:
    """How far ONNX Runtime is from PyTorch with a batch of ``size``. Raises UserError where one of them fails."""
    inputs = example_inputs(folder, size)
    fix = "" if fixed else f" {ONLY_SOME} Nothing was written."
    try:
        with torch.inference_mode():
            expected = model(*inputs)
    except Exception as error:
        raise UserError(f"{folder}: the network fails on a batch of {size} ({_first_line(error)}).{fix}") from error
    try:
        runner = session(content)
        given = runner.get_inputs()
        if len(given) != len(inputs):  # an input that the network does not use is not part of the export
            return math.inf
        answer = runner.run(None, {x.name: y.numpy() for x, y in zip(given, inputs, strict=True)})
    except Exception as error:
        raise UserError(
            f"{folder}: ONNX Runtime cannot run it with a batch of {size} ({_first_line(error)}).{fix}"
        ) from error
    found = difference(expected, answer)
    if math.isinf(found) and not fixed:
        raise UserError(f"{folder}: ONNX Runtime gives another shape than PyTorch with a batch of {size}.{fix}")
    return found


def _shapes(content: bytes) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Inputs and outputs of a graph in words."""
    import onnx

    graph = onnx.load_from_string(content).graph

    def words(value: onnx.ValueInfoProto) -> str:
        sizes = (str(size.dim_param or size.dim_value) for size in value.type.tensor_type.shape.dim)
        return f"{value.name} ({', '.join(sizes)})"

    return tuple(map(words, graph.input)), tuple(map(words, graph.output))


def _first_line(error: Exception) -> str:
    """Without ONNX Runtime's own lines of where in its source it was."""
    return in_words(error).splitlines()[0].strip().rstrip(".")
