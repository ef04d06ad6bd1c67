"""`ganprune validate`."""

from __future__ import annotations

import typer

from bench.cli.options import ExperimentArgument, PluginOption, SetOption
from bench.cli.plugins import with_plugins


def validate(experiment: ExperimentArgument, overrides: SetOption = None, plugins: PluginOption = None) -> None:
    """Check an experiment file; runs nothing."""
    from bench.experiments import Known, expand, load_experiment

    loaded = load_experiment(experiment, with_plugins(overrides, plugins))
    cells = expand(loaded, Known.installed())
    typer.echo(f"{loaded.name}: no mistakes; {len(cells)} cell{'' if len(cells) == 1 else 's'}.")
    if loaded.latency.enabled and "cuda" in loaded.latency.devices:
        from bench.sweep.plan import device_note

        if skipped := device_note(loaded):
            typer.echo(skipped)
