"""`docs/catalogue.md`: every strategy with its formula, source, needs, levels and what scoring costs.

`make docs` writes it anew and times what is not on it yet; `python -m bench.documentation.strategies --time` times each
strategy. A test holds all but the seconds against the registry.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import torch

from bench.check.strategy import context_for
from strategies.base import NotApplicable
from strategies.builtin import STRATEGIES
from strategies.composition import Strategy

PAGE = Path("docs/catalogue.md")
TIMED_ON = "mnist-dcgan"

ALLOCATED = {"weight", "channel", "group", "quantised"}
"""Granularities that ask an allocation."""

HEAD = """# The catalogue

{count} named strategies. Written by `make docs`; a test compares it with the registry.

A strategy is criterion x granularity x allocation x schedule, and its name says which: `l1-weight-global+cubic`.
Low scores go first. `needs`: what a strategy looks at besides the weights; `inputs` are generator inputs of its own
stream, never those that are judged. `seconds`: CPU time of one thread to score and order `mnist-dcgan` (972 k
parameters) once, which serves every sparsity; for strategies that prune within a training, one such scoring. It
depends on the machine.

| strategy | score | allocation | levels | needs | seconds |
|---|---|---|---|---|---:|
"""


def page(seconds: dict[str, float | None]) -> str:
    """The page; ``seconds`` None for a strategy that does not fit the timed workload."""
    rows = [_row(STRATEGIES[name], seconds.get(name)) for name in STRATEGIES]
    return HEAD.format(count=len(rows)) + "\n".join(rows) + "\n\n" + _sources()


def without_seconds(text: str) -> list[str]:
    """The lines of the page, their last column cut off: what does not depend on the machine."""
    return [
        line.rsplit(" | ", 1)[0] if line.startswith("| `") and line.count(" | ") == 5 else line
        for line in text.splitlines()
    ]


def seconds_on(text: str) -> dict[str, float | None]:
    """The seconds that a page tells, by strategy."""
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    last = {row.split("`")[1]: row.rstrip(" |").rsplit(" ", 1)[1] for row in rows}
    return {name: None if value == "-" else float(value) for name, value in last.items()}


def _row(strategy: Strategy, seconds: float | None) -> str:
    levels = ["any sparsity"] if strategy.levels.continuous else []
    if strategy.levels.knob:
        levels.append(f"{strategy.levels.knob} = {', '.join(f'{x:g}' for x in strategy.levels.fixed) or 'X'}")
    cells = (
        f"`{strategy.name}`",
        strategy.criterion.formula,
        strategy.allocation.formula if strategy.granularity.name in ALLOCATED else "-",
        " or ".join(levels),
        ", ".join(sorted(strategy.needs)) or "-",
        "-" if seconds is None else f"{seconds:.2f}",
    )
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _sources() -> str:
    criteria = {s.criterion.name: s.criterion.source for s in map(STRATEGIES.__getitem__, STRATEGIES)}
    schedules = {s.schedule.name: s.schedule.source for s in map(STRATEGIES.__getitem__, STRATEGIES) if s.schedule}
    granularities = {
        s.granularity.name: (type(s.granularity).__doc__ or "").strip().split("\n\n")[0].replace("\n    ", " ")
        for s in map(STRATEGIES.__getitem__, STRATEGIES)
    }
    parts = [
        ("Sources of the criteria", criteria),
        ("Sources of the schedules", schedules),
        ("Granularities", granularities),
    ]
    return "\n".join(
        f"## {title}\n\n" + "\n".join(f"- `{name}`: {text}" for name, text in sorted(table.items())) + "\n"
        for title, table in parts
    )


def seconds_of(name: str) -> float | None:
    """CPU seconds of one scoring; None where the strategy does not fit."""
    context = context_for(STRATEGIES[name], TIMED_ON, seed=0)
    start = time.process_time()
    try:
        STRATEGIES[name].rank(context)
    except NotApplicable:
        return None
    return time.process_time() - start


def main(place: Path = PAGE, *, anew: bool = False) -> None:
    """Write the page.

    Args:
        anew: time every strategy, also those that stand on the page with their seconds.
    """
    known = {} if anew else seconds_on(place.read_text(encoding="utf-8"))
    missing = [name for name in STRATEGIES if name not in known]
    torch.set_num_threads(1)
    if missing:
        seconds_of("l1-channel-global")  # the first call pays for imports
    place.write_text(page(known | {name: seconds_of(name) for name in missing}), encoding="utf-8")


if __name__ == "__main__":
    main(anew="--time" in sys.argv[1:])
