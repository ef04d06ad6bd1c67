"""What is said on stderr, and exit codes."""

from __future__ import annotations

import sys

INTERRUPTED = 130
"""What a shell shows for a program that Ctrl-C ended."""

MISTAKE = 2
"""What the user must mend."""


def complain(text: str) -> None:
    """One message on stderr, under the program's name."""
    print(f"ganprune: {text}", file=sys.stderr)  # noqa: T201
