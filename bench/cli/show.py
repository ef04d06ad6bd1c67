"""`ganprune show`."""

from __future__ import annotations

from typing import Annotated

import typer

from bench.base.errors import UserError
from bench.cli.group import new_group
from bench.cli.options import PluginOption
from bench.cli.plugins import load_plugins

group = new_group("Show one thing in full.")


@group.command("strategy")
def show_strategy(name: Annotated[str, typer.Argument(metavar="NAME")], plugins: PluginOption = None) -> None:
    """All about one strategy: formula, source, needs, levels."""
    load_plugins(plugins)
    from bench.cli.terminal import say

    say(describe_strategy(name))


def describe_strategy(name: str) -> str:
    """All about one strategy, in a few lines. Raises UserError with a suggestion for an unknown name."""
    import inspect

    from strategies.builtin import DENSE, STRATEGIES
    from strategies.registry import UnknownName

    if name == DENSE:
        return "dense\n  the unpruned generator: every cell is compared with the dense one of its own recovery"
    try:
        thing = STRATEGIES[name]
    except UnknownName as error:
        raise UserError(str(error)) from error
    levels = ["any sparsity in (0, 1)"] if thing.levels.continuous else []
    if thing.levels.knob:
        fixed = f" ({', '.join(map(str, thing.levels.fixed))})" if thing.levels.fixed else ""
        levels.append(f"{thing.levels.knob} = VALUE{fixed}")
    lines = [
        name,
        f"  criterion    {thing.criterion.name}: {thing.criterion.formula}",
        f"  source       {thing.criterion.source}",
        f"  granularity  {thing.granularity.name}",
        f"  allocation   {thing.allocation.name}: {thing.allocation.formula}",
        f"  schedule     {f'{thing.schedule.name}: {thing.schedule.source}' if thing.schedule else 'one-shot'}",
        f"  needs        {', '.join(sorted(thing.needs)) or 'nothing but the weights'}",
        f"  levels       {' or '.join(levels)}",
        f"  random       {'yes: depends on the seed' if thing.random else 'no'}",
        f"  defined in   {STRATEGIES.origin(name).split('/')[-1]}",
        "",
        inspect.cleandoc(thing.criterion.score.__doc__ or ""),
    ]
    return "\n".join(lines).rstrip()
