"""What a reference and a judge of the user's allow, in words for `check-workload`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from bench.tasks.generation.classifier import accuracy
from bench.tasks.generation.extractors import Extractor
from bench.workloads.data import ImageData
from bench.workloads.spec import DENSE_SAMPLES
from bench.workloads.walk import shown

Said = tuple[Literal["ok", "note"], str]


def of_reference(data: ImageData) -> Iterator[Said]:
    """What is there to compare with."""
    if data.statistics is not None:
        count, width = data.statistics.num_images, len(data.statistics.mean)
        lost = "FID to held-out images, KID, CMMD, MIND, prc and finetune-* need images"
        yield "ok", f"reference: statistics of {width} features, no images; {lost}"
        if count is not None and count <= width:
            yield "note", f"reference: statistics of {count:,} images for {width:,} features: FID is biased. Use more."
        return
    if data.name == DENSE_SAMPLES:
        held_out = f"{len(data.held_out):,} more held out"
        yield (
            "ok",
            f"reference: {len(data.train):,} samples of the dense generator itself, {held_out}; no real images: FID "
            "says how far from dense, not how good",
        )
        return
    labels = f"; {_classes(data.classes)}" if data.classes else ""
    yield "ok", f"reference: {data.name}, {len(data.train):,} images, {len(data.held_out):,} more held out{labels}"


def _classes(names: tuple[str, ...]) -> str:
    """In the order of their labels."""
    few = ", ".join(shown(name) for name in names[:10])
    return f"{len(names):,} classes: {few}{', ...' if len(names) > 10 else ''}"


def of_extractor(
    extractor: Extractor, data: ImageData, labelled: ImageData | None, metrics: Sequence[str], num_images: int
) -> Iterator[Said]:
    """What the judge gives, how well it names ``labelled`` images, and whether it has enough to compare with.

    Args:
        metrics: those that the experiment asks for.
        num_images: how many images of each network it judges.
    """
    logits = f"{extractor.classes} classes" if extractor.classes else "no classes"
    right = f"; names {accuracy(extractor, labelled):.0%} of the held-out images rightly" if labelled else ""
    yield "ok", f"extractor: {extractor.name}, {extractor.width} features, {logits}{right}"
    if "fid" not in metrics:
        return
    if data.statistics is None and len(data.train) <= extractor.width:
        yield (
            "note",
            f"reference: {len(data.train):,} images for {extractor.width} features: FID is biased and flagged "
            "`low-rank-fid`. Use more images, an extractor with fewer features, or KID.",
        )
    if num_images <= extractor.width:
        yield (
            "note",
            f"quality.num_images: {num_images:,} generated images for {extractor.width} features: FID is biased and "
            f"flagged `low-rank-fid`. Judge more than {extractor.width:,}, by an extractor with fewer features, or use "
            "KID.",
        )
