"""`torch.compile`: the network as one program, made for one batch size."""

from __future__ import annotations

import functools
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from bench.measure.backends.base import Backend, Call, Inputs

CACHE = "TORCHINDUCTOR_CACHE_DIR"


def compiled(module: nn.Module, inputs: Inputs) -> Call:
    """``torch.compile`` with its defaults and fixed shapes.

    No helper processes compile and no earlier compilation is found on disk: the time that it takes is what compiling
    costs on one core. Two networks of equal shapes, one after the other, share one program.
    """
    program = torch.compile(module, dynamic=False, options={"compile_threads": 1})
    with _empty_cache(), torch.inference_mode():
        program(*inputs)
    return lambda: program(*inputs)


@contextmanager
def _empty_cache() -> Iterator[None]:
    before = os.environ.get(CACHE)
    with tempfile.TemporaryDirectory(prefix="ganprune-") as folder:
        os.environ[CACHE] = folder
        try:
            yield
        finally:
            os.environ.pop(CACHE) if before is None else os.environ.__setitem__(CACHE, before)


def no_compiler(device: torch.device) -> str:
    """On the CPU the program is C++."""
    names = (os.environ.get("CXX", ""), "g++", "clang++")
    if device.type != "cpu" or any(name and shutil.which(name) for name in names):
        return ""
    return "no C++ compiler (g++ or clang++) is installed"


def begin() -> None:
    """Without a reset torch.compile silently gives up on a piece of code after eight versions, and runs it eagerly."""
    torch.compiler.reset()
    if not no_compiler(torch.device("cpu")):  # with a GPU there may be none for C++
        _load()


@functools.cache
def _load() -> None:
    """Compile something small: the first time, the compiler itself is imported and probed."""
    compiled(nn.Tanh(), (torch.zeros(2),))


COMPILE = Backend("compile", compiled, missing=no_compiler, begin=begin)
