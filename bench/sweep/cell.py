"""One cell, from loading to its record. Read this file first: it is the whole benchmark in one page.

    load -> prune -> recover -> measure -> Record

What several cells share (a loaded workload, one score for many sparsities, one pruned network for many
evaluation seeds, the dense images that all are compared with) lives in the `Workshop`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from torch import nn

from bench.base.seeds import stream, varies_name
from bench.records import Cell, Cost, CurvePoint, Keys, Number, Provenance, Record, Status
from bench.sweep.curve import recorder, sparse_discriminator, steps_to_dense
from bench.sweep.numbers import Measured, measure
from bench.sweep.workshop import Workshop
from bench.training.recovery import Recovered, parse_recovery, recover
from bench.workloads.checkpoints import SHIPPED, load_initialisation, load_rewind
from strategies.base import Context, Infeasible, Level, NotApplicable, Pruned, Snapshot, Wiring
from strategies.strategy import Strategy

DENSE = "dense"


@dataclass(frozen=True)
class Made:
    """A pruned and recovered network, and the seconds that it took."""

    recovered: Recovered
    prune_seconds: float
    recover_seconds: float
    numbers: dict[str, Number] = field(default_factory=dict)
    """What only the training knows: the steps until it was as good as dense, what is left of D."""

    @property
    def curve(self) -> list[CurvePoint]:
        """What was seen along the way."""
        return list(self.recovered.points)


def run_cell(cell: Cell, keys: Keys, shop: Workshop) -> Record:
    """Do one cell.

    A strategy that does not fit, a target out of reach and a collapsed generator are results and become
    records; anything else that goes wrong is raised.
    """
    scratch = shop.paths.training(keys.eval) if shop.paths else None
    try:
        made = shop.remembered("made", keys.prune, lambda: make(cell, shop, scratch=scratch))
    except NotApplicable as error:
        return _record(cell, keys, shop, "not-applicable", str(error))
    except Infeasible as error:
        return _record(cell, keys, shop, "infeasible", str(error))
    start = time.perf_counter()
    measured = measure(cell, keys, made.recovered, shop, make_dense=lambda: make_dense(cell, shop))
    seconds = time.perf_counter() - start
    reason = collapse(measured.inception_score, measured.finite, measured.constant)
    record = _record(cell, keys, shop, "collapsed" if reason else "ok", reason, made, measured)
    return record.model_copy(update={"cost": record.cost.model_copy(update={"measure_seconds": seconds})})


def make_dense(cell: Cell, shop: Workshop) -> Recovered:
    """The dense network that ``cell`` is compared with; its own cell, not this one, has its learning curve."""
    return make(shop.dense_cell(cell), shop, watch=False).recovered


def make(cell: Cell, shop: Workshop, *, watch: bool = True, scratch: Path | None = None) -> Made:
    """Prune as the strategy says, recover as the recovery says.

    Args:
        watch: whether to take the learning curve, where there is a training and FID is asked for.
        scratch: where an unfinished training is kept and continued from; None: nowhere.

    Raises:
        NotApplicable: the strategy does not fit the workload or the recovery.
        Infeasible: the level is out of reach.
    """
    loaded = shop.load(cell.workload, cell.checkpoint)
    recovery = parse_recovery(cell.recovery)
    strategy = shop.strategy(cell.strategy)
    level = Level(*next(iter(cell.level.items())))
    if loaded.data.statistics is not None and (recovery.steps or (strategy and "data" in strategy.needs)):
        raise NotApplicable(f"{cell.strategy}, {recovery.name} needs training images, the reference is statistics only")
    pruned, scheduled, pruning = None, None, 0.0
    if strategy is not None and strategy.schedule is None:
        pruned, pruning = shop.cut(cell, lambda: prune(cell, strategy, level, shop))
    elif strategy is not None:
        scheduled = (strategy, pruning_context(cell, strategy, shop), level, cell.target)
    watched = watch and recovery.steps > 0 and shop.settings.curve and "fid" in shop.settings.metrics
    watcher = recorder(cell, shop) if watched else None
    start = time.perf_counter()
    recovered = recover(
        recovery,
        loaded.workload,
        loaded.checkpoint,
        loaded.data,
        seed=cell.seed,
        pruned=pruned,
        scheduled=scheduled,
        device=shop.settings.device,
        watch=watcher,
        scratch=scratch,
    )
    seconds = time.perf_counter() - start + recovered.earlier_seconds - recovered.watch_seconds
    numbers = sparse_discriminator(recovery, recovered.curve)
    if watcher is not None:
        numbers |= steps_to_dense(cell, watcher, recovered.points, shop)
    return Made(recovered, pruning, seconds, numbers)


def prune(cell: Cell, strategy: Strategy, level: Level, shop: Workshop) -> tuple[Pruned, float]:
    """Score (once for many levels), cut, and the seconds that it took."""
    start = time.perf_counter()
    context = pruning_context(cell, strategy, shop)
    ranking = shop.ranking(cell, lambda: strategy.rank(context))
    pruned = strategy.decide(ranking, level, cell.target).apply(
        shop.load(cell.workload, cell.checkpoint).checkpoint.generator
    )
    return pruned, time.perf_counter() - start


def pruning_context(cell: Cell, strategy: Strategy, shop: Workshop) -> Context:
    """What the strategy is given: what it says it needs, never the judge or its latents."""
    loaded = shop.load(cell.workload, cell.checkpoint)
    inputs = loaded.workload.inputs
    needs = strategy.needs
    return Context(
        generator=loaded.checkpoint.generator,
        example_inputs=inputs.sample(2, stream(0, "prune", "example")),
        rng=stream(cell.seed, "prune"),
        draw_inputs=inputs.sample if needs & {"inputs", "data", "discriminator"} else None,
        images=loaded.data.train if "data" in needs else None,
        rewind=_earlier(load_rewind, cell, shop) if "rewind" in needs else None,
        wiring=shop.once(f"wiring/{cell.workload}/{cell.checkpoint}", Wiring),
        initialisation=_earlier(load_initialisation, cell, shop) if "initialisation" in needs else None,
        discriminator=loaded.checkpoint.discriminator if "discriminator" in needs else None,
        condition=loaded.workload.condition.of_inputs,
    )


def _earlier(load: Callable[..., tuple[nn.Module, nn.Module | None]], cell: Cell, shop: Workshop) -> Snapshot:
    """Both networks at an earlier time of their training. Raises NotApplicable where that was not ours."""
    workload = shop.load(cell.workload, cell.checkpoint).workload
    if workload.own is not None or (workload.weights == "initialisation" and cell.checkpoint == SHIPPED):
        raise NotApplicable(f"{cell.strategy} goes back to an earlier state of the training, which is not known")
    return Snapshot(*load(workload, cell.checkpoint))


COLLAPSE_BELOW_IS = 1.1
"""IS below this means: one kind of image. Real digits have 9.8, a constant image 1."""


def collapse(inception_score: float | None, finite: bool, constant: bool) -> str:
    """Why the generator counts as collapsed, or an empty string."""
    if not finite:
        return "the generator's output is not finite"
    if constant:
        return "every image is the same constant"
    if inception_score is not None and inception_score < COLLAPSE_BELOW_IS:
        return f"IS {inception_score:.3f} is below {COLLAPSE_BELOW_IS}: all images look alike"
    return ""


def _record(
    cell: Cell,
    keys: Keys,
    shop: Workshop,
    status: Status,
    reason: str = "",
    made: Made | None = None,
    measured: Measured | None = None,
) -> Record:
    loaded = shop.load(cell.workload, cell.checkpoint)
    record = Record(
        keys=keys,
        cell=cell,
        status=status,
        reason=reason,
        varies=varies_name(shop.streams(cell) | {"eval"}),
        provenance=Provenance(
            checkpoint=loaded.checkpoint.fingerprint,
            dense_key=shop.dense_key(cell),
            device=shop.settings.device,
            **shop.provenance,
        ),
    )
    if made is None or measured is None:
        return record
    pruned = made.recovered.pruned
    flags = [*record.provenance.flags, *measured.flags]
    steps = len(made.recovered.curve)
    return record.model_copy(
        update={
            "physical": bool(pruned and pruned.physical),
            "architecture": measured.architecture,
            "achieved_params": measured.achieved_params,
            "achieved_macs": measured.achieved_macs,
            "layers": measured.layers,
            "numbers": measured.numbers | made.numbers,
            "curve": made.curve,
            "provenance": record.provenance.model_copy(update={"flags": flags}),
            "cost": Cost(
                prune_seconds=made.prune_seconds,
                recover_seconds=made.recover_seconds,
                watch_seconds=made.recovered.watch_seconds,
                train_steps=steps,
                train_images=made.recovered.images,
                training_macs=shop.training_macs(cell),
                peak_memory_bytes=measured.peak_memory_bytes,
            ),
        }
    )
