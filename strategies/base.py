"""What a strategy is, what it is given, and what it returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

import torch
from torch import Tensor, nn

from strategies.cut import LayerCut
from strategies.layers import named_weights
from strategies.work import Work, work_of

if TYPE_CHECKING:
    from collections.abc import Iterator

T = TypeVar("T")

Need = Literal["inputs", "data", "discriminator", "training", "rewind", "initialisation"]
Target = Literal["params", "macs"]
Scores = dict[str, Tensor]
"""Layer name -> importance, either of the weight's shape or one value a channel. Low is pruned first."""


class NotApplicable(Exception):
    """The strategy does not fit this workload; the message is the reason. Becomes a record, not a crash."""


class Infeasible(Exception):
    """The target cannot be reached; ``maximum`` is the highest sparsity that can."""

    def __init__(self, requested: float, maximum: float, target: Target) -> None:
        self.requested, self.maximum = requested, maximum
        super().__init__(f"{requested:g} of {target} cannot be removed; the maximum is {maximum:.4f}")


class Diverged(Exception):
    """A training lost its network: weights that are no numbers cannot be scored. A result, not a crash."""


class MissingData(Exception):
    """A criterion asked the context for something that it had not said it needs."""


@dataclass(frozen=True)
class Snapshot:
    """G and D at an earlier time of their training; read them, do not change them."""

    generator: nn.Module
    discriminator: nn.Module | None = None


class Wiring:
    """What functions of a generator's modules, not of its weights, have found out: each is called once."""

    def __init__(self) -> None:
        self._found: dict[Callable[..., Any], Any] = {}

    def found_by(self, find: Callable[[nn.Module, tuple[Tensor, ...]], T], context: Context) -> T:
        """What ``find(generator, example inputs)`` gives, at the first call with this function."""
        if find not in self._found:
            self._found[find] = find(context.generator, context.example_inputs)
        found: T = self._found[find]
        return found


@dataclass(frozen=True)
class Context:
    """What a strategy may look at. Never the judge, its latents, or held-out images."""

    generator: nn.Module
    """The generator to be pruned; read it, do not change it."""
    example_inputs: tuple[Tensor, ...]
    """Inputs of one image, for tracing."""
    rng: torch.Generator
    """The seed's `prune` stream: the only source of randomness."""
    draw_inputs: Callable[[int, torch.Generator], tuple[Tensor, ...]] | None = None
    images: Tensor | None = None
    """uint8 training images ``(N, C, H, W)``."""
    discriminator: nn.Module | None = None
    condition: Callable[[tuple[Tensor, ...]], tuple[Tensor, ...]] = lambda inputs: ()
    """What the discriminator takes besides images, from the inputs that they were generated of; mostly nothing."""
    rewind: Snapshot | None = None
    """Both networks early in their training, for strategies that say needs={'rewind'}."""
    initialisation: Snapshot | None = None
    """Both networks before their first step, for strategies that say needs={'initialisation'}."""
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    wiring: Wiring = field(default_factory=lambda: Wiring())
    """What was found out about how the generator's layers hang together; contexts of one network share it."""

    def weights(self) -> Iterator[tuple[str, Tensor]]:
        """Name and weight of every convolution and linear layer of the generator; one that layers share comes once."""
        return named_weights(self.generator)

    def inputs(self, count: int) -> tuple[Tensor, ...]:
        """``count`` generator inputs from the `prune` stream. Raises `MissingData` without a sampler."""
        if self.draw_inputs is None:
            raise MissingData("this context has no sampler of generator inputs; say needs={'inputs'}")
        return tuple(x.to(self.device) for x in self.draw_inputs(count, self.rng))

    @property
    def work(self) -> Work:
        """MACs of one image, in all and by the weight that takes part in them."""
        return self.wiring.found_by(work_of, self)


Reduction = Callable[[Tensor], Tensor]
"""Raw values to scores; of channels ``(channels, weights) -> (channels,)``, of weights element by element."""


def sum_of(values: Tensor) -> Tensor:
    """Channel score = sum of its weights' scores: ``(channels, weights) -> (channels,)``."""
    return values.sum(1)


def root_of_sum(values: Tensor) -> Tensor:
    """Channel score = square root of the sum: with squared weights the L2 norm of the filter."""
    return values.sum(1).sqrt()


def square_of_sum(values: Tensor) -> Tensor:
    """Channel score = square of the sum: what a loss changes by, to first order, when the whole filter goes."""
    return values.sum(1) ** 2


def same(values: Tensor) -> Tensor:
    """The values as they are."""
    return values


def squared(values: Tensor) -> Tensor:
    """Weight score = square of the raw value."""
    return values**2


@dataclass(frozen=True)
class Criterion:
    """An importance score with a name, its source and what it needs."""

    name: str
    score: Callable[[Context], Scores]
    source: str
    formula: str
    needs: frozenset[Need] = frozenset()
    random: bool = False
    """Whether the scores depend on the `prune` stream."""
    reduce: Reduction = sum_of
    """How a channel's score comes from the raw values of the weights that make it."""
    unit: Reduction = same
    """How a single weight's score comes from its raw value, element by element."""
    draws: bool = False
    """Whether the raw values have a leading dimension of draws (batches, projections): scores are the mean over it."""
    reads: bool = False
    """Whether a channel's score is ``unit`` of the sum of the raw values that *read* it, instead of ``reduce`` of
    the filter that makes it: of ``w dL/dw`` that sum is what the loss changes by when the channel vanishes, norm and
    bias included, where the filter's would leave them behind."""

    def __call__(self, context: Context) -> Scores:
        return self.score(context)

    def of_weights(self, raw: Tensor) -> Tensor:
        """One score a weight from a layer's raw values."""
        return self.unit(raw).mean(0) if self.draws else self.unit(raw)

    def of_inputs(self, raw: Tensor, in_dim: int) -> Tensor:
        """Sum of the raw values that read each input channel, float64 ``(draws, in)``."""
        draws = raw.double() if self.draws else raw.double()[None]
        return draws.movedim(1 + in_dim, 1).flatten(2).sum(2)

    def of_channels(self, raw: Tensor, out_dim: int) -> Tensor:
        """One score an output channel, float64 ``(out,)``, from raw values shaped like the weight."""
        draws = raw.double() if self.draws else raw.double()[None]
        filters = draws.movedim(1 + out_dim, 1).flatten(2)
        return torch.stack([self.reduce(values) for values in filters]).mean(0)


@dataclass(frozen=True)
class Levels:
    """Which levels a strategy can be asked for."""

    continuous: bool = True
    """Any sparsity in (0, 1)."""
    knob: str | None = None
    """The name of the strategy's own parameter, if it has one."""
    fixed: tuple[float, ...] = ()
    """The values of the knob that a sweep uses where the experiment names none."""


ANY_SPARSITY = Levels()


@dataclass(frozen=True)
class Level:
    """What is asked of a strategy: a sparsity, or a value of its own knob."""

    name: str
    value: float

    @classmethod
    def sparsity(cls, value: float) -> Level:
        return cls("sparsity", value)


Kept = Mapping[str, Mapping[str, Tensor]]
"""Module name -> ``{"out": indices, "in": indices}`` that stay; a missing side stays whole."""


@dataclass(frozen=True)
class Pruned:
    """A pruned generator and what was removed. Which fields are filled says how."""

    generator: nn.Module
    layers: tuple[LayerCut, ...]
    masks: dict[str, Tensor] = field(default_factory=dict)
    """Layer -> bool tensor of the weight's shape, True where the weight stays."""
    kept: Kept = field(default_factory=dict)
    """Kept indices of every module that became smaller."""
    bypassed: tuple[str, ...] = ()
    """Modules that became the identity."""
    codes: dict[str, Tensor] = field(default_factory=dict)
    """Layer -> code of the level that each weight is on, uint8; 0 is removed. Masks say the same of zeros."""
    tied: dict[str, str] = field(default_factory=dict)
    """Layer -> the layer whose weight it takes; ``discriminator:NAME`` is D's, transposed."""

    @property
    def physical(self) -> bool:
        """Whether tensors became smaller or went; masks are zeros in tensors of the old size."""
        return bool(self.kept or self.bypassed)


class Removal(Protocol):
    """A decision what to remove from a generator, not yet carried out."""

    def hold(self, model: nn.Module) -> None:
        """Zero in ``model``, in place, what the decision removes, so that the outputs are those of the pruned one."""

    def apply(self, model: nn.Module) -> Pruned:
        """A pruned copy of ``model``."""

    def sparsity(self, target: Target) -> float:
        """The share of weights (`params`) or multiplications (`macs`) that the decision removes."""


class Ranking(Protocol):
    """The order in which units go: one score, thresholded for any number of sparsities; removals are nested."""

    def cut(self, sparsity: float, target: Target) -> Removal:
        """The removal nearest to ``sparsity``. Raises `Infeasible`."""

    def at(self, value: float) -> Removal:
        """What the strategy's own knob asks for at ``value``: a threshold removes every unit with a lower priority."""
