"""Image generation: latents in, images out, judged by how far their features lie from those of real images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.tasks.base import Quantity, Task

if TYPE_CHECKING:
    from bench.tasks.evaluation import Evaluation
    from bench.tasks.generation.evaluation import Images

_SQUARED = "squared feature distance"

FID = Quantity(
    "fid", "FID", _SQUARED, "lower", "Frechet distance to the training images", scale="log", margin=0.05, decimals=2
)
KID = Quantity("kid", "KID", "squared kernel distance", "lower", "kernel distance to training images",
               decimals=2, habit=3)  # fmt: skip
IS = Quantity("is", "IS", "effective classes", "higher", "Inception Score on the judge's classes", scale="log",
              decimals=2)  # fmt: skip


def _evaluation() -> Evaluation[Images]:
    from bench.tasks.generation.evaluation import GenerationEvaluation

    return GenerationEvaluation()


GENERATION = Task(
    name="generation",
    quantities=(
        FID,
        KID,
        IS,
        Quantity("precision", "Precision", "share", "higher", "generated images near a real one"),
        Quantity("recall", "Recall", "share", "higher", "real images near a generated one"),
        Quantity("density", "Density", "real neighbourhoods / k", "higher", "how densely real images surround"),
        Quantity("coverage", "Coverage", "share", "higher", "real images with a generated one near"),
    ),
    leaders=("fid", "kid"),
    beside=("is",),
    metrics=("fid", "is"),
    gated=("fid", "is"),
    bound="fid",
    floor="fid_floor",
    gap=("fid-held-out", "fid-train-subset"),
    evaluation=_evaluation,
)
