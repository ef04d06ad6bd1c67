"""`ganprune validate`."""

from __future__ import annotations

from bench.cli.options import ExperimentArgument, PluginOption, SetOption, TrustOption
from bench.cli.plugins import with_plugins


def validate(
    experiment: ExperimentArgument,
    overrides: SetOption = None,
    plugins: PluginOption = None,
    trust: TrustOption = None,
) -> None:
    """Check an experiment file; runs nothing, plug-ins neither."""
    from bench.base.printable import few
    from bench.cli.terminal import say
    from bench.experiments import expand, read_experiment, unknown_strategies

    trusted = [*(trust or ()), *(plugins or ())]
    loaded, known = read_experiment(experiment, with_plugins(overrides, plugins), trust=trusted)
    cells = expand(loaded, known)
    say(f"{loaded.name}: no mistakes; {len(cells)} cell{'' if len(cells) == 1 else 's'}.")
    if theirs := unknown_strategies(loaded, known):
        say(
            f"Not checked and not counted: {few(theirs)}, which may be of a plug-in ({few(known.unread)}); "
            "validate runs none."
        )
    if loaded.latency.enabled and "cuda" in loaded.latency.devices:
        from bench.sweep.plan import device_note

        if skipped := device_note(loaded):
            say(skipped)
