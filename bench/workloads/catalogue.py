"""Workloads by name, as a value: what is built in, and what one experiment brings besides."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bench.base.errors import UserError
from bench.workloads.base import Workload
from bench.workloads.described import workload_of
from bench.workloads.spec import WorkloadSpec
from strategies.registry import UnknownName


@dataclass(frozen=True)
class Catalogue:
    """An experiment owns one and a workshop is given it; adding to it makes another, and changes nobody else's."""

    workloads: tuple[Workload, ...]

    def __getitem__(self, name: str) -> Workload:
        """Raises `UnknownName`."""
        for workload in self.workloads:
            if workload.name == name:
                return workload
        raise UnknownName("workload", name, list(self))

    def __contains__(self, name: object) -> bool:
        return any(workload.name == name for workload in self.workloads)

    def __iter__(self) -> Iterator[str]:
        return (workload.name for workload in self.workloads)

    def with_own(self, specs: Iterable[WorkloadSpec]) -> Catalogue:
        """This one and the workloads that these tables describe. Nothing of the user's is read or run.

        Raises:
            UserError: a name that is taken.
        """
        return self.plus(*map(workload_of, specs))

    def plus(self, *workloads: Workload) -> Catalogue:
        """This one and ``workloads``. Raises UserError for a name that is taken."""
        found = self
        for workload in workloads:
            if workload.name in found:
                built_in = "a built-in workload" if found[workload.name].own is None else "another workload"
                raise UserError(f"workload {workload.name!r}: {built_in} has that name. Take another.")
            found = Catalogue((*found.workloads, workload))
        return found
