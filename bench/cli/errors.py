"""What is said on stderr, and exit codes."""

from __future__ import annotations

import contextlib
import sys

from bench.base.printable import printable, shortened

INTERRUPTED = 130
"""What a shell shows for a program that Ctrl-C ended."""

LONGEST = 9_000
"""Characters of a message."""

MISTAKE = 2
"""What the user must mend."""


def complain(text: str) -> None:
    """One message on stderr, under the program's name: of a length that is read, and with nothing a terminal obeys."""
    with contextlib.suppress(OSError, ValueError):  # nobody reads it
        print(f"ganprune: {printable(shortened(text, LONGEST))}", file=sys.stderr)  # noqa: T201
