"""What a layer reads of its input for one value of its output: the columns that its weight multiplies.

A convolution's outputs all read by the same taps. Those of a transposed one with a stride fall into classes, by their
place modulo the stride: each class is read by taps of its own, so its least squares are a small problem by itself.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

Tap = tuple[int, ...]
"""A place in the kernel."""


@dataclass(frozen=True)
class Class:
    """Output places that are read by the same taps."""

    taps: tuple[Tap, ...]
    start: tuple[int, ...]
    step: tuple[int, ...]
    """In each dimension the first of the places, and from one to the next."""

    def of(self, output: Tensor) -> Tensor:
        """Those places of ``output (N, C, *places)`` as rows, ``(rows, C)``."""
        places = tuple(slice(a, None, b) for a, b in zip(self.start, self.step, strict=True))
        return output[(slice(None), slice(None), *places)].movedim(1, -1).flatten(0, -2)


def unfolds(layer: nn.Module) -> bool:
    """Whether `columns` knows the layer: linear, or a convolution of one group."""
    return isinstance(layer, nn.Linear) or (isinstance(layer, _ConvNd) and layer.groups == 1)


def classes(layer: nn.Module) -> tuple[Class, ...]:
    """The classes of the layer's outputs; one, but for transposed convolutions with a stride."""
    if not isinstance(layer, _ConvNd):
        return (Class(((),), (), ()),)
    every = list(itertools.product(*(range(size) for size in layer.kernel_size)))
    ones = (1,) * len(layer.kernel_size)
    if not isinstance(layer, _ConvTransposeNd):
        return (Class(tuple(every), (0,) * len(ones), ones),)
    found = []
    for rest in itertools.product(*(range(stride) for stride in layer.stride)):
        # Output q of input i by tap k: q = stride i + dilation k - padding.
        taps = tuple(k for k in every if _rests(k, layer) == rest)
        if not taps:  # nothing reads there
            continue
        start = tuple((r - p) % s for r, p, s in zip(rest, _padding(layer), layer.stride, strict=True))
        found.append(Class(taps, start, tuple(layer.stride)))
    return tuple(found)


def _padding(layer: _ConvNd) -> tuple[int, ...]:
    found: tuple[Any, ...] = tuple(layer.padding)  # a word only where nothing is transposed
    return found


def _rests(tap: Tap, layer: _ConvNd) -> Tap:
    return tuple(d * k % s for d, k, s in zip(layer.dilation, tap, layer.stride, strict=True))


def columns(layer: nn.Module, given: Tensor, which: Class) -> Tensor:
    """``(rows, inputs * taps)``: what the outputs of a class read, in the order of `weight_rows`."""
    if isinstance(layer, nn.Linear):
        return given.flatten(0, -2)
    parts = list(_read(cast(_ConvNd, layer), given, which))
    return torch.stack(parts, 2).flatten(1, 2).movedim(1, -1).flatten(0, -2)


def _read(layer: _ConvNd, given: Tensor, which: Class) -> Iterator[Tensor]:
    """For each tap of the class the input that it multiplies, ``(N, in, *places)``."""
    if isinstance(layer, _ConvTransposeNd):
        sizes = _places(layer, given)
        for tap in which.taps:
            # Place q is read at input (q + padding - dilation k) / stride, the next place of its class at the next.
            firsts = [
                (q + p - d * k) // s
                for q, p, d, k, s in zip(which.start, _padding(layer), layer.dilation, tap, layer.stride, strict=True)
            ]
            counts = [max(0, math.ceil((n - q) / s)) for n, q, s in zip(sizes, which.start, layer.stride, strict=True)]
            yield _window(given, firsts, counts, [1] * len(counts))
        return
    mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
    padded = functional.pad(given, layer._reversed_padding_repeated_twice, mode=mode)
    sizes = [
        (n - d * (k - 1) - 1) // s + 1
        for n, d, k, s in zip(padded.shape[2:], layer.dilation, layer.kernel_size, layer.stride, strict=True)
    ]
    for tap in which.taps:
        yield _window(padded, [d * k for d, k in zip(layer.dilation, tap, strict=True)], sizes, layer.stride)


def _places(layer: _ConvTransposeNd, given: Tensor) -> list[int]:
    """Sizes of what a transposed convolution puts out."""
    return [
        (n - 1) * s - 2 * p + d * (k - 1) + o + 1
        for n, s, p, d, k, o in zip(
            given.shape[2:], layer.stride, _padding(layer), layer.dilation, layer.kernel_size, layer.output_padding,
            strict=True,
        )
    ]  # fmt: skip


def _window(given: Tensor, firsts: Sequence[int], counts: Sequence[int], steps: Sequence[int]) -> Tensor:
    """``counts`` places of each dimension from ``firsts`` on, ``steps`` apart; zeros where there is no input."""
    pads: list[int] = []
    places: list[slice] = []
    for size, first, count, step in zip(given.shape[2:], firsts, counts, steps, strict=True):
        before = max(0, -first)
        after = max(0, first + (count - 1) * step + 1 - size)
        pads = [before, after, *pads]
        places.append(slice(first + before, first + before + (count - 1) * step + 1 if count else first + before, step))
    return functional.pad(given, pads)[(slice(None), slice(None), *places)]


def weight_rows(layer: nn.Module, weight: Tensor, which: Class) -> Tensor:
    """The part of a weight that a class is read by, ``(inputs * taps, out)``."""
    if isinstance(layer, nn.Linear):
        return weight.T
    return _by_tap(layer, weight)[:, :, _flat(layer, which)].permute(0, 2, 1).flatten(0, 1)


def put_rows(layer: nn.Module, weight: Tensor, which: Class, rows: Tensor) -> None:
    """Put, in place, what `weight_rows` takes."""
    if isinstance(layer, nn.Linear):
        weight.copy_(rows.T)
        return
    part = rows.view(-1, len(which.taps), rows.shape[1]).permute(0, 2, 1)
    _by_tap(layer, weight)[:, :, _flat(layer, which)] = part


def _by_tap(layer: nn.Module, weight: Tensor) -> Tensor:
    """A view of a convolution's weight, ``(in, out, taps)``."""
    flat = weight.flatten(2)
    return flat if isinstance(layer, _ConvTransposeNd) else flat.transpose(0, 1)


def _flat(layer: nn.Module, which: Class) -> Tensor:
    sizes = cast(_ConvNd, layer).kernel_size
    places = []
    for tap in which.taps:
        at = 0
        for size, k in zip(sizes, tap, strict=True):
            at = at * size + k
        places.append(at)
    return torch.tensor(places, dtype=torch.long)
