"""The recovery that a name asks for, refused where nobody would live to see its end."""

from __future__ import annotations

from bench.base.printable import shortened
from bench.training.recovery.spec import Recovery, parse_recovery

MOST_STEPS = 10_000_000
"""Of one recovery. The shipped generators were trained for 26,000 steps, a StyleGAN2 takes less than a million."""

LONGEST = 100


def asked_recovery(name: str) -> Recovery:
    """As `parse_recovery`, with at most `MOST_STEPS` steps. Raises ValueError."""
    if len(name) > LONGEST:
        raise ValueError(f"no recovery '{shortened(name, 60)}': a name has at most {LONGEST} characters.")
    found = parse_recovery(name)
    if found.steps > MOST_STEPS:
        raise ValueError(f"recovery {name!r}: {found.steps:,} steps; at most {MOST_STEPS:,}.")
    return found
