"""The metrics of image quality that an experiment chooses from, as data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Literal

import numpy as np

from bench.statistics import Contributions
from bench.tasks.generation.contributions import KEPT, first_order, of_kernel, of_last, of_log_score, of_share
from bench.tasks.generation.frechet import frechet_distance
from bench.tasks.generation.influence import frechet_influence
from bench.tasks.generation.kernel import LARGEST_SUBSET, SEED, SUBSETS, kernel_distance, subset_size, unit_length
from bench.tasks.generation.neighbours import DENSITY_K, PRECISION_K, membership, shares_of
from bench.tasks.generation.quality import Judged, Reference, is_splits
from strategies.registry import Registry

Values = dict[str, float | None]
"""Column -> value; None: could not be computed."""


@dataclass(frozen=True)
class Found:
    """What a metric makes of one set of images."""

    values: Values
    contributions: dict[str, Contributions] = field(default_factory=dict)
    """Column -> what the images contribute to it, in its logarithm where the task's quantity is compared so. A column
    that is not here has the contributions of another, or none.
    """


@dataclass(frozen=True)
class Terms:
    """What numbers must share to stand side by side, whatever the metric."""

    judge: str
    """Name and weights of the feature network."""
    num_images: int
    reference: str
    """Which real images, judged by whom."""
    real: int
    """How many training images stand beside the generated ones, image by image."""
    standard: bool
    """Whether the network is the field's own (`Extractor.standard`)."""

    @property
    def images(self) -> str:
        return f"n{self.num_images}-uint8"


@dataclass(frozen=True)
class Column:
    """One number of a metric."""

    name: str
    unit: str
    direction: Literal["lower", "higher", "none"]
    summary: str
    version: Callable[[Terms], str] | None = None
    """Where it is another than the metric's, as for a number that does not depend on N."""


@dataclass(frozen=True)
class Metric:
    """One way to compare generated images with real ones, by what a feature network sees."""

    name: str
    columns: tuple[Column, ...]
    """What `compute` gives, in this order."""
    version: Callable[[Terms], str]
    compute: Callable[[Judged, Reference], Found]
    needs_logits: bool = False
    needs_real: bool = False
    """Whether it compares image with image, and so needs `Reference.real`."""

    def column_version(self, column: Column, terms: Terms) -> str:
        """The version of one column."""
        if column.version is not None:
            return column.version(terms)
        version = self.version(terms)
        return version if column.name == self.name else f"{version}/{column.name}"


METRICS: Registry[Metric] = Registry("metric")

SQUARED = "squared feature distance"


def _fid(judged: Judged, ref: Reference) -> Found:
    fid = frechet_distance(ref.train, judged.gaussian)
    influence = frechet_influence(judged.features, judged.gaussian, ref.train)
    values: Values = {
        "fid-inf": fid - influence.bias,
        "fid": fid,
        "fid-held-out": None if ref.held_out is None else frechet_distance(ref.held_out, judged.gaussian),
        "fid-train-subset": None if ref.train_subset is None else frechet_distance(ref.train_subset, judged.gaussian),
    }
    return Found(values, {"fid-inf": influence.contributions})


METRICS.add(
    "fid",
    Metric(
        name="fid",
        columns=(
            Column(
                "fid-inf",
                SQUARED,
                "lower",
                "Frechet distance to the training images less the bias of N images",
                lambda terms: f"frechet-2-less-bias-1/{terms.judge}/uint8/ref-{terms.reference}",
            ),
            Column("fid", SQUARED, "lower", "Frechet distance to the training images"),
            Column("fid-held-out", SQUARED, "lower", "the same to the held-out images"),
            Column(
                "fid-train-subset",
                SQUARED,
                "lower",
                "the same to a training subset as large as the held-out part; the difference is the generalisation gap",
            ),
        ),
        version=lambda terms: f"frechet-2/{terms.judge}/{terms.images}/ref-{terms.reference}",
        compute=_fid,
    ),
)


def _inception_score(judged: Judged, ref: Reference) -> Found:
    if judged.logits is None:
        return Found({"is": None})
    score = first_order(of_log_score(judged.logits)[:KEPT], len(judged.logits))
    return Found({"is": judged.inception_score}, {"is": score})


METRICS.add(
    "is",
    Metric(
        name="is",
        columns=(Column("is", "effective classes", "higher", "Inception Score on the judge's classes"),),
        version=lambda terms: f"torch-fidelity-isc-1/{terms.judge}/{terms.images}/splits{is_splits(terms.num_images)}",
        compute=_inception_score,
        needs_logits=True,
    ),
)


def _kid(judged: Judged, ref: Reference) -> Found:
    assert ref.real is not None
    size = min(subset_size(len(judged.features)), len(ref.real))
    made, real = judged.features.astype(np.float64), ref.real.astype(np.float64)
    if not ref.standard:
        made, real = unit_length(made), unit_length(real)
    linear = of_kernel(made[:KEPT], real[:KEPT])
    return Found({"kid": kernel_distance(made, real, size)}, {"kid": first_order(linear, len(made))})


def _kid_version(terms: Terms) -> str:
    size = min(subset_size(terms.num_images), terms.real)
    form = "" if terms.standard else "-unit-length"
    return (
        f"torch-fidelity-kid-1{form}/{terms.judge}/{terms.images}/ref-{terms.reference}-first{terms.real}"
        f"/subsets{SUBSETS}x{size}-seed{SEED}"
    )


METRICS.add(
    "kid",
    Metric(
        name="kid",
        columns=(
            Column(
                "kid",
                "squared kernel distance",
                "lower",
                f"kernel distance to as many training images, subsets of N/4 (at most {LARGEST_SUBSET})",
            ),
        ),
        version=_kid_version,
        compute=_kid,
        needs_real=True,
    ),
)


def _prc(judged: Judged, ref: Reference) -> Found:
    assert ref.real is not None
    found = membership(judged.features, ref.real)
    if found is None:
        return Found(dict.fromkeys(("precision", "recall", "density", "coverage")))
    images = {
        "precision": of_share(found.precise),
        "recall": of_last(found.recalling, len(found.recalled)),
        "density": of_share(found.around / DENSITY_K),
        "coverage": of_last(found.covering, len(found.covered)),
    }
    return Found(
        dict(asdict(shares_of(found))), {name: first_order(each[:KEPT], len(each)) for name, each in images.items()}
    )


METRICS.add(
    "prc",
    Metric(
        name="prc",
        columns=(
            Column("precision", "share", "higher", f"generated images near a real one (k = {PRECISION_K})"),
            Column("recall", "share", "higher", f"real images near a generated one (k = {PRECISION_K})"),
            Column(
                "density", "real neighbourhoods / k", "higher", f"how densely real images surround (k = {DENSITY_K})"
            ),
            Column("coverage", "share", "higher", f"real images with a generated one near (k = {DENSITY_K})"),
        ),
        version=lambda terms: (
            f"neighbours-1-k{PRECISION_K}-k{DENSITY_K}/{terms.judge}/{terms.images}"
            f"/ref-{terms.reference}-first{terms.real}"
        ),
        compute=_prc,
        needs_real=True,
    ),
)
