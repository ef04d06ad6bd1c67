"""The metrics of image quality that an experiment chooses from, as data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bench.tasks.generation.contributions import of_frechet, of_kernel, of_log_score, of_share
from bench.tasks.generation.frechet import frechet_distance
from bench.tasks.generation.kernel import LARGEST_SUBSET, SEED, SUBSETS, kernel_distance, subset_size, unit_length
from bench.tasks.generation.neighbours import DENSITY_K, PRECISION_K, membership, neighbours
from bench.tasks.generation.quality import Judged, Reference, is_splits
from strategies.registry import Registry

Contributions = dict[str, NDArray[np.float64]]

Values = dict[str, float | None]
"""Column -> value; None: could not be computed."""


@dataclass(frozen=True)
class Column:
    """One number of a metric."""

    name: str
    unit: str
    direction: Literal["lower", "higher", "none"]
    summary: str


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
class Metric:
    """One way to compare generated images with real ones, by what a feature network sees."""

    name: str
    columns: tuple[Column, ...]
    """What `compute` gives, in this order."""
    version: Callable[[Terms], str]
    compute: Callable[[Judged, Reference], Values]
    contributions: Callable[[Judged, Reference], Contributions]
    """Column -> what each image contributes, see `bench.tasks.generation.contributions`: ``(N,)`` over the generated
    images, for recall and coverage over the real ones. A column that has none of its own is missing."""
    needs_logits: bool = False
    needs_real: bool = False
    """Whether it compares image with image, and so needs `Reference.real`."""

    def column_version(self, column: str, version: str) -> str:
        """The version of one column, given the metric's."""
        return version if column == self.name else f"{version}/{column}"


METRICS: Registry[Metric] = Registry("metric")

SQUARED = "squared feature distance"


def _fid(judged: Judged, ref: Reference) -> Values:
    return {
        "fid": frechet_distance(ref.train, judged.gaussian),
        "fid-held-out": None if ref.held_out is None else frechet_distance(ref.held_out, judged.gaussian),
        "fid-train-subset": None if ref.train_subset is None else frechet_distance(ref.train_subset, judged.gaussian),
    }


def _fid_contributions(judged: Judged, ref: Reference) -> Contributions:
    sides = {"fid": ref.train, "fid-held-out": ref.held_out, "fid-train-subset": ref.train_subset}
    return {name: of_frechet(judged.features, real) for name, real in sides.items() if real is not None}


METRICS.add(
    "fid",
    Metric(
        name="fid",
        columns=(
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
        contributions=_fid_contributions,
    ),
)

METRICS.add(
    "is",
    Metric(
        name="is",
        columns=(Column("is", "effective classes", "higher", "Inception Score on the judge's classes"),),
        version=lambda terms: f"torch-fidelity-isc-1/{terms.judge}/{terms.images}/splits{is_splits(terms.num_images)}",
        compute=lambda judged, _: {"is": judged.inception_score},
        contributions=lambda judged, _: {} if judged.logits is None else {"is": of_log_score(judged.logits)},
        needs_logits=True,
    ),
)


def _kid(judged: Judged, ref: Reference) -> Values:
    assert ref.real is not None
    size = min(subset_size(len(judged.features)), len(ref.real))
    made, real = judged.features, ref.real
    if not ref.standard:
        return {"kid": kernel_distance(unit_length(made), unit_length(real), size)}
    return {"kid": kernel_distance(made, real, size)}


def _kid_contributions(judged: Judged, ref: Reference) -> Contributions:
    assert ref.real is not None
    made, real = judged.features, ref.real
    return {"kid": of_kernel(made, real) if ref.standard else of_kernel(unit_length(made), unit_length(real))}


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
        contributions=_kid_contributions,
        needs_real=True,
    ),
)


def _prc(judged: Judged, ref: Reference) -> Values:
    assert ref.real is not None
    found = neighbours(judged.features, ref.real)
    return dict.fromkeys(("precision", "recall", "density", "coverage")) if found is None else asdict(found)


def _prc_contributions(judged: Judged, ref: Reference) -> Contributions:
    assert ref.real is not None
    found = membership(judged.features, ref.real)
    if found is None:
        return {}
    return {
        "precision": of_share(found.precise),
        "recall": of_share(found.recalled),
        "density": of_share(found.around / DENSITY_K),
        "coverage": of_share(found.covered),
    }


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
        contributions=_prc_contributions,
        needs_real=True,
    ),
)
