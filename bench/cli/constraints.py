"""Options that say what must hold of a pruned network besides its size."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from bench.base.errors import UserError

ExcludeOption = Annotated[
    list[str] | None,
    typer.Option("--exclude", metavar="PATTERN", help="Layers of which nothing goes, 'main.0' or 'to_rgb*'."),
]
CapOption = Annotated[
    float | None, typer.Option("--cap", metavar="SHARE", help="The most that any layer loses, in (0, 1).")
]
RatioOption = Annotated[
    list[str] | None,
    typer.Option("--ratio", metavar="PATTERN=SHARE", help="What goes from these layers, whatever goes from others."),
]
MultipleOption = Annotated[
    int | None, typer.Option("--multiple", metavar="M", help="Channels: widths that become smaller are multiples of M.")
]
AtLeastOption = Annotated[
    int | None, typer.Option("--at-least", metavar="K", help="Channels: at least K stay, where there are as many.")
]


def constraints_of(
    exclude: list[str] | None,
    cap: float | None,
    ratio: list[str] | None,
    multiple: int | None,
    at_least: int | None,
) -> dict[str, Any]:
    """The options as a table of constraints; those that were not given are not in it.

    Raises:
        UserError: a ``--ratio`` that is not PATTERN=SHARE, or two for one pattern.
    """
    ratios: dict[str, float] = {}
    for text in ratio or []:
        pattern, equals, share = text.rpartition("=")
        try:
            value = float(share)
        except ValueError:
            equals = ""
        if not (equals and pattern):
            raise UserError(f"--ratio {text}: expected PATTERN=SHARE, such as 'main.3=0.5'.")
        if pattern in ratios:
            raise UserError(f"--ratio {text}: {pattern!r} has one already.")
        ratios[pattern] = value
    given: dict[str, Any] = {
        "exclude": list(exclude or []) or None,
        "cap": cap,
        "ratios": ratios or None,
        "multiple": multiple,
        "at_least": at_least,
    }
    return {key: value for key, value in given.items() if value is not None}
