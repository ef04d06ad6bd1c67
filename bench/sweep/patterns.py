"""Whether the patterns of constraints name layers: known as soon as the workloads are loaded."""

from __future__ import annotations

from collections.abc import Sequence

from bench.base.errors import Mistakes
from bench.records import Cell
from bench.sweep.workshop import Workshop
from strategies.constraints import Constraints, Contradiction, nearby
from strategies.layers import layer_uses


def check_patterns(cells: Sequence[Cell], shop: Workshop, consequence: str = "nothing was run") -> None:
    """Look at the constraints of ``cells`` beside the layers of their workloads.

    A pattern may match in one workload and not in another: the cells of that one then say that the strategy does not
    fit. Whether layers of one group of channels agree is seen when it is scored.

    Raises:
        Mistakes: a pattern matches no layer of any workload; two constraints contradict each other in one layer.
    """
    mistakes = []
    for strategy, limits in {cell.strategy: Constraints.of(cell.constraints) for cell in cells}.items():
        if not limits.patterns:
            continue
        places = dict.fromkeys((cell.workload, cell.checkpoint) for cell in cells if cell.strategy == strategy)
        layers = {place: list(layer_uses(shop.load(*place).gan.checkpoint.generator)) for place in places}
        for key, pattern in limits.unmatched(name for names in layers.values() for name in names):
            where = ", ".join(dict.fromkeys(workload for workload, _ in layers))
            known = list(dict.fromkeys(name for names in layers.values() for name in names))
            mistakes.append(f"{strategy}: {key}: {pattern!r} matches no layer of {where}. {nearby(pattern, known)}")
        for (workload, _), names in layers.items():
            try:
                limits.check(names)
            except Contradiction as error:
                mistakes.append(f"{strategy} on {workload}: {error}")
    if mistakes:
        raise Mistakes(list(dict.fromkeys(mistakes)), consequence)
