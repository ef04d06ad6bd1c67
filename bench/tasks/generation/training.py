"""How the training of a shipped generator is watched and, at its end, judged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn

from bench.base.errors import UserError
from bench.base.precision import tf32
from bench.base.seeds import stream
from bench.tasks.generation.classifier import auto_classifier
from bench.tasks.generation.extractors import EXTRACTORS, Extractor
from bench.tasks.generation.quality import Quality, Reference, judge, quality, reference
from bench.workloads.base import Workload
from bench.workloads.data import ImageData
from bench.workloads.generate import generate
from bench.workloads.spec import CLASSIFIER

CURVE_IMAGES = 2_000
FINAL_IMAGES = 5_000


@dataclass(frozen=True)
class GenerationTraining:
    """Measures a generator while it is trained. Its weights are never chosen by what it says."""

    workload: Workload
    data: ImageData
    extractor: Extractor
    real: Reference
    device: str

    def point(self, model: nn.Module) -> dict[str, float]:
        """A point of the learning curve."""
        found = self._quality(model, CURVE_IMAGES)
        return {"fid": found.fid, "is": found.inception_score}

    def words(self, point: dict[str, float]) -> str:
        """A point in a word, for progress."""
        return f"FID {point['fid']:.1f}"

    def final(self, model: nn.Module, curve: list[dict[str, float]]) -> dict[str, Any]:
        """What the card says of the quality of the weights."""
        made = self._quality(model, FINAL_IMAGES)
        with tf32(False):
            real = quality(judge(self.extractor, self.data.train, self.device), self.real)
        return {
            "extractor": self.extractor.name,
            "extractor_fingerprint": self.extractor.fingerprint,
            "num_images": FINAL_IMAGES,
            "fid": round(made.fid, 3),
            "fid_held_out": round(made.fid_held_out, 3),
            "fid_train_subset": round(made.fid_train_subset, 3),
            "is": round(made.inception_score, 3),
            "is_real": round(real.inception_score, 3),
            "fid_curve": [{k: round(v, 3) for k, v in point.items()} for point in curve],
        }

    def _quality(self, model: nn.Module, count: int) -> Quality:
        with tf32(False):
            images, _ = generate(model, self.workload.inputs.sample(count, stream(0, "eval")), device=self.device)
            return quality(judge(self.extractor, images, self.device), self.real)


def training_judge(workload: Workload, data: ImageData, device: str) -> GenerationTraining | None:
    """The judge of a training; None where it would have to learn from labels that the images do not have.

    Raises:
        UserError: a judge of images of another size.
    """
    extractor = _extractor(workload, data)
    if extractor is None:
        return None
    if tuple(data.train.shape[1:]) != extractor.image_shape:
        raise UserError(
            f"data source {data.name!r} has images of {tuple(data.train.shape[1:])}, workload {workload.name!r} "
            f"and its judge {extractor.name!r} want {extractor.image_shape}."
        )
    with tf32(False):
        real = reference(extractor, data, device)
    return GenerationTraining(workload, data, extractor, real, device)


def _extractor(workload: Workload, data: ImageData) -> Extractor | None:
    if workload.extractor != CLASSIFIER:
        return EXTRACTORS[workload.extractor]()
    if len(data.train_labels.unique()) < 2:
        return None
    channels, height, width = data.train.shape[1:]
    return auto_classifier(data, (channels, height, width))
