"""The reference and the judge of a user's workload, found and asked as a run does it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import nn

from bench.base.errors import UserError
from bench.check.finding import Finding
from bench.experiments import Quality
from bench.tasks.evaluation import QualitySettings
from bench.tasks.generation.asked import PairedEvaluation
from bench.tasks.generation.extractors import Extractor
from bench.tasks.generation.fitness import of_extractor, of_reference
from bench.workloads.base import Workload
from bench.workloads.checkpoints import SHIPPED, Checkpoint
from bench.workloads.data import ImageData
from bench.workloads.described import condition_of, notes_of
from bench.workloads.generate import to_uint8
from bench.workloads.loaded import Gan
from bench.workloads.own import Own
from bench.workloads.spec import CLASSIFIER, DENSE_SAMPLES
from bench.workloads.store import state_hash
from strategies.base import NotApplicable

LOOKED_AT = 4
"""Generated and real images that the judge is shown, each."""


def judging(
    workload: Workload, generator: nn.Module, shape: tuple[int, int, int], quality: Quality, say: Callable[[str], None]
) -> Iterator[Finding]:
    """What is there to compare with, and who compares. Raises UserError for what a run would refuse."""
    own = workload.own
    assert own is not None
    say("reading the reference" if own.spec.reference.source != DENSE_SAMPLES else "drawing the reference")
    data = own.images(generator, state_hash(generator.state_dict()))
    for kind, said in of_reference(data):
        yield Finding(kind, said)
    for note in notes_of(workload, data):
        yield Finding("note", f"{note}.")
    try:
        condition_of(own.spec).check(data.train_labels, data.name)
    except NotApplicable as reason:
        yield Finding("note", f"reference: {reason}: finetune-* will be not-applicable.")
    chosen = own.extractor_name() if quality.extractor == "workload" else quality.extractor
    if chosen == CLASSIFIER:
        say("training auto:classifier, where it is not kept yet: a minute or two, more on large images")
        yield from _labels(own)
    gan = Gan(workload, Checkpoint(SHIPPED, generator, None, "", {}), data)
    path = Path(quality.extractor_weights).absolute() if quality.extractor_weights else None
    settings = QualitySettings(quality.num_images, tuple(quality.metrics), chosen, path, quality.download)
    judge = PairedEvaluation().judge(gan, settings)
    extractor = judge.extractor
    if data.statistics is not None and len(data.statistics.mean) != extractor.width:
        raise UserError(
            f"reference: statistics of {len(data.statistics.mean)} features, {chosen!r} gives {extractor.width}."
        )
    with torch.inference_mode():
        generated = to_uint8(generator(*own.probe(LOOKED_AT)))
    _looks_at(extractor, data, generated, chosen)
    labelled = own.classifier_images(shape, data) if chosen == CLASSIFIER else None
    for kind, said in of_extractor(extractor, data, labelled, quality.metrics, quality.num_images):
        yield Finding(kind, said)


def _labels(own: Own) -> Iterator[Finding]:
    """What the classifier learns where there are no real images."""
    spec = own.spec
    own_images = spec.reference.source == DENSE_SAMPLES and spec.extractor_images is None
    if own_images and any(part.kind == "labels" for part in spec.inputs):
        yield Finding(
            "note",
            "extractor: auto:classifier learns from the dense generator's own images and the labels that it was "
            "given: its features tell this generator's classes, however real they are.",
        )


def _looks_at(extractor: Extractor, data: ImageData, generated: torch.Tensor, name: str) -> None:
    """Raises UserError where it gives values that are not finite, or fails on several images."""
    for images in (generated, data.train[:LOOKED_AT]):
        if not len(images):
            continue
        features, logits = extractor(images)
        if not torch.isfinite(features).all() or (logits is not None and not torch.isfinite(logits).all()):
            raise UserError(f"quality.extractor: {name!r} gives values that are not finite, for images of {data.name}.")
