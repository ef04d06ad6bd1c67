"""Image generation: latents in, images out, judged by how far their features lie from those of real images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.tasks.base import Listed, Quantity, Task
from bench.tasks.generation.card import curve_words, quality_words
from bench.tasks.generation.words import FLAGS, OF_DENSE

if TYPE_CHECKING:
    from bench.tasks.evaluation import Evaluation
    from bench.tasks.generation.evaluation import Images

FID = Quantity(
    "fid",
    "FID",
    "squared feature distance",
    "lower",
    "Frechet distance to the training images",
    scale="log",
    margin=0.05,
    decimals=2,
    tolerated=10.0,
    bounds=(0.1, 0.5),
    about="Fréchet distance to the training images in the features of the network in brackets, lower is better; "
    "mean ± half width of the 95 % t-interval over the seeds. Comparable only with the same extractor, version and N",
    caution="Small N biases FID upwards, by an amount that depends on the model: compare within a column only.",
)
KID = Quantity(
    "kid",
    "KID",
    "squared kernel distance",
    "lower",
    "kernel distance to training images",
    decimals=2,
    habit=3,
    about="kernel distance to training images in the features of that network, lower is better; unbiased, so about 0 "
    "for a perfect generator and then below 0 half of the time; shown times a power of ten",
    no_margin="KID is about 0 for a good generator, so a share of the dense KID is no margin",
)
IS = Quantity(
    "is",
    "IS",
    "effective classes",
    "higher",
    "Inception score in that network's classes",
    scale="log",
    margin=0.05,
    decimals=2,
    about="Inception score in the classes of that network, higher is better",
)
_SQUARED = "squared feature distance"

NUMBERS = (
    Listed("fid", _SQUARED, "lower", "stochastic", "Frechet distance to the training images"),
    Listed("fid-held-out", _SQUARED, "lower", "stochastic", "the same to the held-out images"),
    Listed(
        "fid-train-subset",
        _SQUARED,
        "lower",
        "stochastic",
        "the same to a training subset as large as the held-out part; the difference is the generalisation gap",
    ),
    Listed("is", "effective classes", "higher", "stochastic", "Inception Score on the judge's classes"),
    Listed("kid", "squared kernel distance", "lower", "stochastic", "kernel distance to as many training images"),
    Listed("precision", "share", "higher", "stochastic", "generated images near a real one"),
    Listed("recall", "share", "higher", "stochastic", "real images near a generated one"),
    Listed("density", "real neighbourhoods / k", "higher", "stochastic", "how densely real images surround"),
    Listed("coverage", "share", "higher", "stochastic", "real images with a generated one near"),
    Listed(
        "fid_floor",
        _SQUARED,
        "none",
        "exact",
        "FID of the held-out images, of no more of them than are generated; stands with dense",
    ),
    Listed("psnr-to-dense", "dB", "higher", "stochastic", "agreement with dense on the same inputs, pixel by pixel"),
    Listed(
        "feature-distance-to-dense",
        "relative",
        "lower",
        "stochastic",
        "agreement with dense on the same inputs, in the judge's features",
    ),
    Listed("d-accuracy-real", "share", "none", "stochastic", "training images that D takes for real"),
    Listed("d-accuracy-dense", "share", "none", "stochastic", "dense's images that this cell's D takes for generated"),
    Listed(
        "d-accuracy-generated",
        "share",
        "none",
        "stochastic",
        "this generator's images that D takes for generated",
    ),
)

_HERE = "bench.tasks.generation"

CODE = {
    "judging": tuple(f"{_HERE}.{name}" for name in ("evaluation", "collapse", "quality", "extractors", "judges")),
    "judges": tuple(f"{_HERE}.{name}" for name in ("judge_networks", "classifier", "public")),
    "metrics": tuple(
        f"{_HERE}.{name}" for name in ("metrics", "contributions", "frechet", "gaussian", "kernel", "neighbours")
    ),
    "agreement": tuple(f"{_HERE}.{name}" for name in ("agreement", "discriminator")),
}
"""What its numbers come from."""


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
    known_metrics=("fid", "is", "kid", "prc"),
    gated=("fid", "is"),
    bound="fid",
    floor="fid_floor",
    gap=("fid-held-out", "fid-train-subset"),
    numbers=NUMBERS,
    code=CODE,
    card=lambda card: (quality_words(card), curve_words(card)),
    evaluation=_evaluation,
    public_judge="inception-v3-compat",
    flags=FLAGS,
    of_dense=OF_DENSE,
    floor_words=("real images", "dense's own samples"),
    also=(
        (
            "fid-held-out[...], fid-train-subset[...]",
            "FID to images that nothing was trained on, and to an equally large subset of the training images: only "
            "the gap between these two says something about memorising",
        ),
        (
            "psnr-to-dense, feature-distance-to-dense[...]",
            "how far the images are from those of dense (same recovery, same inputs): agreement, not quality",
        ),
    ),
)
