"""What is known about channels while a forward pass is followed: which are one, which must stay, which are read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Vector: TypeAlias = NDArray[np.int64]
"""One atom for each index of a dimension; -1 where there is none."""


@dataclass(frozen=True)
class Traced:
    """What is known about one tensor."""

    dims: tuple[Vector | None, ...]
    """The channels along each dimension; None for positions, batches and everything else that is no channel."""
    weight: bool = False
    """Whether it is a weight, or a weight times something, that has not been multiplied with features yet."""

    @property
    def known(self) -> bool:
        return any(vector is not None for vector in self.dims)


@dataclass(frozen=True)
class Family:
    """The atoms of one dimension of one parameter or buffer: ``start .. start + size - 1``."""

    name: str
    dim: int
    start: int
    size: int


@dataclass
class Atoms:
    """Every index of every labelled dimension of every parameter, and which of them are the same channel."""

    families: list[Family] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    reasons: dict[int, str] = field(default_factory=dict)
    """Atom -> why its channel has to stay."""
    read: set[int] = field(default_factory=set)
    """Atoms along which a weight reads features."""
    products: set[int] = field(default_factory=set)
    """Atoms of features that are multiplied with other features and summed, as in attention."""

    def family(self, name: str, dim: int, size: int) -> Vector:
        start = len(self.parents)
        self.families.append(Family(name, dim, start, size))
        self.parents.extend(range(start, start + size))
        return np.arange(start, start + size)

    def root(self, atom: int) -> int:
        while self.parents[atom] != atom:
            self.parents[atom] = self.parents[self.parents[atom]]
            atom = self.parents[atom]
        return atom

    def unite(self, one: Vector | None, other: Vector | None) -> None:
        """Index by index the same channel. Where one side has none nothing happens."""
        if one is None or other is None or one is other:
            return
        for a, b in {(int(a), int(b)) for a, b in zip(one, other, strict=True) if a >= 0 and b >= 0 and a != b}:
            self.unite_all([a, b])

    def unite_all(self, atoms: list[int]) -> None:
        roots = sorted({self.root(atom) for atom in atoms if atom >= 0})
        for root in roots[1:]:
            self.parents[root] = roots[0]

    def keep(self, vector: Vector | None, reason: str) -> None:
        """Forbid the removal of these channels; the first reason stands."""
        for atom in [] if vector is None else np.unique(vector[vector >= 0]):
            self.reasons.setdefault(int(atom), reason)

    def keep_all(self, traced: Traced, reason: str) -> None:
        for vector in traced.dims:
            self.keep(vector, reason)


class Book:
    """What is known about the tensors of one forward pass. Holds them, for their identity must stay theirs."""

    def __init__(self, last: bool = False) -> None:
        self.atoms = Atoms()
        self.last = last
        """Whether channels that a view spreads over several dimensions lie along the last of these, not the first."""
        self._found: dict[int, tuple[Tensor, Traced]] = {}

    def __getitem__(self, tensor: Tensor) -> Traced:
        found = self._found.get(id(tensor))
        return found[1] if found else Traced((None,) * tensor.ndim)

    def __setitem__(self, tensor: Tensor, traced: Traced) -> None:
        if len(traced.dims) != tensor.ndim:
            raise ValueError(f"{len(traced.dims)} dimensions described, the tensor has {tensor.ndim}")
        if traced.known or id(tensor) in self._found:
            self._found[id(tensor)] = (tensor, traced)
