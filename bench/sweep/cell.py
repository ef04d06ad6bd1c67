"""One cell, from loading to its record. Read this file first: it is the whole benchmark in one page.

    resolve -> prune -> recover -> finish -> measure -> Record

A cell's names are turned into things once (`resolved.py`); what several cells share (a loaded workload, one score for
many sparsities, one pruned network for many evaluation seeds) lives in the `Workshop`.
"""

from __future__ import annotations

import time
from pathlib import Path

from bench.base.seeds import stream, varies_name
from bench.records import Cell, Cost, Provenance, Record, Status
from bench.sweep.curve import recorder, sparse_discriminator, steps_to_dense
from bench.sweep.earlier import initialisation_of, rewind_of
from bench.sweep.finishing import finish
from bench.sweep.made import Made
from bench.sweep.measuring import Measured, measure
from bench.sweep.resolved import ResolvedCell
from bench.sweep.workshop import Workshop
from bench.training.recovery import Recovered, Scheduled, Start, recover
from strategies.base import Context, Infeasible, NotApplicable, Pruned, Wiring
from strategies.composition import Strategy


def run_cell(cell: Cell, shop: Workshop) -> Record:
    """Do one cell.

    A strategy that does not fit, a target out of reach and a collapsed generator are results and become
    records; anything else that goes wrong is raised.
    """
    todo = shop.resolve(cell)
    scratch = shop.paths.training(todo.keys.eval) if shop.paths else None
    try:
        made = shop.networks.get(todo.network_key, lambda: make(todo.unfinished or todo, shop, scratch=scratch))
        start = time.perf_counter()
        finished = finish(todo, made.recovered)
    except NotApplicable as error:
        return _record(todo, shop, "not-applicable", str(error))
    except Infeasible as error:
        return _record(todo, shop, "infeasible", str(error))
    measured = measure(todo, made.recovered, shop, make_dense=lambda: make_dense(todo, shop), finished=finished)
    seconds = time.perf_counter() - start
    record = _record(todo, shop, "collapsed" if measured.collapse else "ok", measured.collapse)
    return _with_numbers(record, todo, made, measured, seconds, shop)


def make_dense(todo: ResolvedCell, shop: Workshop) -> Recovered:
    """The dense network that a cell is compared with; its own cell, not this one, has its learning curve."""
    return make(todo.dense or todo, shop, watch=False).recovered


def make(todo: ResolvedCell, shop: Workshop, *, watch: bool = True, scratch: Path | None = None) -> Made:
    """Prune as the strategy says, recover as the recovery says.

    Args:
        watch: whether to take the learning curve, where there is a training and a number leads.
        scratch: where an unfinished training is kept and continued from; None: nowhere.

    Raises:
        NotApplicable: the strategy does not fit the workload or the recovery.
        Infeasible: the level is out of reach.
    """
    recovery, strategy = todo.recovery, todo.strategy
    if todo.gan.data.statistics is not None and (recovery.steps or (strategy and "data" in strategy.needs)):
        raise NotApplicable(
            f"{todo.cell.strategy}, {recovery.name} needs training images, the reference is statistics only"
        )
    start: Start = None
    pruning = 0.0
    if strategy is not None and strategy.schedule is None:
        start, pruning = shop.cut(todo, lambda: prune(todo, strategy, shop))
    elif strategy is not None:
        start = Scheduled(strategy, pruning_context(todo, strategy, shop), todo.level, todo.cell.target)
    watcher = recorder(todo, shop) if watch else None
    began = time.perf_counter()
    recovered = recover(recovery, todo.gan, start, seed=todo.cell.seed, watch=watcher, scratch=scratch)
    seconds = time.perf_counter() - began + recovered.earlier_seconds - recovered.watch_seconds
    numbers = sparse_discriminator(recovery, recovered.curve)
    if watcher is not None:
        numbers |= steps_to_dense(todo, watcher, recovered.points, shop)
    return Made(recovered, pruning, seconds, numbers)


def prune(todo: ResolvedCell, strategy: Strategy, shop: Workshop) -> tuple[Pruned, float]:
    """Score (once for many levels), cut, and the seconds that it took."""
    start = time.perf_counter()
    context = pruning_context(todo, strategy, shop)
    ranking = shop.ranking(todo, lambda: strategy.rank(context))
    pruned = strategy.decide(ranking, todo.level, todo.cell.target).apply(todo.gan.checkpoint.generator)
    return pruned, time.perf_counter() - start


def pruning_context(todo: ResolvedCell, strategy: Strategy, shop: Workshop) -> Context:
    """What the strategy is given: what it says it needs, never the judge or its latents."""
    gan, needs = todo.gan, strategy.needs
    inputs = gan.workload.inputs
    return Context(
        generator=gan.checkpoint.generator,
        example_inputs=inputs.sample(2, stream(0, "prune", "example")),
        rng=stream(todo.cell.seed, "prune"),
        draw_inputs=inputs.sample if needs & {"inputs", "data", "discriminator"} else None,
        images=gan.data.train if "data" in needs else None,
        rewind=rewind_of(todo) if "rewind" in needs else None,
        wiring=shop.wirings.get((gan.workload.name, gan.checkpoint.name), Wiring),
        initialisation=initialisation_of(todo) if "initialisation" in needs else None,
        discriminator=gan.checkpoint.discriminator if "discriminator" in needs else None,
        condition=gan.workload.condition.of_inputs,
    )


def _record(todo: ResolvedCell, shop: Workshop, status: Status, reason: str = "") -> Record:
    """The record of a cell without numbers."""
    return Record(
        keys=todo.keys,
        cell=todo.cell,
        task=todo.loaded.task.name,
        status=status,
        reason=reason,
        varies=varies_name(todo.streams | {"eval"}),
        provenance=Provenance(
            checkpoint=todo.gan.checkpoint.fingerprint,
            dense_key=todo.dense.keys.eval if todo.dense else None,
            device=shop.settings.device,
            **shop.provenance,
        ),
    )


def _with_numbers(
    record: Record, todo: ResolvedCell, made: Made, measured: Measured, seconds: float, shop: Workshop
) -> Record:
    pruned = made.recovered.pruned
    return record.model_copy(
        update={
            "physical": bool(pruned and pruned.physical),
            "architecture": measured.architecture,
            "achieved_params": measured.achieved_params,
            "achieved_macs": measured.achieved_macs,
            "layers": measured.layers,
            "numbers": measured.numbers | made.numbers,
            "curve": made.curve,
            "provenance": record.provenance.model_copy(update={"flags": measured.flags}),
            "cost": Cost(
                prune_seconds=made.prune_seconds,
                recover_seconds=made.recover_seconds,
                measure_seconds=seconds,
                watch_seconds=made.recovered.watch_seconds,
                train_steps=len(made.recovered.curve),
                train_images=made.recovered.images,
                training_macs=shop.training_macs(todo),
                peak_memory_bytes=measured.peak_memory_bytes,
                peak_device_bytes=measured.peak_device_bytes,
            ),
        }
    )
