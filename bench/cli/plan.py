"""`ganprune plan`."""

from __future__ import annotations

from bench.cli.options import (
    CELL_SECONDS,
    RESULTS,
    CellMemoryOption,
    CellSecondsOption,
    DeviceOption,
    ExperimentArgument,
    JobsOption,
    PluginOption,
    ResultsOption,
    RunOption,
    SetOption,
    TrustOption,
    limits_of,
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
    trust: TrustOption = None,
    cell_seconds: CellSecondsOption = CELL_SECONDS,
    cell_memory: CellMemoryOption = None,
) -> None:
    """Cells: done, missing, estimated time; which differences the run will be able to tell."""
    from bench.cli.outlook import print_outlook
    from bench.cli.terminal import print_note, print_plan
    from bench.experiments import load_experiment
    from bench.records.paths import run_folder
    from bench.records.store import RunStore
    from bench.sweep.estimate import Speeds, estimate_latency_seconds, estimate_seconds
    from bench.sweep.foresight import outlooks
    from bench.sweep.plan import announce_training, device_note, make_plan, settings_of
    from bench.sweep.run import MAIN, missing_cells

    limits = limits_of(cell_seconds, cell_memory)
    trusted = [*(trust or ()), *(plugins or ())]
    loaded = load_experiment(experiment, with_plugins(overrides, plugins), trust=trusted)
    folder = run_folder(results, loaded.name, name or MAIN)
    store = RunStore(folder)
    store.check_version()
    announce_training(loaded, print_note)
    planned = make_plan(loaded, settings_of(loaded, device=device), limits=limits)
    missing = missing_cells(planned, store, print_note)
    speeds = Speeds(planned, limits)
    seconds = estimate_seconds(speeds, missing, jobs)
    print_plan(planned, missing, seconds, estimate_latency_seconds(planned, speeds, missing, store), folder)
    if speeds.disturbed is not None:
        print_note(
            f"The probe was disturbed: it had {speeds.disturbed:.0%} of a core, others the rest. The times are those "
            "of an idle machine; they grow by what others take."
        )
    if skipped := device_note(loaded):
        print_note(skipped)
    print_outlook(outlooks(planned, results))
