"""What a finish is: from a network and some inputs to files, and from the files to something that makes images."""

from __future__ import annotations

import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from bench.base.machine import versions

Inputs: TypeAlias = tuple[Tensor, ...]
Call = Callable[[], object]
"""One forward pass on fixed inputs."""


class FinishedNetwork(nn.Module, ABC):
    """A network as it is shipped. It is drawn from like the module that it was made of, always on the CPU.

    It has no parameters that PyTorch knows: what it was made of says how many there are.
    """

    def __init__(self, files: Mapping[str, bytes]) -> None:
        super().__init__()
        self.files = dict(files)
        """All that has to be shipped, by file name."""
        self.eval()

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return sum(map(len, self.files.values()))

    @property
    def flags(self) -> list[str]:
        """What a reader of its numbers should know, for a record's ``flags``."""
        return []

    @abstractmethod
    def run(self, inputs: Inputs) -> Tensor:
        """One pass on inputs on the CPU."""

    @abstractmethod
    def ready(self, inputs: Inputs) -> Call:
        """A pass on just these inputs, set up anew: what is timed."""

    @abstractmethod
    def again(self) -> FinishedNetwork:
        """The same network, made anew of its files."""

    def forward(self, *inputs: Tensor) -> Tensor:
        device = inputs[0].device
        return self.run(tuple(x.cpu() for x in inputs)).to(device)

    def __deepcopy__(self, memo: dict[int, Any]) -> FinishedNetwork:
        """A runtime's session cannot be copied."""
        return self.again()


@dataclass(frozen=True)
class Finish:
    """One way of finishing a network."""

    name: str
    """As in an experiment file, and in `bench.records.finishes`."""
    make: Callable[[nn.Module, Inputs], FinishedNetwork]
    """From a network in eval mode, which is left alone, and calibration inputs. Raises whatever the libraries raise."""
    load: Callable[[Callable[[], nn.Module], Mapping[str, bytes]], FinishedNetwork]
    """From what makes the network before its finish, where that is needed, and the files."""
    files: tuple[str, ...]
    """The names of its files."""
    method: str
    """Version of how it is done here; it enters the keys."""
    packages: tuple[str, ...] = ()
    """Whose versions decide what comes out."""
    extra: str = ""
    """The extra that brings them."""
    calibrates: bool = False
    """Whether inputs decide about it, so that its numbers vary with the stream that they are drawn from."""

    @property
    def version(self) -> str:
        """``int8-onnx-1, onnxruntime 1.20, ...``: the same version makes the same network of the same inputs."""
        found = versions(*self.packages) if self.packages else {}
        return ", ".join([self.method, *(f"{name} {version}" for name, version in found.items())])

    @property
    def missing(self) -> str:
        """What has to be installed, in words; empty: nothing."""
        absent = [name for name in self.packages if importlib.util.find_spec(name) is None]
        return f"{', '.join(absent)} not installed: pip install 'ganprune[{self.extra}]'" if absent else ""


def products(computed: Mapping[str, str]) -> list[str]:
    """Flags that say which matrix products and convolutions run in 8 bits.

    Args:
        computed: layer -> ``int8``, or the operator that runs in floating point.

    Returns:
        ``int8-products:2-of-4`` and, for each kind of operator that a runtime has no 8-bit kernel for,
        ``float-product:ConvTranspose``.
    """
    whole = sum(kind == "int8" for kind in computed.values())
    return [
        f"int8-products:{whole}-of-{len(computed)}",
        *(f"float-product:{kind}" for kind in sorted({kind for kind in computed.values() if kind != "int8"})),
    ]


def floats(x: Tensor) -> Tensor:
    """``x`` in float32 where it is real."""
    return x.float() if x.is_floating_point() else x


def only(outputs: object) -> Tensor:
    """The one tensor that a generator makes."""
    if isinstance(outputs, Tensor):
        return outputs
    if isinstance(outputs, tuple | list) and len(outputs) == 1:
        return only(outputs[0])
    return torch.as_tensor(outputs)
