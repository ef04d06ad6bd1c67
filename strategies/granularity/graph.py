"""Groups of coupled channels by Torch-Pruning's dependency graph, under a time limit."""

from __future__ import annotations

import contextlib
import copy
import ctypes
import io
import threading
import warnings
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd

from strategies.granularity.groups import Group, Member

T = TypeVar("T")

LIMIT_SECONDS = 60.0
"""After so long the library is given up on. On networks that it understands it takes a second or two."""


class OutOfTime(BaseException):
    """Raised inside the library's thread. No `Exception`, so that nothing in there takes it for its own."""


def fits(model: nn.Module) -> bool:
    """Whether every parameter belongs to a module of PyTorch's: of others the library knows nothing, or hangs."""
    return all(
        type(module).__module__.split(".")[0] == "torch"
        for module in model.modules()
        if list(module.parameters(recurse=False))
    )


def find(model: nn.Module, example_inputs: tuple[Tensor, ...], limit: float | None = None) -> tuple[Group, ...]:
    """The groups in the order in which the library finds them, named after the layer that each starts at.

    Raises:
        TimeoutError: ``limit`` seconds (default `LIMIT_SECONDS`) were not enough.
        Exception: whatever the library stumbles over.
    """
    return within(LIMIT_SECONDS if limit is None else limit, lambda: _find(model, example_inputs))


def _find(model: nn.Module, example_inputs: tuple[Tensor, ...]) -> tuple[Group, ...]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import torch_pruning

        dependencies = torch_pruning.DependencyGraph()
        traced = copy.deepcopy(model).cpu().float().requires_grad_(True)
        names = {module: name for name, module in traced.named_modules()}
        # The library prints about parameters that it cannot place; what it misses, the twin check finds.
        with contextlib.redirect_stdout(io.StringIO()):
            dependencies.build_dependency(traced, example_inputs=tuple(x.cpu() for x in example_inputs))
            found = list(dependencies.get_all_groups())
    return tuple(
        Group(names[items[0].dep.target.module], len(items[0].idxs), _members(dependencies, items, names))
        for items in found
    )


def _members(graph: object, items: object, names: dict[nn.Module, str]) -> tuple[Member, ...]:
    members = []
    for item in items:  # type: ignore[attr-defined]
        module = item.dep.target.module
        if module not in names or not (list(module.parameters(recurse=False)) or isinstance(module, _NormBase)):
            continue  # element-wise operators, reshapes, concatenations
        side = "out" if graph.is_out_channel_pruning_fn(item.dep.handler) else "in"  # type: ignore[attr-defined]
        indices, channels = torch.tensor(list(item.idxs)), torch.tensor(list(item.root_idxs))
        members.append(Member(names[module], side, indices, channels))
    return tuple(members)


def understood(module: nn.Module) -> bool:
    """Whether what the library says of this kind of module is what `strategies.slicing` means by it."""
    if isinstance(module, _ConvNd):
        return module.groups == 1
    return isinstance(module, nn.Linear | _NormBase)


def within(seconds: float, work: Callable[[], T]) -> T:
    """What ``work`` returns or raises; `TimeoutError` where it takes longer.

    It runs in a thread that gets an exception when its time is over: this works in worker processes and in
    the main thread, needs no signal, and stops whatever runs Python code.
    """
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:  # handed on to the caller
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if not thread.is_alive():
        if errors:
            raise errors[0]
        return results[0]
    for _ in range(20):  # a bare `except:` in there may swallow one
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(OutOfTime))
        thread.join(0.5)
        if not thread.is_alive():
            break
    raise TimeoutError(f"not done after {seconds:g} s")
