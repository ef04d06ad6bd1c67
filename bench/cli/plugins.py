"""What `--plugin` does."""

from __future__ import annotations

from bench.base.containment import contained
from bench.base.errors import UserError
from bench.base.limits import A_CALL
from bench.cli.errors import complain


def with_plugins(overrides: list[str] | None, plugins: list[str] | None) -> list[str]:
    """The overrides, and one more for the plug-ins, beside those of the file."""
    import json

    return [*(overrides or []), *([f"plugins+={json.dumps(plugins)}"] if plugins else [])]


def load_plugins(plugins: list[str] | None) -> None:
    """Those of installed distributions, a note for each broken one, and those that were named.

    Raises:
        UserError: a named one that cannot be loaded.
    """
    from strategies.plugins import PluginError, installed_plugins, load_plugin

    with contained("the plug-ins that are installed", A_CALL):
        installed = installed_plugins()
    for plugin in installed:
        if plugin.error:
            complain(f"note: plug-in {plugin.name!r} of {plugin.origin} is left out: {plugin.error}")
    for name in plugins or ():
        try:
            with contained(f"plug-in {name!r}", A_CALL):
                load_plugin(name)
        except PluginError as error:
            raise UserError(f"{error}.") from error
