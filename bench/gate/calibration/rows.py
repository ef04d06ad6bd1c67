"""What was collected, as CSV files that can be committed: what the page says can be computed again."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from bench.base.errors import UserError
from bench.base.files import write_atomically
from bench.base.outside import RECORDS, read_bytes

DIGITS = 7
"""Significant digits of what is kept: far below any noise."""

RESTORE = "Take it again from git (`git checkout`), or move it away and collect anew."

Value = str | int | float | None


def add_rows(path: Path, columns: tuple[str, ...], rows: Iterable[Mapping[str, Value]]) -> None:
    """Put ``rows`` behind those that ``path`` has, all or none of them; what is no column is left out."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if not path.exists():
        writer.writerow(columns)
    writer.writerows([_written(row[column]) for column in columns] for row in rows)
    before = path.read_bytes() if path.exists() else b""
    write_atomically(path, before + text.getvalue().encode())


def read_rows(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    """The rows that were collected; none where there is no file yet. An empty field is NaN.

    Raises:
        UserError: the file is cut off, no CSV, or has other columns.
    """
    if not path.exists():
        return pd.DataFrame(columns=list(columns))
    content = read_bytes(path, RECORDS)
    try:
        found = pd.read_csv(io.BytesIO(content))
    except ValueError as error:  # pandas' own errors and what cannot be decoded
        raise UserError(f"{path}: damaged, no CSV ({error}). {RESTORE}") from error
    if not content.endswith(b"\n"):
        raise UserError(f"{path}: cut off in its last line. {RESTORE}")
    if tuple(found.columns) != columns:
        raise UserError(
            f"{path}: columns {', '.join(found.columns)}; expected {', '.join(columns)}. Move it away: what "
            "another version has collected is not continued, it is collected anew."
        )
    return found


def _written(value: Value) -> str:
    if value is None:
        return ""
    return f"{value:.{DIGITS}g}" if isinstance(value, float) else str(value)
