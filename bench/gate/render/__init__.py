"""A comparison as people and machines read it: terminal, Markdown, JSON, JUnit XML."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bench.base.errors import UserError
from bench.base.files import write_atomically
from bench.gate.render.junit import junit
from bench.gate.render.markdown import markdown
from bench.gate.render.terminal import terminal
from bench.gate.verdicts import Result


def as_json(result: Result) -> str:
    """The comparison as `docs/gate.md` describes it."""
    return result.model_dump_json(indent=1) + "\n"


FORMATS: dict[str, Callable[[Result], str]] = {
    "table": terminal,
    "markdown": markdown,
    "json": as_json,
    "junit": junit,
}
SUFFIXES = {".md": "markdown", ".json": "json", ".xml": "junit", ".txt": "table"}


def write(result: Result, path: Path) -> None:
    """Write the comparison to ``path``, in the format of its suffix."""
    write_atomically(path, FORMATS[format_of(path)](result))


def format_of(path: Path) -> str:
    """The format that a file name asks for; raises UserError for one that asks for none."""
    if path.suffix not in SUFFIXES:
        raise UserError(f"--write {path}: no format for {path.suffix!r}; known: {', '.join(SUFFIXES)}.")
    return SUFFIXES[path.suffix]
