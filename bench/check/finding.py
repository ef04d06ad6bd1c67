"""What a check has to say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from bench.base.errors import UserError
from bench.base.raised import in_words

Kind = Literal["ok", "note", "problem"]


@dataclass(frozen=True)
class Finding:
    """One thing that was tried. ``problem``: nothing can be measured before it is mended."""

    kind: Kind
    text: str


def guarded(about: str, findings: Iterable[Finding]) -> Iterator[Finding]:
    """``findings``; where a try raises, whatever it was, that is the last of them: a run would end there as well."""
    try:
        yield from findings
    except UserError as error:
        yield Finding("problem", str(error))
    except Exception as error:  # noqa: BLE001 - networks and judges are the user's code
        yield Finding("problem", f"{about}: fails: {in_words(error)}")
