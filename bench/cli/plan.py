"""`ganprune plan`."""

from __future__ import annotations

from bench.cli.options import (
    RESULTS,
    DeviceOption,
    ExperimentArgument,
    JobsOption,
    PluginOption,
    ResultsOption,
    RunOption,
    SetOption,
)
from bench.cli.plugins import with_plugins


def plan(
    experiment: ExperimentArgument,
    overrides: SetOption = None,
    jobs: JobsOption = 2,
    device: DeviceOption = "cpu",
    results: ResultsOption = RESULTS,
    name: RunOption = None,
    plugins: PluginOption = None,
) -> None:
    """Cells: done, missing, estimated time."""
    from bench.cli.terminal import print_note, print_plan
    from bench.experiments import load_experiment
    from bench.records.paths import run_folder
    from bench.records.store import RunStore
    from bench.sweep.estimate import estimate_latency_seconds, estimate_seconds
    from bench.sweep.plan import announce_training, device_note, make_plan, settings_of
    from bench.sweep.run import MAIN, missing_cells

    loaded = load_experiment(experiment, with_plugins(overrides, plugins))
    folder = run_folder(results, loaded.name, name or MAIN)
    store = RunStore(folder)
    store.check_version()
    announce_training(loaded, print_note)
    planned = make_plan(loaded, settings_of(loaded, device=device))
    missing = missing_cells(planned, store, print_note)
    seconds = estimate_seconds(planned, missing, jobs)
    print_plan(planned, missing, seconds, estimate_latency_seconds(planned, missing, store), folder)
    if skipped := device_note(loaded):
        print_note(skipped)
