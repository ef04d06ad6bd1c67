"""How good generated images are: FID and IS on features that are extracted once for each image set."""

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

from bench.measure.extractors import Extractor
from bench.measure.frechet import Gaussian, fit, frechet_distance
from bench.workloads.data import ImageData

FID_VERSION = "frechet-2"
IS_VERSION = "torch-fidelity-isc-1"


@dataclass(frozen=True)
class Judged:
    """An image set as a feature network sees it: features ``(N, d)``, logits ``(N, classes)``, float32."""

    features: NDArray[np.float32]
    logits: NDArray[np.float32]

    @functools.cached_property
    def gaussian(self) -> Gaussian:
        return fit(self.features)


@dataclass(frozen=True)
class Reference:
    """The real images' side of FID, computed once for each (data, extractor)."""

    train: Gaussian
    held_out: Gaussian
    train_subset: Gaussian
    """Of a fixed training subset as large as the held-out part: what FID[held-out] is compared with."""


def judge(extractor: Extractor, images: Tensor, device: torch.device | str = "cpu") -> Judged:
    """Features and logits of uint8 images."""
    features, logits = extractor(images, device)
    return Judged(features.numpy(), logits.numpy())


def reference(extractor: Extractor, data: ImageData, device: torch.device | str = "cpu") -> Reference:
    """The Gaussians of the real images."""
    size = len(data.held_out)
    train = judge(extractor, data.train, device)
    return Reference(
        train=train.gaussian,
        held_out=judge(extractor, data.held_out, device).gaussian,
        train_subset=fit(train.features[:size]),
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
    """All distribution metrics of one image set."""
    return Quality(
        fid=frechet_distance(ref.train, judged.gaussian),
        fid_held_out=frechet_distance(ref.held_out, judged.gaussian),
        fid_train_subset=frechet_distance(ref.train_subset, judged.gaussian),
        inception_score=inception_score(judged.logits),
        num_images=len(judged.features),
    )
