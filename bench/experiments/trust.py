"""Whose code an experiment's file may have run: that of its own folder, ours, and what the user says besides.

Looked at as text: nothing is imported here. `docs/security.md` says what a file can do.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bench.experiments.checking import is_file, own_tables
from bench.experiments.schema import OWN_EXTRACTOR
from bench.experiments.wording import Found, Loc, values_at

OURS = ("bench", "ganprune", "strategies")


def untrusted(raw: dict[str, Any], folder: Path, trust: Sequence[str]) -> Iterator[Found]:
    """The factories, judges and plug-ins of a file in ``folder`` that stand elsewhere than it and ``trust`` say.

    Args:
        trust: modules ``package.module``, or files ``path/to/file.py``, of which what is in them counts as well.
    """
    for loc, name, base in _named(raw):
        place = name.partition(":")[0]
        if place and not _is_trusted(place, base, folder, trust):
            yield (
                loc,
                f"{name!r} is code outside of the file's folder, and a file alone does not make such code run. Where "
                f"you trust it: --trust {place}.",
            )


def _named(raw: dict[str, Any]) -> Iterator[tuple[Loc, str, Path]]:
    """Place, name, and the folder where a file's name starts."""
    for loc, value in values_at(raw, ("experiment", "plugins")):
        if isinstance(value, str):
            yield loc, value, Path()
    for loc, value in values_at(raw, ("quality", "extractor")):
        if isinstance(value, str) and OWN_EXTRACTOR.fullmatch(value):
            yield loc, value, Path()
    for i, table in own_tables(raw):
        said = table.get("folder", ".")
        base = Path(said) if isinstance(said, str) else Path()
        critic = table.get("discriminator")
        found: list[tuple[Loc, Any]] = [(("workload", i, "factory"), table.get("factory"))]
        if isinstance(critic, dict):
            found.append((("workload", i, "discriminator", "factory"), critic.get("factory")))
        judge = table.get("extractor")
        if isinstance(judge, str) and OWN_EXTRACTOR.fullmatch(judge):
            found.append((("workload", i, "extractor"), judge))
        yield from ((loc, value, base) for loc, value in found if isinstance(value, str))


def _is_trusted(place: str, base: Path, folder: Path, trust: Sequence[str]) -> bool:
    if place.endswith(".py"):
        file = _resolved(base / place)
        named = [_resolved(Path(one)) for one in trust if one.endswith(".py")]
        return file is not None and (file.is_relative_to(folder.resolve()) or file in named)
    top = place.partition(".")[0]
    if top in OURS or any(place == one or place.startswith(f"{one}.") for one in trust):
        return True
    return top not in sys.stdlib_module_names and is_beside(top, folder)


def is_beside(top: str, folder: Path) -> bool:
    """Whether a module of that name lies in ``folder``."""
    return is_file(folder / f"{top}.py") or is_file(folder / top / "__init__.py")


def _resolved(path: Path) -> Path | None:
    try:
        return path.resolve()
    except (OSError, ValueError, RuntimeError):
        return None
