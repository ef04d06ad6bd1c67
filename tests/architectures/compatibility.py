"""`docs/compatibility.md`, made from what happens: ``python -m tests.architectures.compatibility``."""

from __future__ import annotations

import functools
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import torch
from torch import Tensor, nn

from strategies.baking import plain_copy
from strategies.base import Context, Infeasible, Level, MissingData, NotApplicable, Snapshot
from strategies.builtin import STRATEGIES
from strategies.composition import Strategy
from strategies.granularity import channel
from strategies.granularity.coupling import Coupling, couple
from strategies.layers import named_weights, tensors_of
from strategies.tracing.trace import OUTPUT
from tests.architectures.catalogue import ARCHITECTURES, build, example_inputs

PLACE = Path(__file__).parents[2] / "docs" / "compatibility.md"
SPARSITY = 0.5
ONE_IMAGE = "takes the output for one image; of several outputs a workload has to name one"

HEAD = """# Compatibility

Written by `python -m tests.architectures.compatibility`, and held to the code by a test. Small, faithful versions of
generators (`tests/architectures/`), each pruned at half of its weights, or as near as it gets, by each criterion and
granularity that a registered strategy uses. Allocation and schedule do not change what fits.

- **compact**: tensors are smaller or blocks are gone, and the network was compared in float64 with the dense one in
  which the same channels are silenced or the same blocks bypassed (channels: within 1e-9 of the largest output). The
  number is the largest share of the weights that can go; output channels never do.
- **masked**: zeros in tensors of the old size.
- **-**: not applicable; the reason is below the table.
"""


@functools.cache
def dense(name: str) -> nn.Module:
    """The architecture with its example weights; not to be changed."""
    return build(name)


@functools.cache
def plain(name: str) -> nn.Module:
    """The same with all weights plain; not to be changed."""
    return plain_copy(dense(name))


@functools.cache
def coupling(name: str) -> Coupling:
    """The coupled channels of the architecture, traced once."""
    return couple(dense(name), example_inputs(name))


def coupled_once() -> mock._patch[object]:
    """Tracing takes longer than all the rest and does not depend on the strategy: look it up."""

    def known(model: nn.Module, inputs: tuple[Tensor, ...]) -> Coupling:
        weights = dict(named_weights(model))
        for name in ARCHITECTURES:
            theirs = dict(named_weights(plain(name)))
            alike = type(model) is type(plain(name)) and weights.keys() == theirs.keys()
            if alike and all(torch.equal(weights[key], theirs[key]) for key in weights):
                return coupling(name)
        return couple(model, inputs)

    return mock.patch.object(channel, "couple", known)


class Judge(nn.Module):
    """A discriminator for images of any size."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(channels, 4, 3, padding=1), nn.LeakyReLU(0.2), nn.Conv2d(4, 1, 3))

    def forward(self, x: Tensor) -> Tensor:
        score: Tensor = self.net(x).mean((1, 2, 3))
        return score


def context_of(name: str) -> Context:
    """All that a strategy may ask for: inputs, noise for training images, an untrained discriminator, snapshots."""
    inputs = example_inputs(name)

    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        image = next(iter(tensors_of(plain(name)(*inputs))))
        judge = Judge(image.shape[1]).eval()
    rng = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (8, *image.shape[1:]), dtype=torch.uint8, generator=rng)
    snapshot = Snapshot(plain(name), judge)
    return Context(
        dense(name),
        inputs,
        rng,
        draw_inputs=ARCHITECTURES[name].inputs,
        images=images,
        discriminator=judge,
        rewind=snapshot,
        initialisation=snapshot,
    )


def _run(name: str) -> object:
    with torch.random.fork_rng(), torch.no_grad():
        return plain(name)(*example_inputs(name))


@dataclass(frozen=True)
class Fit:
    """What becomes of one architecture under one strategy."""

    kind: str
    """``compact``, ``masked`` or ``-``."""
    maximum: float | None = None
    reason: str = ""


def fit(name: str, strategy: Strategy) -> Fit:
    """Prune once; whatever goes wrong that is no reason is raised."""
    try:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            ranking = strategy.rank(context_of(name))
        maximum = None
        if strategy.levels.continuous:
            try:
                removal = ranking.cut(SPARSITY, "params")
            except Infeasible as error:
                maximum = error.maximum
                removal = ranking.cut(maximum, "params")
            else:
                try:
                    ranking.cut(1.0, "params")
                except Infeasible as error:
                    maximum = error.maximum
        else:
            value = strategy.levels.fixed[0] if strategy.levels.fixed else SPARSITY
            removal = strategy.decide(ranking, Level(strategy.levels.knob or "sparsity", value), "params")
        pruned = removal.apply(dense(name))
    except (NotApplicable, MissingData, Infeasible) as reason:
        return Fit("-", reason=str(reason))
    except (TypeError, AttributeError):
        if len(list(tensors_of(_run(name)))) == 1:
            raise
        return Fit("-", reason=ONE_IMAGE)
    return Fit("compact", maximum) if pruned.physical else Fit("masked")


def one_of_each() -> list[Strategy]:
    """The first registered strategy of each granularity and criterion."""
    found: dict[tuple[str, str], Strategy] = {}
    for strategy in (STRATEGIES[name] for name in STRATEGIES):
        found.setdefault((strategy.granularity.name, strategy.criterion.name), strategy)
    return list(found.values())


def compatibility() -> str:
    """The whole page."""
    return "\n".join([HEAD, *sections(quick=False), dense_layers()])


def sections(*, quick: bool) -> list[str]:
    """The tables, one for each granularity and what its criteria need; ``quick`` ones need nothing but weights."""
    tables: dict[tuple[str, tuple[str, ...]], dict[str, Strategy]] = {}
    for strategy in one_of_each():
        needs = tuple(sorted(strategy.needs - {"training"}))
        tables.setdefault((strategy.granularity.name, needs), {})[strategy.criterion.name] = strategy
    text = []
    with coupled_once(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for (granularity, needs), columns in sorted(tables.items(), key=lambda item: item[0]):
            if not (quick and needs):
                what = f"which need {', '.join(needs)}" if needs else "which look at weights alone"
                text.append(f"## Granularity `{granularity}`, criteria {what}\n\n{_table(columns)}")
    return text


def dense_layers() -> str:
    """The last part of the page."""
    return "\n".join(["## Layers that stay dense under `channel`\n", *map(_dense_layers, ARCHITECTURES)]) + "\n"


def _table(columns: dict[str, Strategy]) -> str:
    notes: dict[str, int] = {}
    lines = ["| architecture | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for name in ARCHITECTURES:
        cells = []
        for strategy in columns.values():
            found = fit(name, strategy)
            if found.kind == "-":
                cells.append(f"- ({notes.setdefault(found.reason, len(notes) + 1)})")
            else:
                # Rounded down: what is printed can be reached.
                most = f" {int(100 * found.maximum)} %" if found.kind == "compact" and found.maximum is not None else ""
                cells.append(found.kind + most)
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", *(f"{number}. {reason}" for reason, number in notes.items()), ""])


def _dense_layers(name: str) -> str:
    dense_layers = coupling(name).dense
    outputs = [layer for layer, reason in dense_layers.items() if reason == OUTPUT]
    others = [f"`{layer}`: {reason}" for layer, reason in dense_layers.items() if reason != OUTPUT]
    return f"- {name}: " + "; ".join([f"{', '.join(f'`{layer}`' for layer in outputs)} ({OUTPUT})", *others])


if __name__ == "__main__":
    torch.set_num_threads(1)
    if sys.argv[1:] == ["--check"]:
        sys.exit(0 if PLACE.read_text(encoding="utf-8") == compatibility() else f"{PLACE.name} is not what happens now")
    PLACE.write_text(compatibility(), encoding="utf-8")
