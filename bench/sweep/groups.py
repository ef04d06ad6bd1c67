"""How cells are dealt out: in groups that share a network, with what they cost and what they wait for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bench.executors import Group
from bench.records import PlannedCell
from bench.sweep.resolved import ResolvedCell
from bench.sweep.workshop import Workshop
from bench.workloads.loaded import Gan

MASKED = {"weight", "nm"}
"""Granularities that leave zeros in tensors of the old size: their networks have the dense architecture."""
JUDGING_MACS = 4_000_000
"""What it costs to judge an image and to keep its record, in MACs of a generator: a quarter of a second for 1,000."""
COMPENSATION_IMAGES = 8_000
"""What a compensation costs, in images of the dense generator: least squares of its layers, trials of each fit."""
SMALLEST = 0.2
"""Not less than this share of the time of dense, however small a network is."""


def groups(cells: Sequence[ResolvedCell], cost: Callable[[ResolvedCell], float]) -> tuple[Group, ...]:
    """One group for each network: its cells differ in their evaluation and their finish only.

    Of one kin are those that share a score: all of a strategy where it draws nothing, else those of a seed. In a row
    come the seeds of a level, which share a cut. All wait for the dense network of their recovery and seed, whose
    images they are compared with, where it is among ``cells``.
    """

    def place(network: list[ResolvedCell]) -> tuple[str, str, str, int]:
        first = network[0].cell
        return first.target, first.level_label, first.recovery, first.seed

    networks: dict[str, list[ResolvedCell]] = {}
    for todo in cells:
        networks.setdefault(todo.network_key, []).append(todo)
    for network in networks.values():
        network.sort(key=lambda todo: todo.unfinished is not None)  # dense is judged before what is made of it
    dense = {todo.keys.prune for todo in cells if todo.dense is None}
    found: list[Group] = []
    for network in sorted(networks.values(), key=place):
        first = network[0]
        cell = first.cell
        found.append(
            Group(
                items=tuple(PlannedCell(cell=todo.cell, keys=todo.keys) for todo in network),
                kin=f"{cell.workload}/{cell.checkpoint}/{cell.strategy}/{cell.seed if first.draws else None}",
                cost=sum(map(cost, network)),
                name=first.keys.prune if first.dense is None else "",
                after=frozenset(todo.dense.keys.prune for todo in network if todo.dense is not None)
                & dense - {first.network_key},
            )
        )
    return tuple(found)


def image_cost(shop: Workshop, gan: Gan) -> float:
    """What one image of the dense generator costs, in MACs: to make it and to judge it."""
    return float(shop.layer_macs(gan) + JUDGING_MACS)


def cell_cost(shop: Workshop) -> Callable[[ResolvedCell], float]:
    """A rough cost of a cell in MACs, for dealing out groups."""

    def cost(todo: ResolvedCell) -> float:
        strategy = todo.strategy
        smaller = strategy is not None and strategy.granularity.name not in MASKED
        left = max(SMALLEST, 1 - todo.cell.level.get("sparsity", 0.0)) if smaller else 1.0
        images = 2 * shop.settings.num_images * image_cost(shop, todo.gan)
        trained = 0 if todo.unfinished else shop.training_macs(todo)  # its network is another cell's too
        return left * images + trained

    return cost
