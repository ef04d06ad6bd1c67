"""How a generator of images is judged: its images of fixed latents against real ones, in features of both."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial

import torch
from torch import Tensor, nn

from bench.base.errors import UserError
from bench.base.kept import Kept
from bench.base.seeds import stream
from bench.records import Number
from bench.statistics import Contributions
from bench.tasks.base import DENSE_REFERENCE
from bench.tasks.evaluation import QualitySettings
from bench.tasks.generation.agreement import agreement_numbers, unlike_distance
from bench.tasks.generation.collapse import collapse
from bench.tasks.generation.discriminator import accuracy_numbers, says_real
from bench.tasks.generation.extractors import EXTRACTORS, Extractor, ImageShape, nobody
from bench.tasks.generation.folds import GenerationFolds
from bench.tasks.generation.frechet import frechet_distance, low_rank
from bench.tasks.generation.influence import frechet_influence
from bench.tasks.generation.judges import find_extractor
from bench.tasks.generation.metrics import METRICS, Found, Metric, Terms
from bench.tasks.generation.public import Weights
from bench.tasks.generation.quality import Judged, Reference, judge, reference
from bench.tasks.generation.quantities import QUANTITIES
from bench.tasks.generation.training import GenerationTraining, training_judge
from bench.workloads.base import Workload
from bench.workloads.data import ImageData
from bench.workloads.generate import generate
from bench.workloads.loaded import Gan
from bench.workloads.spec import DENSE_SAMPLES

AGREEMENT_IMAGES = 500
"""Agreement is measured on the first so many images of the evaluation set."""

SAMPLE_IMAGES = 16
"""How many images of a cell are kept for the grids."""

SMALL_N = 10_000
"""Below so many images FID's bias is large enough to flag (Chong & Forsyth 2020)."""


@dataclass(frozen=True)
class Images:
    """What was seen of one generator."""

    inputs: tuple[Tensor, ...]
    images: Tensor
    """uint8 ``(N, C, H, W)``."""
    finite: bool
    """Whether all of its output was."""
    judged: Judged
    found: dict[str, Found] = field(default_factory=dict, compare=False)
    """What each metric made of them so far."""


ReferenceKey = tuple[str, str, str, str, int, int]


@dataclass(frozen=True)
class GenerationJudge:
    """Judges the generators of one workload."""

    gan: Gan
    settings: QualitySettings
    metrics: tuple[str, ...]
    """Those of the settings that are of this task."""
    extractor: Extractor
    real: int
    """How many training images metrics compare one by one with generated ones; 0: none does."""
    references: Kept[ReferenceKey, Reference] = field(compare=False)
    units: Kept[str, float] = field(compare=False, default_factory=Kept)
    accuracies: Kept[tuple[str, str], float] = field(compare=False, default_factory=Kept)

    @property
    def name(self) -> str:
        return self.extractor.name

    @property
    def compared_names(self) -> tuple[str, ...]:
        return ("images", "features")

    @property
    def reference(self) -> Reference:
        """The real images as the extractor sees them; workloads with the same images and extractor share it."""
        data, judges = self.gan.data, self.extractor
        count = self.settings.num_images
        key = (data.name, data.fingerprint, judges.name, judges.fingerprint, self.real, count)
        make = partial(reference, judges, data, self.gan.device, real=self.real, generated=count)
        return self.references.get(key, make)

    @property
    def reference_name(self) -> str:
        """What FID's version says of the real images: which they are, and who judges."""
        data = self.gan.data
        return f"{data.name}-{data.fingerprint[:16]}-{self.extractor.fingerprint[:16]}"

    @cached_property
    def _terms(self) -> Terms:
        return Terms(
            judge=f"{self.extractor.name}-{self.extractor.fingerprint[:12]}",
            num_images=self.settings.num_images,
            reference=self.reference_name,
            real=self.real,
            standard=self.extractor.standard,
        )

    @property
    def terms(self) -> str:
        return f"{self._terms.judge}/ref-{self._terms.reference}"

    @cached_property
    def versions(self) -> Mapping[str, str]:
        return {name: METRICS[name].version(self._terms) for name in self.metrics}

    def draw(self, seed: int) -> tuple[Tensor, ...]:
        return self.gan.workload.inputs.sample(self.settings.num_images, stream(seed, "eval"))

    def see(self, generator: nn.Module, inputs: tuple[Tensor, ...]) -> Images:
        images, finite = generate(generator, inputs, device=self.gan.device)
        return Images(inputs, images, finite, judge(self.extractor, images, self.gan.device))

    def leading(self, generator: nn.Module, inputs: tuple[Tensor, ...]) -> float | None:
        seen = self.see(generator, inputs)
        return frechet_distance(self.reference.train, seen.judged.gaussian) if seen.finite else None

    def _found(self, seen: Images, metric: str) -> Found:
        if metric not in seen.found:
            seen.found[metric] = METRICS[metric].compute(seen.judged, self.reference) if seen.finite else Found({})
        return seen.found[metric]

    def numbers(self, seen: Images) -> dict[str, Number]:
        numbers = {}
        for name in self.versions:
            metric, found = METRICS[name], self._found(seen, name)
            for column in metric.columns:
                value = found.values.get(column.name)
                numbers[f"{column.name}[{self.name}]"] = Number(
                    value=value,
                    unit=column.unit,
                    direction=column.direction,
                    kind="stochastic",
                    version=metric.column_version(column, self._terms),
                    num_images=self.settings.num_images,
                    error=_error(column.name, value, found.contributions),
                )
        return numbers

    def contributions(self, seen: Images) -> dict[str, Contributions]:
        """Of FID, KID, precision and the like as they are, of IS in its logarithm; empty where it is not finite."""
        found = [self._found(seen, name).contributions for name in self.metrics]
        return {f"{column}[{self.name}]": each for some in found for column, each in some.items()}

    def floor(self) -> dict[str, Number]:
        """FID of real held-out images: what a perfect generator that memorises nothing would be near, at the same N
        where there are that many (``num_images`` says of how many it is).
        """
        floor = self.reference.floor
        if "fid" not in self.versions or floor is None or self.reference.floor_features is None:
            return {}
        some = f"-first{floor.count}" if floor.count < len(self.gan.data.held_out) else ""
        version = f"{self.versions['fid']}/held-out{some}-as-generated"
        fid = frechet_distance(self.reference.train, floor)
        influence = frechet_influence(self.reference.floor_features, floor, self.reference.train)
        values = {
            "fid_floor": (fid, version),
            "fid-inf_floor": (fid - influence.bias, f"{version}/less-bias"),
        }
        return {
            f"{name}[{self.name}]": Number(
                value=value,
                unit="squared feature distance",
                direction="none",
                kind="exact",
                version=named,
                num_images=floor.count,
            )
            for name, (value, named) in values.items()
        }

    def trivial(self) -> Mapping[str, Mapping[str, Number]]:
        """None: without a network there are no images."""
        return {}

    def compared(self, seen: Images) -> dict[str, Tensor]:
        return {
            "images": seen.images[:AGREEMENT_IMAGES].contiguous(),
            "features": torch.from_numpy(seen.judged.features[:AGREEMENT_IMAGES]).contiguous(),
        }

    def agreement(self, seen: Images, dense: Mapping[str, Tensor], key: str) -> dict[str, Number]:
        images, features = dense["images"], dense["features"].numpy()
        unit = self.units.get(key, lambda: unlike_distance(features))
        mine = seen.judged.features[: len(images)]
        return agreement_numbers(seen.images[: len(images)], images, mine, features, unit, self.extractor)

    def discriminator_accuracy(
        self, seen: Images, dense: Mapping[str, Tensor] | None, discriminator: nn.Module | None, key: str
    ) -> dict[str, Number]:
        data, condition = self.gan.data, self.gan.workload.condition
        judging = discriminator or self.gan.checkpoint.discriminator
        if judging is None:
            return {}
        count = min(AGREEMENT_IMAGES, len(seen.images))
        real = data.train_subset(count)
        given = tuple(x[:count] for x in condition.of_inputs(seen.inputs))
        sets: dict[str, tuple[Tensor, tuple[Tensor, ...]]] = {}
        if len(real) and condition.fits(data.train_labels):
            sets["real"] = (real, condition.of_labels(data.train_labels[: len(real)]))
        sets["generated"] = (seen.images[:count], given)
        if dense is not None:
            sets["dense"] = (dense["images"], given)
        shares: dict[str, tuple[float, int]] = {}
        for name, (shown, besides) in sets.items():
            share = partial(says_real, judging, shown, self.gan.device, given=besides)
            if discriminator is not None or name == "generated":
                found = share()
            else:  # the shipped D sees the same real and dense images in many cells
                found = self.accuracies.get((name, key), share)
            shares[name] = (found if name == "real" else 1 - found, len(shown))
        return accuracy_numbers(shares, f"{data.name}-{data.fingerprint[:16]}-first{len(real)}")

    def collapse(self, seen: Images, dense: Mapping[str, Tensor] | None, *, trained: bool) -> str:
        beside = None if dense is None else dense["images"]
        if beside is None and trained and seen.finite:
            before = copy.deepcopy(self.gan.checkpoint.generator).to(self.gan.device)
            inputs = tuple(x[:AGREEMENT_IMAGES] for x in seen.inputs)
            beside, _ = generate(before, inputs, device=self.gan.device)
        return collapse(seen.images, seen.finite, beside)

    def flags(self, seen: Images) -> list[str]:
        found = ["small-n"] if self.settings.num_images < SMALL_N else []
        # The two sets that the cell's own FID is between; the held-out images have a number of their own.
        if "fid" in self.metrics and low_rank(seen.judged.gaussian, self.reference.train):
            found.append("low-rank-fid")
        own = self.gan.workload.own
        if own is not None and own.spec.reference.source == DENSE_SAMPLES:
            found.append(DENSE_REFERENCE)
        return found

    def samples(self, seen: Images) -> dict[str, Tensor]:
        return {"images": seen.images[:SAMPLE_IMAGES].contiguous()}

    def folds(self, count: int, num_images: int, seed: int, metric: str) -> GenerationFolds:
        return GenerationFolds(self.gan, self.extractor, count, num_images, seed, metric)


class GenerationEvaluation:
    """Judges of generators; those that need nothing of their workload, and references, are shared."""

    def __init__(self) -> None:
        self._extractors: Kept[str, Extractor] = Kept()
        self._references: Kept[ReferenceKey, Reference] = Kept()

    def judge(self, gan: Gan, settings: QualitySettings) -> GenerationJudge:
        """Raises UserError for a judge of other images, and for metrics that need what it, or the reference, lacks."""
        channels, height, width = gan.data.train.shape[1:]
        shape = (channels, height, width)
        names = tuple(name for name in settings.metrics if name in METRICS)
        extractor = self._extractor(gan, settings, shape) if names else nobody()
        metrics = [METRICS[name] for name in names]
        _check(gan, metrics, extractor, shape)
        compared = any(metric.needs_real for metric in metrics)
        real = min(settings.num_images, len(gan.data.train)) if compared else 0
        return GenerationJudge(gan, settings, names, extractor, real, self._references)

    def of_training(self, workload: Workload, data: ImageData, device: str) -> GenerationTraining | None:
        return training_judge(workload, data, device)

    def _extractor(self, gan: Gan, settings: QualitySettings, shape: ImageShape) -> Extractor:
        chosen = settings.extractor
        name = gan.workload.extractor if chosen == "workload" else chosen
        weights = Weights(settings.extractor_weights, settings.download)
        find = partial(find_extractor, name, shape, weights, _labelled(gan, shape))
        return self._extractors.get(name, find) if name in EXTRACTORS else find()


def _error(column: str, value: float | None, found: Mapping[str, Contributions]) -> float | None:
    """The standard error of a number that comes from its images; None: not known."""
    named = {quantity.name: quantity for quantity in QUANTITIES}
    of = (named[column].errors_of or column) if column in named else column
    if value is None or of not in found:
        return None
    contributions = found[of]
    return named[of].error(value, math.sqrt(contributions.variance))


def _labelled(gan: Gan, shape: ImageShape) -> Callable[[], ImageData]:
    """The images that a classifier of the user's own classes learns from."""
    own = gan.workload.own
    return partial(own.classifier_images, shape, gan.data) if own else lambda: gan.data


def _check(gan: Gan, metrics: list[Metric], extractor: Extractor, shape: ImageShape) -> None:
    if extractor.image_shape not in (None, shape):
        raise UserError(
            f"quality.extractor: {extractor.name!r} judges images of {extractor.image_shape}, "
            f"workload {gan.workload.name!r} makes {shape}. Use 'workload' or another extractor."
        )
    if extractor.classes is None and (needy := _named(metric.name for metric in metrics if metric.needs_logits)):
        raise UserError(
            f"quality.metrics: {needy} needs class scores, and extractor {extractor.name!r} gives features only. "
            'Leave it out, as in metrics = ["fid"], or use another extractor.'
        )
    if gan.data.statistics is not None and (needy := _named(metric.name for metric in metrics if metric.needs_real)):
        raise UserError(
            f"quality.metrics: {needy} compares image with image, and the reference of workload "
            f"{gan.workload.name!r} is statistics without images. Leave it out, or give images as the reference."
        )


def _named(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names))
