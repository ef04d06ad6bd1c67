"""What a task can do with a network: draw its inputs, judge its outputs, say when they are worth nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from torch import Tensor, nn

from bench.records import Number
from bench.statistics import Contributions
from bench.workloads.base import Workload
from bench.workloads.data import ImageData
from bench.workloads.loaded import Gan


class Seen(Protocol):
    """What was seen of one network: its outputs, and what the task's judge makes of them."""

    @property
    def finite(self) -> bool:
        """Whether all of the output was."""


S = TypeVar("S", bound=Seen)


@dataclass(frozen=True)
class QualitySettings:
    """How networks are judged; the same for all cells of a run."""

    num_images: int
    metrics: tuple[str, ...]
    """Empty: nothing is judged, and no judge is needed."""
    extractor: str = "workload"
    """A registered name, ``module:function``, or ``workload``: the one that the workload names."""
    extractor_weights: Path | None = None
    """The file of a public extractor's weights; None: torch's cache."""
    download: bool = False
    """Whether a public extractor's weights may be downloaded."""


class Folds(Protocol):
    """Disjoint parts of what is real, each with evaluation inputs of its own."""

    count: int

    def values(self, generator: nn.Module) -> tuple[float, ...] | None:
        """One quantity in each fold; None: the output is not finite."""


class Judge(Protocol[S]):
    """Judges the networks of one workload under one protocol. Never shown to a strategy."""

    @property
    def name(self) -> str:
        """Stands in brackets behind its numbers."""

    @property
    def versions(self) -> Mapping[str, str]:
        """Metric -> version: everything that two numbers must share to stand side by side."""

    @property
    def terms(self) -> str:
        """The judge and the reference, for versions of numbers that are no metric's."""

    @property
    def compared_names(self) -> tuple[str, ...]:
        """The names in what `compared` gives."""

    def draw(self, seed: int) -> tuple[Tensor, ...]:
        """The inputs of an evaluation, on the CPU: the same for every network of one seed, so that they are paired."""

    def see(self, generator: nn.Module, inputs: tuple[Tensor, ...]) -> S:
        """The outputs of a network in eval mode, each judged once."""

    def leading(self, generator: nn.Module, inputs: tuple[Tensor, ...]) -> float | None:
        """The leading number on ``inputs``, for the curve of a training; None where the output is not finite."""

    def numbers(self, seen: S) -> dict[str, Number]:
        """Every number of every metric that was asked for; without values where the output is not finite."""

    def contributions(self, seen: S) -> dict[str, Contributions]:
        """Number -> what each unit (an image, a pair, a line) contributes to it, on the scale on which the quantity
        compares. Empty where the output is not finite."""

    def floor(self) -> dict[str, Number]:
        """What a perfect network would reach, beside dense."""

    def trivial(self) -> Mapping[str, Mapping[str, Number]]:
        """What methods without a network reach (bicubic, the noisy input), name -> numbers: kept with dense as
        ``NUMBER~NAME``, so that what falls below can be seen."""

    def compared(self, seen: S) -> dict[str, Tensor]:
        """What is kept of dense so that others can be compared with it."""

    def agreement(self, seen: S, dense: Mapping[str, Tensor], key: str) -> dict[str, Number]:
        """Whether a network still makes of each input what dense makes of it.

        Args:
            key: identifies ``dense``.
        """

    def discriminator_accuracy(
        self, seen: S, dense: Mapping[str, Tensor] | None, discriminator: nn.Module | None, key: str
    ) -> dict[str, Number]:
        """How well D tells the outputs from real ones and from dense: the D of the training, else (None) the shipped.

        Args:
            key: identifies dense, whose share is the same for many cells.
        """

    def collapse(self, seen: S, dense: Mapping[str, Tensor] | None, *, trained: bool) -> str:
        """Why the outputs are worth nothing; empty where they are not.

        Args:
            dense: what `compared` kept of dense of the same recovery on the same inputs; None: what was seen is dense,
                or not finite.
            trained: whether the recovery trains, so that dense itself may have lost what the checkpoint had.
        """

    def flags(self, seen: S) -> list[str]:
        """What a reader of the numbers should know."""

    def samples(self, seen: S) -> dict[str, Tensor]:
        """A few outputs for people to look at."""

    def folds(self, count: int, num_images: int, seed: int, metric: str) -> Folds:
        """``count`` folds with so many evaluation inputs each, for the quantity ``metric``.

        Raises:
            UserError: too little for so many folds; a judge that lacks what the metric needs.
        """


class TrainingJudge(Protocol):
    """Measures a network while it is trained. Its weights are never chosen by what it says."""

    def point(self, model: nn.Module) -> dict[str, float]:
        """A point of the learning curve."""

    def words(self, point: dict[str, float]) -> str:
        """A point in a word, for progress."""

    def final(self, model: nn.Module, curve: list[dict[str, float]]) -> dict[str, Any]:
        """What the card says of the quality of the weights."""


class Evaluation(Protocol[S]):
    """A task's judges, and what they share in one process."""

    def judge(self, gan: Gan, settings: QualitySettings) -> Judge[S]:
        """The judge of a workload. What is real is looked at when the first network is judged, not before.

        Raises:
            UserError: a judge that does not fit the workload or the metrics.
        """

    def of_training(self, workload: Workload, data: ImageData, device: str) -> TrainingJudge | None:
        """The judge of the training of shipped weights; None where the images allow none.

        Raises:
            UserError: a judge that does not fit the images.
        """
