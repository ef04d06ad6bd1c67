"""The text of a Python file as Python itself reads it: with a byte order mark, or in the encoding that it declares."""

from __future__ import annotations

import tokenize
from pathlib import Path


def source_text(path: Path) -> str:
    """What is in a Python file (PEP 263).

    Raises:
        OSError: it cannot be read.
        SyntaxError: an unknown encoding, or bytes that it does not have.
    """
    try:
        with tokenize.open(path) as file:
            return file.read()
    except UnicodeDecodeError as error:
        raise SyntaxError(f"{path}: byte {error.start} is not of the encoding {error.encoding}") from error
