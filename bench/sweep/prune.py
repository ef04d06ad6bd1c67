"""`ganprune prune`: one cell without its measurement, just the artefact."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from bench.artifact.folder import save_artifact
from bench.base.errors import Mistakes, UserError
from bench.base.machine import check_device, one_thread
from bench.base.outside import there
from bench.base.ranges import SEEDS
from bench.base.seeds import stream
from bench.experiments.schema import MOST_KNOB, checked_sparsity
from bench.records import Cell
from bench.records.finishes import FINISHES, NO_FINISH
from bench.sweep.cell import make
from bench.sweep.finishing import finish as finish_cell
from bench.sweep.finishing import finished_files
from bench.sweep.made import Made
from bench.sweep.patterns import check_patterns
from bench.sweep.settings import Settings
from bench.sweep.workshop import Workshop
from bench.training.recovery.asked import asked_recovery
from bench.workloads.builtin import BUILT_IN
from bench.workloads.catalogue import Catalogue
from strategies.base import Infeasible, NotApplicable, Target
from strategies.builtin import DENSE, STRATEGIES
from strategies.constraining import refusal
from strategies.constraints import Constraints
from strategies.registry import Registry, UnknownName


def prune_to_folder(
    out: Path,
    *,
    workload: str,
    checkpoint: str,
    strategy: str,
    sparsity: float | None,
    level: str | None,
    target: str,
    recovery: str,
    seed: int,
    device: str,
    finish: str = NO_FINISH,
    catalogue: Catalogue = BUILT_IN,
    constraints: Mapping[str, Any] | None = None,
) -> Made:
    """Prune, recover, save to ``out``.

    Args:
        constraints: what must hold besides the level, by the keys of an experiment's strategies table.

    Raises:
        Mistakes: everything that is wrong with the arguments, at once.
        UserError: the strategy does not fit, or the target is out of reach.
    """
    check_device(device)
    mistakes = [m for m in (_unknown(catalogue, workload), _not_a_strategy(strategy)) if m]
    if target not in get_args(Target):
        mistakes.append(f"--target {target}: expected params or macs.")
    try:
        asked_recovery(recovery)
    except ValueError as error:
        mistakes.append(f"--recovery: {error}")
    if finish not in FINISHES:
        mistakes.append(f"--finish: {UnknownName('finish', finish, list(FINISHES))}")
    asked: dict[str, float] = {}
    try:
        asked = _level(strategy, sparsity, level)
    except UserError as error:
        mistakes.append(str(error))
    limits, wrong = _constraints(strategy, constraints or {})
    mistakes += wrong
    if not 0 <= seed <= SEEDS:
        mistakes.append(f"--seed {seed}: expected a whole number from 0 to 2^63 - 1.")
    if there(out / "manifest.json"):
        mistakes.append(f"--out {out}: holds an artefact already. Name another folder, or delete it.")
    if mistakes:
        raise Mistakes(mistakes, "nothing was pruned")
    cell = Cell.model_validate(
        {
            "workload": workload,
            "checkpoint": checkpoint,
            "strategy": strategy + limits.label,
            "constraints": limits.table,
            "target": target,
            "level": asked,
            "recovery": recovery,
            "finish": finish,
            "seed": seed,
        }
    )
    shop = Workshop(Settings(num_images=2, metrics=(), device=device, catalogue=catalogue))
    check_patterns([cell], shop, "nothing was pruned")
    try:
        with one_thread():
            todo = shop.resolve(cell)
            made = make(todo, shop)
            finished = finished_files(todo.finish, finish_cell(todo, made.recovered))
    except (NotApplicable, Infeasible) as error:
        raise UserError(f"{strategy} on {workload}: {error}.") from error
    provenance: dict[str, Any] = shop.provenance
    try:
        save_artifact(
            out,
            made.recovered,
            workload=workload,
            made_by=cell.model_dump(),
            provenance=provenance,
            factory=catalogue[workload].factory_note,
            inputs=catalogue[workload].inputs.sample(1, stream(0, "eval")),
            finished=finished,
        )
    except OSError as error:
        raise UserError(f"--out {out}: cannot be written ({error.strerror}).") from error
    return made


def _not_a_strategy(name: str) -> str:
    if name == DENSE:
        return "--strategy dense: that is the unpruned generator; there is nothing to prune."
    return _unknown(STRATEGIES, name)


def _unknown(registry: Registry[Any] | Catalogue, name: str) -> str:
    try:
        registry[name]
    except KeyError as error:
        return str(error)
    return ""


def _constraints(strategy: str, table: Mapping[str, Any]) -> tuple[Constraints, list[str]]:
    """What was asked for, and what is wrong with it."""
    try:
        found = Constraints.of(table)
    except ValueError as error:
        return Constraints(), [f"the constraints: {error}"]
    reason = refusal(STRATEGIES[strategy], found) if found and strategy in STRATEGIES else ""
    return found, [reason] if reason else []


def _level(strategy: str, sparsity: float | None, level: str | None) -> dict[str, float]:
    if (sparsity is None) == (level is None):
        raise UserError("one of --sparsity X and --level KNOB=VALUE is needed.")
    if sparsity is not None:
        if not 0 < sparsity < 1:
            raise UserError(f"--sparsity {sparsity:g} is not in (0, 1).")
        try:
            checked_sparsity(sparsity)
        except ValueError as error:
            raise UserError(f"--sparsity: {error}") from None
        return {"sparsity": sparsity}
    name, _, text = (level or "").partition("=")
    knob = STRATEGIES[strategy].levels.knob if strategy in STRATEGIES else name
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if name != knob or not abs(value) <= MOST_KNOB:
        known = f"its knob is {knob!r}" if knob else "it has no knob of its own, use --sparsity"
        raise UserError(f"--level {level}: expected KNOB=VALUE with a number; for {strategy}, {known}.")
    return {name: value}
