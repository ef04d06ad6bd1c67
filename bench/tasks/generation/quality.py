"""Judging image sets: features that are extracted once for each, and FID and IS on them."""

from __future__ import annotations

import contextlib
import functools
import io
import warnings
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.base.errors import UserError
from bench.tasks.generation.contributions import KEPT
from bench.tasks.generation.extractors import Extractor
from bench.tasks.generation.frechet import frechet_distance
from bench.tasks.generation.gaussian import CHUNK_ROWS, LARGE, Gaussian, GaussianAccumulator, fit
from bench.workloads.data import ImageData

UNKNOWN_COUNT = 2**31
"""How many images statistics in a file were made of, for whoever asks whether there were enough."""


@dataclass(frozen=True)
class Judged:
    """An image set as a feature network sees it: features ``(N, d)``, logits ``(N, classes)``, float32."""

    features: NDArray[np.float32]
    logits: NDArray[np.float32] | None
    """None: the network gives none."""

    @functools.cached_property
    def gaussian(self) -> Gaussian:
        return fit(self.features)

    @functools.cached_property
    def inception_score(self) -> float | None:
        """IS; None without logits."""
        return None if self.logits is None else inception_score(self.logits)


@dataclass(frozen=True)
class Reference:
    """The real images' side of the metrics, computed once for each (data, extractor)."""

    train: Gaussian
    held_out: Gaussian | None
    """None, as all below: the reference is statistics, not images."""
    train_subset: Gaussian | None
    """Of a fixed training subset as large as the held-out part: what FID[held-out] is compared with."""
    real: NDArray[np.float32] | None = None
    """Features of the first training images, for metrics that compare image with image; None: not asked for."""
    standard: bool = False
    """Whether they are the field's own features (`Extractor.standard`)."""
    floor: Gaussian | None = None
    """Of the first held-out images, as many as are generated: what a perfect generator would be near at that N. Where
    there are fewer, of all of them."""
    floor_features: NDArray[np.float32] | None = None
    """Features of the first of these images: from them follows the bias of so few."""


def judge(extractor: Extractor, images: Tensor, device: torch.device | str = "cpu") -> Judged:
    """Features and logits of uint8 images."""
    features, logits = extractor(images, device)
    return Judged(features.numpy(), None if logits is None else logits.numpy())


def gaussian_and_first(
    extractor: Extractor, images: Tensor, keep: int, device: torch.device | str = "cpu"
) -> tuple[Gaussian, NDArray[np.float32]]:
    """The Gaussian of all features and the first ``keep`` of them; where they are many, more are never held."""
    if len(images) * extractor.width <= LARGE:
        judged = judge(extractor, images, device)
        return judged.gaussian, judged.features[:keep].copy()
    accumulator, first = GaussianAccumulator(), np.empty((min(keep, len(images)), extractor.width), np.float32)
    for start in range(0, len(images), CHUNK_ROWS):
        features = judge(extractor, images[start : start + CHUNK_ROWS], device).features
        accumulator.add(features)
        first[start : start + CHUNK_ROWS] = features[: max(len(first) - start, 0)]
    return accumulator.gaussian(), first


def reference(
    extractor: Extractor,
    data: ImageData,
    device: torch.device | str = "cpu",
    *,
    real: int = 0,
    generated: int | None = None,
) -> Reference:
    """The Gaussians of the real images, and the features of the first ``real`` training images.

    Args:
        generated: how many images are generated, None: any number; the floor is of no more.

    Raises:
        UserError: statistics of another number of features than the extractor gives.
    """
    if data.statistics is not None:
        if len(data.statistics.mean) != extractor.width:
            raise UserError(
                f"reference {data.name!r}: statistics of {len(data.statistics.mean)} features, extractor "
                f"{extractor.name!r} gives {extractor.width}. They belong to the network that made them."
            )
        # How many images they were made of is not in the file; enough for a full rank is what everybody assumes.
        gaussian = Gaussian(data.statistics.mean, data.statistics.covariance, UNKNOWN_COUNT)
        return Reference(gaussian, None, None, None, extractor.standard)
    size = len(data.held_out)
    fewer = generated if generated is not None and generated < size else 0
    train, first = gaussian_and_first(extractor, data.train, max(size, real), device)
    held_out, first_held = gaussian_and_first(extractor, data.held_out, max(fewer, KEPT), device)
    return Reference(
        train=train,
        held_out=held_out,
        floor=fit(first_held[:fewer]) if fewer else held_out,
        floor_features=first_held[: min(fewer or KEPT, KEPT)].copy(),
        train_subset=fit(first[:size]),
        real=first[:real] if real else None,
        standard=extractor.standard,
    )


def is_splits(num_images: int) -> int:
    """How many splits IS is averaged over: the field's 10 where each keeps 500 images, else 1."""
    return 10 if num_images >= 5_000 else 1


def inception_score(logits: NDArray[np.float32]) -> float:
    """IS (Salimans et al. 2016) by torch-fidelity's function; from 1 to the number of classes."""
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        from torch_fidelity.metric_isc import isc_features_to_metric

    splits = is_splits(len(logits))
    score = isc_features_to_metric(torch.from_numpy(logits), splits=splits, shuffle=True, rng_seed=2020)
    return float(score["inception_score_mean"])


@dataclass(frozen=True)
class Quality:
    """FID against the training set, against the held-out images and against an equally large training subset; IS."""

    fid: float
    fid_held_out: float
    fid_train_subset: float
    inception_score: float
    num_images: int

    @property
    def generalisation_gap(self) -> float:
        """FID to held-out minus FID to an equally large training subset; about 0 where nothing is memorised."""
        return self.fid_held_out - self.fid_train_subset


def quality(judged: Judged, ref: Reference) -> Quality:
    """FID and IS of one image set, whose judge gives logits."""
    assert judged.inception_score is not None
    assert ref.held_out is not None
    assert ref.train_subset is not None
    return Quality(
        fid=frechet_distance(ref.train, judged.gaussian),
        fid_held_out=frechet_distance(ref.held_out, judged.gaussian),
        fid_train_subset=frechet_distance(ref.train_subset, judged.gaussian),
        inception_score=judged.inception_score,
        num_images=len(judged.features),
    )
