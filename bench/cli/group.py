"""Groups of commands, all alike."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from bench.base.errors import UserError


class Group(TyperGroup):
    """Commands of which an unknown one is answered with the one that was probably meant, else with all."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of that name. Raises UserError where there is none."""
        if cmd_name not in self.commands:
            from strategies.registry import UnknownName

            kind = f"{ctx.command_path.partition(' ')[2]} command".strip()
            raise UserError(str(UnknownName(kind, cmd_name, [*self.commands])))
        return super().get_command(ctx, cmd_name)

    def invoke(self, ctx: Any) -> Any:
        """Carry out the command. Our commands end by `typer.Exit`: `SystemExit` is some other code's.

        Raises:
            UserError: that code tried to end the process.
        """
        try:
            return super().invoke(ctx)
        except SystemExit as end:
            raise UserError(f"{ctx.command_path}: some code that it ran has ended it, by {end!r}.") from end


def new_group(help: str, name: str | None = None) -> typer.Typer:
    """An empty group; without a command it shows its help."""
    return typer.Typer(
        cls=Group,
        name=name,
        help=help,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
