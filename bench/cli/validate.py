"""`ganprune validate`."""

from __future__ import annotations

import typer

from bench.cli.options import ExperimentArgument, PluginOption, SetOption, TrustOption
from bench.cli.plugins import with_plugins


def validate(
    experiment: ExperimentArgument,
    overrides: SetOption = None,
    plugins: PluginOption = None,
    trust: TrustOption = None,
) -> None:
    """Check an experiment file; runs nothing, plug-ins neither."""
    from bench.experiments import expand, read_experiment, unknown_strategies

    trusted = [*(trust or ()), *(plugins or ())]
    loaded, known = read_experiment(experiment, with_plugins(overrides, plugins), trust=trusted)
    cells = expand(loaded, known)
    typer.echo(f"{loaded.name}: no mistakes; {len(cells)} cell{'' if len(cells) == 1 else 's'}.")
    if theirs := unknown_strategies(loaded, known):
        typer.echo(
            f"Not checked and not counted: {', '.join(theirs)}, which may be of a plug-in ({', '.join(known.unread)}); "
            "validate runs none."
        )
    if loaded.latency.enabled and "cuda" in loaded.latency.devices:
        from bench.sweep.plan import device_note

        if skipped := device_note(loaded):
            typer.echo(skipped)
