"""What a reference and a judge of the user's allow, in words for `check-workload`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from bench.tasks.generation.classifier import accuracy
from bench.tasks.generation.extractors import Extractor
from bench.workloads.data import ImageData

Said = tuple[Literal["ok", "note"], str]


def of_reference(data: ImageData) -> str:
    """What is there to compare with."""
    if data.statistics is not None:
        return (
            f"reference: statistics of {len(data.statistics.mean)} features, no images; FID to held-out images, KID, "
            "prc and finetune-* need images"
        )
    return f"reference: {data.name}, {len(data.train):,} images, {len(data.held_out):,} more held out"


def of_extractor(extractor: Extractor, data: ImageData, labelled: ImageData | None) -> Iterator[Said]:
    """What the judge gives, how well it names ``labelled`` images, and whether it has enough to compare with."""
    logits = f"{extractor.classes} classes" if extractor.classes else "no classes"
    right = f"; names {accuracy(extractor, labelled):.0%} of the held-out images rightly" if labelled else ""
    yield "ok", f"extractor: {extractor.name}, {extractor.width} features, {logits}{right}"
    if data.statistics is None and len(data.train) <= extractor.width:
        yield (
            "note",
            f"reference: {len(data.train):,} images for {extractor.width} features: FID is biased and flagged "
            "`low-rank-fid`. Use more images, an extractor with fewer features, or KID.",
        )
