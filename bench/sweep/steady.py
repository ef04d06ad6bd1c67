"""Generators of the user's that give other images for the same inputs: said before a run, and in its records."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator

from bench.base.containment import contained
from bench.base.errors import UserError
from bench.base.limits import BY_DEFAULT, Limits
from bench.base.raised import in_words
from bench.records import Record
from bench.sweep.resolved import ResolvedCell
from bench.workloads.own import NOT_REPEATING

FLAG = "not-repeatable"
"""Of a record whose numbers would come out otherwise the next time."""

Training = tuple[str, str]
"""Workload and checkpoint."""


def unsteady(
    cells: Iterable[ResolvedCell], note: Callable[[str], None], limits: Limits = BY_DEFAULT
) -> frozenset[Training]:
    """The trainings whose generator draws by itself, each noted once. Raises UserError where it cannot be called."""
    gans = {(todo.cell.workload, todo.cell.checkpoint): todo.gan for todo in cells}
    found = set()
    for training, gan in gans.items():
        own = gan.workload.own
        if own is None:
            continue
        with contained(own.here(), limits):
            repeats = own.repeats(gan.checkpoint.generator)
        if not repeats:
            note(f"workload {training[0]!r}: {NOT_REPEATING} Its records are flagged `{FLAG}`.")
            found.add(training)
    return frozenset(found)


@contextlib.contextmanager
def calling(cells: Iterable[ResolvedCell]) -> Iterator[None]:
    """Where networks are run to see what they cost: whatever those of the user's raise is a UserError."""
    names = sorted({todo.cell.workload for todo in cells if todo.gan.workload.own is not None})
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if not names:
            raise
        raise UserError(
            f"workload {' or '.join(map(repr, names))}: a forward pass fails: {in_words(error)}. "
            "`ganprune check-workload` says more."
        ) from error


def flagged(record: Record, trainings: frozenset[Training]) -> Record:
    """``record``, with the flag where its generator is one of these."""
    if (record.cell.workload, record.cell.checkpoint) not in trainings:
        return record
    flags = [*record.provenance.flags, FLAG]
    return record.model_copy(update={"provenance": record.provenance.model_copy(update={"flags": flags})})
