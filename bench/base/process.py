"""What of a process others rely on and somebody else's code may change: settings of PyTorch, its functions, the folder.

A generator that sets the default dtype or replaces ``F.conv2d`` changes every number that is measured after it.
"""

from __future__ import annotations

import builtins
import contextlib
import inspect
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import nn

from bench.base.errors import UserError

Setting = tuple[Callable[[], Any], Callable[[Any], Any]]

SETTINGS: Mapping[str, Setting] = {
    "the default dtype": (torch.get_default_dtype, torch.set_default_dtype),
    "the default device": (
        torch.get_default_device,
        lambda device: torch.set_default_device(None if device.type == "cpu" else device),
    ),
    "whether gradients are taken": (torch.is_grad_enabled, lambda on: torch.set_grad_enabled(on)),
    "the number of threads": (torch.get_num_threads, torch.set_num_threads),
    "whether algorithms are deterministic": (
        torch.are_deterministic_algorithms_enabled,
        torch.use_deterministic_algorithms,
    ),
    "the precision of matrix products": (torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
    "autocast": (lambda: torch.is_autocast_enabled("cpu"), lambda on: torch.set_autocast_enabled("cpu", on)),
    "the working folder": (lambda: _folder(), os.chdir),
    "standard output": (lambda: sys.stdout, lambda stream: setattr(sys, "stdout", stream)),
    "standard error": (lambda: sys.stderr, lambda stream: setattr(sys, "stderr", stream)),
}
"""What it is -> how it is read and set."""


def _folder() -> str:
    try:
        return str(Path.cwd())
    except OSError:
        return ""  # deleted


def _places() -> list[tuple[str, ModuleType | type]]:
    """Where functions lie that all networks use."""
    modules = [torch, torch.nn, torch.nn.functional, torch.nn.init, torch.linalg, torch.fft, np, builtins]
    layers = {thing for thing in vars(nn).values() if isinstance(thing, type) and issubclass(thing, nn.Module)}
    found: list[tuple[str, ModuleType | type]] = [(module.__name__, module) for module in modules]
    found.append(("torch.Tensor", torch.Tensor))
    return found + sorted((f"torch.nn.{layer.__name__}", layer) for layer in layers)


INHERITED = object()
"""In the place of a method that a class took from another, before somebody gave it one of its own."""

TORCH = str(Path(torch.__file__).parent)


@dataclass(frozen=True)
class ProcessState:
    """What the settings and functions were."""

    settings: Mapping[str, Any]
    functions: tuple[tuple[str, Any, Mapping[str, Any]], ...]
    """Name of a module or class, itself, and its functions and classes by name."""

    def changes(self) -> list[str]:
        """In words, what is another thing now."""
        found = []
        for name, before in self.settings.items():
            now = SETTINGS[name][0]()
            if now != before:
                shown = f" from {before} to {now}" if isinstance(before, int | str | torch.dtype | torch.device) else ""
                found.append(f"{name}{shown}")
        return found + [f"the function {place}.{name}" for place, _, name, _ in self._replaced()]

    def restore(self) -> None:
        """Everything as it was, as far as it can be set back."""
        for name, before in self.settings.items():
            read, write = SETTINGS[name]
            if read() != before:
                with contextlib.suppress(OSError, RuntimeError):
                    write(before)
        for _, owner, name, before in list(self._replaced()):
            with contextlib.suppress(AttributeError, TypeError):
                if before is INHERITED:
                    delattr(owner, name)
                else:
                    setattr(owner, name, before)

    def _replaced(self) -> Iterator[tuple[str, Any, str, Any]]:
        """Place, owner, name and what was there before."""
        for place, owner, functions in self.functions:
            now = vars(owner)
            for name, before in functions.items():
                if (found := now.get(name)) is not before and not _by_torch_itself(found, before):
                    yield place, owner, name, before
            if isinstance(owner, type):
                for name in now.keys() - functions.keys():
                    if _is_function(name, now[name]) and any(name in vars(base) for base in owner.__mro__[1:]):
                        yield place, owner, name, INHERITED


def process_state() -> ProcessState:
    """As it is now."""
    functions = tuple(
        (place, owner, {name: thing for name, thing in vars(owner).items() if _is_function(name, thing)})
        for place, owner in _places()
    )
    return ProcessState({name: read() for name, (read, _) in SETTINGS.items()}, functions)


def _by_torch_itself(now: object, before: object) -> bool:
    """PyTorch wraps some of its functions when a part of it is first used, the compiler for one."""
    code = getattr(now, "__code__", None)
    return code is not None and code.co_filename.startswith(TORCH) and inspect.unwrap(now) is inspect.unwrap(before)  # type: ignore[arg-type]


def _is_function(name: str, thing: object) -> bool:
    return name != "_" and (callable(thing) or isinstance(thing, classmethod | staticmethod | property))


@contextlib.contextmanager
def unchanged(what: str) -> Iterator[None]:
    """Whatever is done within leaves the process as it was.

    Args:
        what: the place, for the message.

    Raises:
        UserError: it did not; it is as it was again.
    """
    before = process_state()
    try:
        yield
    finally:
        changed = before.changes()
        before.restore()
    if changed:
        raise UserError(
            f"{what}: changes {', '.join(changed[:4])}{', ...' if len(changed) > 4 else ''}, for the whole process: "
            "every number measured after it would be another. Leave such settings and functions alone in code that is "
            "imported or called here."
        )
