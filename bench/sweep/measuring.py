"""Everything that is measured on one recovered generator but its latency: the numbers of a record."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from safetensors.torch import save
from torch import Tensor

from bench.artifact.finishes import FinishedNetwork
from bench.artifact.folder import save_artifact
from bench.base.errors import UserError
from bench.base.files import write_atomically
from bench.base.seeds import stream
from bench.measure.footprint import peak_cuda_bytes, peak_resident_bytes
from bench.records import Architecture, Number
from bench.records.contributions import CellContributions, write_contributions
from bench.records.store import writable
from bench.statistics import Contributions
from bench.sweep.counts import architecture_of, count, layers_of
from bench.sweep.finishing import finished_architecture, finished_files, size_of
from bench.sweep.resolved import ResolvedCell
from bench.sweep.workshop import Workshop
from bench.tasks.evaluation import Seen
from bench.training.recovery import Recovered
from bench.workloads.store import read_weights, state_hash
from strategies.cut import LayerCut


@dataclass(frozen=True)
class Measured:
    """The numbers of one cell and what its record needs besides."""

    numbers: dict[str, Number]
    collapse: str
    """Why the outputs are worth nothing; empty where they are not."""
    architecture: Architecture
    layers: list[LayerCut]
    achieved_params: float
    achieved_macs: float
    peak_memory_bytes: int
    peak_device_bytes: int | None
    flags: list[str] = field(default_factory=list)


def measure(
    todo: ResolvedCell,
    recovered: Recovered,
    shop: Workshop,
    *,
    make_dense: Callable[[], Recovered],
    finished: FinishedNetwork | None = None,
) -> Measured:
    """Draw the evaluation's outputs once, judge them once, count the network.

    What is drawn and shipped is the finished network, where there is one; parameters, MACs and layers are counted on
    the network that it was made of.

    Args:
        make_dense: the dense network of the same recovery and seed, for a run in which its outputs are not kept.
    """
    judge = todo.loaded.judge
    generator = finished or recovered.generator.to(shop.settings.device)  # counting has left a shared one on the CPU
    inputs = judge.draw(todo.cell.seed)
    seen = judge.see(generator, inputs)
    # What is not finite is compared with nothing.
    dense = dense_outputs(todo.dense, shop, make_dense) if todo.dense and seen.finite else None
    numbers = judge.numbers(seen)
    numbers |= _beside_dense(todo, seen, dense, recovered, shop)
    counts = count(todo, recovered, shop)
    numbers |= counts.numbers | (size_of(finished) if finished else {})
    _keep_contributions(todo, judge.contributions(seen), inputs, shop)
    _keep(todo, recovered, judge.samples(seen), shop, numbers, finished)
    return Measured(
        numbers,
        judge.collapse(seen, dense, trained=todo.recovery.steps > 0),
        finished_architecture(architecture_of(todo.gan.workload, recovered), todo.finish),
        layers_of(todo.gan.checkpoint.generator, recovered),
        counts.achieved_params,
        counts.achieved_macs,
        peak_resident_bytes(),
        peak_cuda_bytes(shop.settings.device),
        [*counts.flags, *judge.flags(seen), *(finished.flags if finished else ())],
    )


def _beside_dense(
    todo: ResolvedCell, seen: Seen, dense: Mapping[str, Tensor] | None, recovered: Recovered, shop: Workshop
) -> dict[str, Number]:
    """Numbers that say how a network stands to dense; of dense itself, how it stands to a perfect one."""
    judge = todo.loaded.judge
    numbers: dict[str, Number] = {}
    if todo.dense is None:
        numbers |= judge.floor()
        for method, reached in judge.trivial().items():
            numbers |= {f"{name}~{method}": number for name, number in reached.items()}
        _write_compared(shop, todo.keys.eval, judge.compared(seen))
    elif dense is not None:
        numbers |= judge.agreement(seen, dense, todo.dense_key)
    if seen.finite:
        numbers |= judge.discriminator_accuracy(seen, dense, recovered.discriminator, todo.dense_key)
    return numbers


def dense_outputs(dense: ResolvedCell, shop: Workshop, make_dense: Callable[[], Recovered]) -> Mapping[str, Tensor]:
    """What others are compared with of the dense generator of their recovery and seed.

    Read from the run where its dense cell has left it; made anew, the same to the last bit, where not.
    """
    judge, key = dense.loaded.judge, dense.keys.eval
    if shop.paths and shop.paths.dense_reference(key).exists():
        with contextlib.suppress(UserError, KeyError):  # damaged: made anew below
            kept = read_weights(shop.paths.dense_reference(key))
            return {name: kept[name] for name in judge.compared_names}
    compared = judge.compared(judge.see(make_dense().generator, judge.draw(dense.cell.seed)))
    _write_compared(shop, key, compared)
    return compared


def _write_compared(shop: Workshop, eval_key: str, compared: dict[str, Tensor]) -> None:
    if shop.paths is not None:
        with writable(shop.paths.root):
            write_atomically(shop.paths.dense_reference(eval_key), save(compared))


def _keep_contributions(
    todo: ResolvedCell, found: Mapping[str, Contributions], inputs: tuple[Tensor, ...], shop: Workshop
) -> None:
    """Keep what two cells are compared by afterwards."""
    if shop.paths is None or not found:
        return
    with writable(shop.paths.root):
        path = shop.paths.contributions(todo.keys.eval)
        write_contributions(path, CellContributions(state_hash({str(i): part for i, part in enumerate(inputs)}), found))


def _keep(
    todo: ResolvedCell,
    recovered: Recovered,
    samples: dict[str, Tensor],
    shop: Workshop,
    numbers: dict[str, Number],
    finished: FinishedNetwork | None,
) -> None:
    """Keep a few outputs for people, and the weights where they are asked for or cannot be had again cheaply."""
    if shop.paths is None:
        return
    cell, keys = todo.cell, todo.keys
    with writable(shop.paths.root):
        if cell.seed == shop.settings.sample_seed:
            write_atomically(shop.paths.cell_samples(keys.eval), save(samples))
        if recovered.curve or shop.settings.save:
            save_artifact(
                shop.paths.artifact(keys.prune),
                recovered,
                workload=cell.workload,
                made_by=cell.model_dump(exclude=set() if todo.streams else {"seed"}),
                provenance=shop.provenance,
                factory=todo.gan.workload.factory_note,
                inputs=todo.gan.workload.inputs.sample(1, stream(0, "eval")),
                numbers=numbers,
                judged_seed=cell.seed,
                finished=finished_files(todo.finish, finished),
            )
