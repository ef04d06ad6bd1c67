"""The command line: parses, calls, prints. One file a command; nothing heavy is imported before it is needed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer

from bench.base.errors import UserError
from bench.cli import (
    baseline,
    check_strategy,
    check_workload,
    compare,
    env,
    export,
    listing,
    plan,
    power,
    prune,
    report,
    run,
    show,
    train,
    tune,
    validate,
)
from bench.cli.errors import INTERRUPTED, MISTAKE, complain
from bench.cli.group import new_group
from bench.cli.streams import check_folder, clean_stderr, finished, in_words, prepare
from bench.cli.supervisor import supervised

COMMANDS: tuple[Callable[..., Any], ...] = (
    run.run,
    validate.validate,
    check_workload.check_workload,
    plan.plan,
    report.report,
    power.power,
    compare.compare,
    train.train,
    prune.prune,
    export.export,
    tune.tune,
    env.env,
    check_strategy.check_strategy,
)
"""In the order of the help; each is called as its function is, with dashes."""

GROUPS = {"list": listing.group, "show": show.group, "baseline": baseline.group}

app = new_group("The benchmark that decides how a GAN gets pruned.", name="ganprune")
for _command in COMMANDS:
    app.command()(_command)
for _name, _group in GROUPS.items():
    app.add_typer(_group, name=_name)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"ganprune {version('ganprune')}")
        raise typer.Exit


@app.callback()
def common(
    _: Annotated[bool, typer.Option("--version", help="The version.", callback=_version, is_eager=True)] = False,
) -> None:
    """The benchmark that decides how a GAN gets pruned."""


def main() -> None:
    """Entry point: the command in a process of its own, and its exit code."""
    prepare()
    sys.exit(supervised(command))


def command() -> int:
    """The command that `sys.argv` names, in this process; its exit code.

    Every mistake of the user's is one message and exit code 2, never a traceback; and the code is 0 only where the
    command itself came to its end (`bench.cli.group`).
    """
    prepare()
    with clean_stderr():
        return finished(_carried_out())


def _carried_out() -> int:
    try:
        check_folder()
        app(prog_name="ganprune")
    except UserError as error:
        complain(str(error))
        return MISTAKE
    except OSError as error:  # a folder that cannot be written, a name that is too long, ...
        complain(in_words(error))
        return MISTAKE
    except SystemExit as end:
        if end.code == INTERRUPTED:  # Typer has turned Ctrl-C into this
            complain("interrupted; what is finished is kept, the same command continues.")
        return end.code if isinstance(end.code, int) else 0
    return 0
