"""The command line: parses, calls, prints. Nothing heavy is imported before it is needed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from bench.errors import UserError

if TYPE_CHECKING:
    from bench.sweep import Outcome


class Group(TyperGroup):
    """Commands of which an unknown one is answered with the one that was probably meant, else with all."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of that name. Raises UserError where there is none."""
        if cmd_name not in self.commands:
            from strategies.registry import UnknownName

            kind = f"{ctx.command_path.partition(' ')[2]} command".strip()
            raise UserError(str(UnknownName(kind, cmd_name, [*self.commands])))
        return super().get_command(ctx, cmd_name)


app = typer.Typer(
    cls=Group,
    name="ganprune",
    help="The benchmark that decides how a GAN gets pruned.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
listing = typer.Typer(cls=Group, help="List what is there.", no_args_is_help=True, rich_markup_mode=None)
showing = typer.Typer(cls=Group, help="Show one thing in full.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(listing, name="list")
baselines = typer.Typer(help="Accepted results, kept in git.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(showing, name="show")
app.add_typer(baselines, name="baseline")

ExperimentArgument = Annotated[str, typer.Argument(metavar="EXPERIMENT", help="A shipped name or a TOML file.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change a value of the experiment, 'seeds=[0,1]', or add to a list, 'seeds+=[2]'.",
    ),
]
ResultsOption = Annotated[Path, typer.Option("--results", help="Where runs are kept.")]
ReportsOption = Annotated[Path, typer.Option("--reports", help="Where reports are written.")]
RunOption = Annotated[str | None, typer.Option("--run", metavar="NAME", help="Name of the run (default: main).")]
JobsOption = Annotated[int, typer.Option("--jobs", min=1, help="Worker processes, one thread each.")]
DeviceOption = Annotated[str, typer.Option("--device", help="cpu or cuda.")]
PluginOption = Annotated[
    list[str] | None,
    typer.Option("--plugin", metavar="MODULE", help="A module or file.py that brings strategies of your own."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="A JSON list of objects.")]

RESULTS, REPORTS = Path("results"), Path("reports")


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


@app.command()
def run(
    experiment: ExperimentArgument,
    overrides: SetOption = None,
    jobs: JobsOption = 2,
    device: DeviceOption = "cpu",
    results: ResultsOption = RESULTS,
    reports: ReportsOption = REPORTS,
    name: RunOption = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Begin a new, time-stamped run.")] = False,
    save: Annotated[bool, typer.Option("--save", help="Keep the weights of every pruned network.")] = False,
    plugins: PluginOption = None,
) -> None:
    """Run what is missing of an experiment, then report.

    Interrupted? The same command continues.
    """
    from bench import api
    from bench.progress import TerminalProgress
    from bench.terminal import console, print_outcome

    with TerminalProgress(console) as progress:
        outcome: Outcome = api.run(
            experiment,
            _with_plugins(overrides, plugins),
            results=results,
            reports=reports,
            draw=False,
            run=name,
            fresh=fresh,
            jobs=jobs,
            device=device,
            save=save,
            progress=progress,
        )
    page = api.draw_report(outcome.folder, results=results, reports=reports)
    print_outcome(outcome, page)
    if outcome.failed or outcome.failed_timings:
        raise typer.Exit(1)


@app.command()
def validate(experiment: ExperimentArgument, overrides: SetOption = None, plugins: PluginOption = None) -> None:
    """Check an experiment file; runs nothing."""
    from bench.experiment import Known, expand, load_experiment

    loaded = load_experiment(experiment, _with_plugins(overrides, plugins))
    cells = expand(loaded, Known.installed())
    typer.echo(f"{loaded.name}: no mistakes; {len(cells)} cell{'' if len(cells) == 1 else 's'}.")
    if loaded.latency.enabled and "cuda" in loaded.latency.devices:
        from bench.sweep import device_note

        if skipped := device_note(loaded):
            typer.echo(skipped)


@app.command("check-workload")
def check_workload(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="TOML with [[workload]] tables of your own.")],
) -> None:
    """Try a GAN of your own: what will work, what will not, and why."""
    from bench.check import check
    from bench.experiment import load_workloads
    from bench.terminal import print_finding

    works = True
    specs, quality = load_workloads(file)
    for spec in specs:
        typer.echo(spec.name)
        for finding in check(spec, quality):
            print_finding(finding)
            works = works and finding.kind != "problem"
    if not works:
        raise typer.Exit(2)


@app.command()
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
    from bench.estimate import estimate_latency_seconds, estimate_seconds
    from bench.experiment import load_experiment
    from bench.paths import run_folder
    from bench.store import RunStore
    from bench.sweep import MAIN, device_note, make_plan, missing_cells, settings_of
    from bench.terminal import print_note, print_plan

    loaded = load_experiment(experiment, _with_plugins(overrides, plugins))
    folder = run_folder(results, loaded.name, name or MAIN)
    store = RunStore(folder)
    store.check_version()
    planned = make_plan(loaded, settings_of(loaded, device=device))
    missing = missing_cells(planned, store, print_note)
    seconds = estimate_seconds(planned, missing, jobs)
    print_plan(planned, missing, seconds, estimate_latency_seconds(planned, missing, store), folder)
    if skipped := device_note(loaded):
        print_note(skipped)


@app.command()
def report(
    run: Annotated[str, typer.Argument(metavar="RUN", help="The folder of a run, or an experiment's newest one.")],
    results: ResultsOption = RESULTS,
    reports: ReportsOption = REPORTS,
) -> None:
    """Draw the report of a run anew."""
    from bench import api

    typer.echo(str(api.draw_report(run, results=results, reports=reports)))


@app.command()
def compare(
    base: Annotated[str, typer.Argument(metavar="BASE", help="A baseline, a run, an experiment, or a git revision.")],
    head: Annotated[str, typer.Argument(metavar="HEAD", help="The same; an experiment means its newest run.")],
    strict: Annotated[bool, typer.Option("--strict", help="Fail also where nothing could be decided.")] = False,
    form: Annotated[str, typer.Option("--format", help="table, markdown, json or junit.")] = "table",
    write: Annotated[
        list[Path] | None, typer.Option("--write", metavar="FILE", help="Also to .md, .json, .xml or .txt; repeatable.")
    ] = None,
    timing: Annotated[bool, typer.Option("--timing/--no-timing", help="Time BASE against HEAD.")] = True,
    results: ResultsOption = RESULTS,
) -> None:
    """Say whether HEAD is worse than BASE.

    Exit code 0 ok, 1 regression, 2 usage, 3 a gated cell is missing or cannot be compared.
    """
    from bench.gate.command import compare_and_write
    from bench.terminal import print_text

    result, text = compare_and_write(
        base, head, results=results, strict=strict, form=form, write_to=write or [], timing=timing
    )
    print_text(text)
    if result.exit_code:
        raise typer.Exit(result.exit_code)


@baselines.command("accept")
def accept(
    run: Annotated[str, typer.Argument(metavar="RUN", help="The folder of a run, or an experiment's newest one.")],
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; reviewers read it.")],
    results: ResultsOption = RESULTS,
) -> None:
    """Make a run the baseline of its experiment; commit the files."""
    from bench.gate.command import accept_run

    typer.echo(accept_run(run, reason=reason, results=results))


@baselines.command("show")
def show_baseline(
    experiment: Annotated[str, typer.Argument(metavar="EXPERIMENT", help="Its name, or the folder of a baseline.")],
    results: ResultsOption = RESULTS,
) -> None:
    """What was accepted: when, why, where, and the gated numbers."""
    from bench.gate.command import show
    from bench.terminal import print_text

    print_text(show(experiment, results=results))


@baselines.command("history")
def history(
    experiment: Annotated[str, typer.Argument(metavar="EXPERIMENT")],
    results: ResultsOption = RESULTS,
    reports: ReportsOption = REPORTS,
) -> None:
    """How the accepted numbers drifted, as a table and a plot."""
    from bench.gate.command import show_history
    from bench.terminal import print_text

    print_text(show_history(experiment, results=results, reports=reports))


@app.command()
def train(
    workload: Annotated[str, typer.Argument(metavar="WORKLOAD", help="A built-in workload, or mnist-lenet.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the weights; an unfinished training continues.")],
    seed: Annotated[int, typer.Option("--seed", min=0)] = 0,
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="Default: the workload's recipe.")] = None,
    data: Annotated[
        str | None,
        typer.Option("--data", help="Image source, e.g. mnist (downloads), or a folder; default: the workload's."),
    ] = None,
    device: DeviceOption = "cpu",
) -> None:
    """Train a built-in GAN or its judge."""
    from bench.progress import TerminalProgress
    from bench.terminal import console, print_card
    from bench.training.command import train as train_anything

    with TerminalProgress(console) as progress:
        card = train_anything(workload, out, seed=seed, steps=steps, data=data, device=device, progress=progress.count)
    print_card(card, out)


@app.command()
def prune(
    workload: Annotated[str, typer.Argument(metavar="WORKLOAD")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the artefact.")],
    strategy: Annotated[str, typer.Option("--strategy", metavar="S")],
    sparsity: Annotated[float | None, typer.Option("--sparsity", metavar="X", help="In (0, 1).")] = None,
    level: Annotated[
        str | None, typer.Option("--level", metavar="KNOB=VALUE", help="The strategy's own knob instead.")
    ] = None,
    recovery: Annotated[str, typer.Option("--recovery")] = "bn-recalibrate",
    target: Annotated[str, typer.Option("--target", help="params or macs.")] = "params",
    checkpoint: Annotated[str, typer.Option("--checkpoint", help="shipped, or a folder of `train`.")] = "shipped",
    seed: Annotated[int, typer.Option("--seed", min=0)] = 0,
    device: DeviceOption = "cpu",
    plugins: PluginOption = None,
    workload_file: Annotated[
        Path | None, typer.Option("--workload-file", metavar="FILE", help="TOML with [[workload]] tables of your own.")
    ] = None,
) -> None:
    """Prune one generator and save it (see `bench.load`)."""
    _load_plugins(plugins)
    from bench.pruning import prune_to_folder
    from bench.terminal import print_pruned

    if workload_file is not None:
        from bench.experiment import load_workloads
        from bench.workloads.own import define

        define(load_workloads(workload_file)[0])
    made = prune_to_folder(
        out,
        workload=workload,
        checkpoint=checkpoint,
        strategy=strategy,
        sparsity=sparsity,
        level=level,
        target=target,
        recovery=recovery,
        seed=seed,
        device=device,
    )
    print_pruned(made, out)


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="An artefact of `prune`, or one that a run kept.")],
    onnx: Annotated[Path, typer.Option("--onnx", metavar="FILE", help="The file to write.")],
    factory: Annotated[
        str | None, typer.Option("--factory", metavar="MODULE:FUNCTION", help="Makes a dense network of your own.")
    ] = None,
    batch: Annotated[int | None, typer.Option("--batch", min=1, help="Fix the batch size (default: any).")] = None,
) -> None:
    """Write a saved generator as ONNX, checked with ONNX Runtime."""
    from bench.export import export_artifact, factory_named
    from bench.terminal import print_exported

    print_exported(export_artifact(folder, onnx, factory=factory_named(factory) if factory else None, batch=batch))


@app.command()
def tune(
    workload: Annotated[str, typer.Argument(metavar="WORKLOAD")],
    strategies: Annotated[
        list[str] | None, typer.Option("--strategy", metavar="S", help="One or more; default: all that fit.")
    ] = None,
    tolerance: Annotated[
        float, typer.Option("--tolerance", metavar="X", help="Largest loss, a share of the dense quality.")
    ] = 0.1,
    metric: Annotated[str, typer.Option("--metric", help="fid or is.")] = "fid",
    folds: Annotated[int, typer.Option("--folds", help="Disjoint parts of real images and inputs.")] = 5,
    num_images: Annotated[int, typer.Option("--num-images", help="Generated images in each fold.")] = 1000,
    recovery: Annotated[str, typer.Option("--recovery")] = "bn-recalibrate",
    checkpoint: Annotated[str, typer.Option("--checkpoint", help="shipped, or a folder of `train`.")] = "shipped",
    seed: Annotated[int, typer.Option("--seed", min=0)] = 0,
    device: DeviceOption = "cpu",
    plugins: PluginOption = None,
    as_json: JsonOption = False,
) -> None:
    """The highest sparsity that keeps quality within a tolerance, by cross-validation."""
    from bench.sweep import check_device
    from bench.terminal import console, print_tuned
    from bench.tune import tune as search
    from strategies.catalog import STRATEGIES

    _load_plugins(plugins)
    check_device(device)
    with console.status("") as status:
        found = search(
            workload,
            strategies or [name for name in STRATEGIES if STRATEGIES[name].schedule is None],
            tolerance=tolerance,
            metric=metric,
            folds=folds,
            num_images=num_images,
            recovery=recovery,
            checkpoint=checkpoint,
            seed=seed,
            device=device,
            plugins=tuple(plugins or ()),
            progress=status.update,
        )
    print_tuned(found, tolerance, metric, as_json)


@app.command()
def env() -> None:
    """Versions and machine behind numbers made here."""
    import json

    from bench.workshop import git_revision, libraries, machine

    found = {"libraries": libraries(), "machine": machine("cpu"), "git": git_revision()}
    import torch

    found["cuda"] = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    typer.echo(json.dumps(found, indent=1))


def _list(kind: str) -> Callable[..., None]:
    def command(as_json: JsonOption = False, plugins: PluginOption = None) -> None:
        from bench.catalogue import rows
        from bench.terminal import print_rows

        if kind in {"strategies", "criteria", "plugins"}:
            _load_plugins(plugins)
        print_rows(kind, rows(kind), as_json)

    command.__doc__ = f"The {kind}."
    return command


for _kind in ("strategies", "criteria", "workloads", "experiments", "metrics", "plugins"):
    listing.command(_kind)(_list(_kind))


@showing.command("strategy")
def show_strategy(name: Annotated[str, typer.Argument(metavar="NAME")], plugins: PluginOption = None) -> None:
    """All about one strategy: formula, source, needs, levels."""
    from bench.catalogue import describe_strategy

    _load_plugins(plugins)
    typer.echo(describe_strategy(name))


@app.command(name="check-strategy")
def check(
    name: Annotated[str, typer.Argument(metavar="NAME")],
    plugins: PluginOption = None,
    workloads: Annotated[
        list[str] | None, typer.Option("--workload", metavar="W", help="Where to try it; default: dummy, mnist-mlp.")
    ] = None,
) -> None:
    """Try a strategy against everything that the benchmark expects of one."""
    from bench.conformance import check_strategy, failures
    from bench.terminal import print_checks
    from bench.workloads.builtin import WORKLOADS
    from strategies.registry import UnknownName

    _load_plugins(plugins)
    try:
        for workload in workloads or ():
            WORKLOADS[workload]
        checks = check_strategy(name, tuple(workloads)) if workloads else check_strategy(name)
    except UnknownName as error:
        raise UserError(str(error)) from error
    print_checks(name, checks)
    if failures(checks):
        raise typer.Exit(1)


def _with_plugins(overrides: list[str] | None, plugins: list[str] | None) -> list[str]:
    """The overrides, and one more for the plug-ins, beside those of the file."""
    import json

    return [*(overrides or []), *([f"plugins+={json.dumps(plugins)}"] if plugins else [])]


def _load_plugins(plugins: list[str] | None) -> None:
    """Those of installed distributions, a note for each broken one, and those that were named."""
    from strategies.plugins import PluginError, installed_plugins, load_plugin

    for plugin in installed_plugins():
        if plugin.error:
            _complain(f"note: plug-in {plugin.name!r} of {plugin.origin} is left out: {plugin.error}")
    for name in plugins or ():
        try:
            load_plugin(name)
        except PluginError as error:
            raise UserError(f"{error}.") from error


def main() -> None:
    """Entry point: every mistake of the user's is one message and exit code 2, never a traceback."""
    try:
        app(prog_name="ganprune")
    except UserError as error:
        _complain(str(error))
        sys.exit(2)
    except OSError as error:  # a folder that cannot be written, a name that is too long, ...
        _complain(f"{error.filename}: {error.strerror}." if error.filename else str(error))
        sys.exit(2)
    except SystemExit as end:
        if end.code == INTERRUPTED:  # Typer has turned Ctrl-C into this
            _complain("interrupted; what is finished is kept, the same command continues.")
        raise


INTERRUPTED = 130
"""What a shell shows for a program that Ctrl-C ended."""


def _complain(text: str) -> None:
    print(f"ganprune: {text}", file=sys.stderr)  # noqa: T201


if __name__ == "__main__":
    main()
