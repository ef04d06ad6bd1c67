"""A layer's squared error as a quadratic function of its weight, in two forms that say the same.

With ``A`` the layer as a linear function of its weight ``W``, ``Y`` the outputs that are wanted and means over all
rows taken off where the layer (or a norm behind it) can make up for them, the error is ``||A(W) - Y||^2 / rows``. Its
minimum on a support needs ``A'A / rows`` times a change, ``A'(Y - A(W)) / rows`` and the diagonal of ``A'A / rows``.

- `Operator` asks the layer itself: one forward and one backward pass for a product. Nothing is assumed of the layer but
  that its outputs are linear in its weight; of one that is not (demodulated convolutions) it is the tangent at ``W``.
- `Normal` collects ``A'A`` once from the layer's columns; products then cost nothing that grows with the rows.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.conv import _ConvNd

from strategies.compensation.columns import Class, classes, columns, put_rows, weight_rows

CHUNK = 64 * 2**20
"""Entries of columns that are made at once."""


class Quadratic(Protocol):
    """The error of a layer around its present weight."""

    slope: Tensor
    """``A'(Y - A(W)) / rows``, of the weight's shape: minus half the gradient."""
    diagonal: Tensor
    """Of ``A'A / rows``, of the weight's shape."""

    def product(self, change: Tensor) -> Tensor:
        """``A'A change / rows``."""


def channels_first(layer: nn.Module, output: Tensor) -> Tensor:
    """``output`` as ``(N, C, ...)``: a linear layer has its channels last."""
    return output.movedim(-1, 1) if isinstance(layer, nn.Linear) else output


class Operator:
    """By the layer's own forward and backward pass."""

    def __init__(self, layer: nn.Module, given: tuple[Tensor, ...], wanted: Tensor, centred: bool) -> None:
        self.layer = copy.deepcopy(layer).requires_grad_(False)
        self.given, self.centred = given, centred
        self.weight = self.layer.weight.detach().clone()  # type: ignore[operator]
        self.linear = isinstance(layer, _ConvNd | nn.Linear)
        with torch.no_grad():
            output = channels_first(layer, self.layer(*given))
        self.rows = output.numel() / output.shape[1]
        self.slope = self._back(self._centre(channels_first(layer, wanted) - output))
        self.diagonal = self._diagonal()

    def product(self, change: Tensor) -> Tensor:
        return self._back(self._centre(self._forward(change)))

    def _centre(self, output: Tensor) -> Tensor:
        if not self.centred:
            return output
        return output - output.mean([d for d in range(output.ndim) if d != 1], keepdim=True)

    def _made(self, weight: Tensor, given: tuple[Tensor, ...]) -> Tensor:
        return channels_first(self.layer, functional_call(self.layer, {"weight": weight}, given))

    def _forward(self, change: Tensor) -> Tensor:
        with torch.no_grad():
            if self.linear:
                return self._made(change, self.given) - self._made(torch.zeros_like(change), self.given)
        with torch.enable_grad():  # what the backward pass of the backward pass gives
            at = self.weight.clone().requires_grad_(True)
            made = self._made(at, self.given)
            along = torch.zeros_like(made).requires_grad_(True)
            (back,) = torch.autograd.grad(made, at, along, create_graph=True)
            (tangent,) = torch.autograd.grad(back, along, change)
        return tangent

    def _back(self, residual: Tensor) -> Tensor:
        with torch.enable_grad():
            at = self.weight.clone().requires_grad_(True)
            (found,) = torch.autograd.grad(self._made(at, self.given), at, residual / self.rows)
        return found

    def _diagonal(self) -> Tensor:
        """Exact where each output value reads an entry of the weight once: then it is the mean of squared inputs."""
        if not self.linear:
            return torch.ones_like(self.weight)
        squares = tuple(x.square() for x in self.given)
        with torch.enable_grad():
            at = torch.zeros_like(self.weight).requires_grad_(True)
            made = self._made(at, squares)
            (found,) = torch.autograd.grad(made, at, torch.full_like(made, 1 / self.rows))
        return found


@dataclass(frozen=True)
class _Part:
    """One class: its second moments, less the means."""

    which: Class
    moments: Tensor
    """``(n, n)``"""
    slope: Tensor
    """``(n, out)``"""


class Normal:
    """By second moments of the layer's columns, one matrix for each class of outputs."""

    def __init__(self, layer: nn.Module, given: tuple[Tensor, ...], wanted: Tensor, centred: bool) -> None:
        (x,) = given
        self.layer = layer
        with torch.no_grad():
            weight: Tensor = layer.weight.detach()  # type: ignore[operator]
            output = layer(x)
            left = channels_first(layer, wanted - output)
            self.rows = left.numel() / left.shape[1]
            sums = [_sums(layer, x, left, which) for which in classes(layer)]
            self.parts = [_Part(which, moments / self.rows, slope / self.rows) for which, moments, slope, _ in sums]
            # The means are those over the rows of all classes: a bias is one for all of them.
            self.means = [total / self.rows for *_, total in sums] if centred else []
            rest = left.mean([d for d in range(left.ndim) if d != 1]) if centred else None
            self.slope = self._joined(weight, [
                part.slope - torch.outer(mean, rest) if rest is not None else part.slope
                for part, mean in zip(self.parts, self.means or [torch.empty(0)] * len(self.parts), strict=True)
            ])  # fmt: skip
            self.diagonal = self._joined(weight, [
                (part.moments.diagonal() - (mean.square() if centred else 0))[:, None].expand(part.slope.shape)
                for part, mean in zip(self.parts, self.means or [torch.empty(0)] * len(self.parts), strict=True)
            ])  # fmt: skip

    def product(self, change: Tensor) -> Tensor:
        rows = [weight_rows(self.layer, change, part.which) for part in self.parts]
        found = [part.moments @ row for part, row in zip(self.parts, rows, strict=True)]
        if self.means:
            mean = torch.stack([m @ row for m, row in zip(self.means, rows, strict=True)]).sum(0)
            found = [f - torch.outer(m, mean) for f, m in zip(found, self.means, strict=True)]
        return self._joined(change, found)

    def _joined(self, like: Tensor, rows: list[Tensor]) -> Tensor:
        made = torch.zeros_like(like)
        for part, values in zip(self.parts, rows, strict=True):
            put_rows(self.layer, made, part.which, values)
        return made


def _sums(layer: nn.Module, given: Tensor, left: Tensor, which: Class) -> tuple[Class, Tensor, Tensor, Tensor]:
    """Of a class: sums of products of its columns, of columns and residuals, of its columns."""
    sums: list[Tensor] = []
    for x, y in _chunks(layer, given, left, which):
        read = columns(layer, x, which)
        found = [read.T @ read, read.T @ which.of(y), read.sum(0)]
        sums = [a + b for a, b in zip(sums, found, strict=True)] if sums else found
    moments, slope, total = sums
    return which, moments, slope, total


def _chunks(layer: nn.Module, given: Tensor, left: Tensor, which: Class) -> Iterator[tuple[Tensor, Tensor]]:
    places = left[0, 0].numel() / max(1, len(classes(layer)))
    width = given.shape[-1] if isinstance(layer, nn.Linear) else given.shape[1] * len(which.taps)
    size = max(1, int(CHUNK / max(1.0, places * width)))
    yield from zip(given.split(size), left.split(size), strict=True)


def cost(layer: nn.Module, given: Tensor, output: Tensor) -> float:
    """Multiplications of `Normal`."""
    rows = output.numel() / output.shape[out_axis(layer)]
    parts = classes(layer)
    wide = given.shape[-1] if isinstance(layer, nn.Linear) else given.shape[1]
    return sum(rows / len(parts) * (wide * len(part.taps)) ** 2 for part in parts)


def out_axis(layer: nn.Module) -> int:
    """The dimension of what a layer takes and gives that holds its channels."""
    return -1 if isinstance(layer, nn.Linear) else 1
