"""Image generation: latents in, images out, judged by how far their features lie from those of real images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.tasks.base import Listed, Task
from bench.tasks.generation.card import curve_words, quality_words
from bench.tasks.generation.quantities import QUANTITIES
from bench.tasks.generation.words import FLAGS, OF_DENSE

if TYPE_CHECKING:
    from bench.tasks.evaluation import Evaluation
    from bench.tasks.generation.evaluation import Images

_SQUARED = "squared feature distance"

NUMBERS = (
    Listed(
        "fid-inf", _SQUARED, "lower", "stochastic", "Frechet distance to the training images less the bias of N images"
    ),
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
    Listed("cmmd", "squared kernel distance x 1000", "lower", "stochastic", "Gaussian-kernel distance, if asked for"),
    Listed("mind", _SQUARED, "lower", "stochastic", "sliced Wasserstein distance, if asked for"),
    Listed("vendi", "effective images", "higher", "stochastic", "how many unlike images a set is worth, if asked for"),
    Listed(
        "fid_floor",
        _SQUARED,
        "none",
        "exact",
        "FID of the held-out images, of no more of them than are generated; stands with dense",
    ),
    Listed("fid-inf_floor", _SQUARED, "none", "exact", "the same less the bias of so many images"),
    Listed("psnr-to-dense", "dB", "higher", "stochastic", "agreement with dense on the same inputs, pixel by pixel"),
    Listed(
        "feature-distance-to-dense",
        "relative",
        "lower",
        "stochastic",
        "agreement with dense on the same inputs, in the judge's features",
    ),
    Listed(
        "ssim-to-dense", "structural similarity", "higher", "stochastic", "agreement with dense, SSIM, if asked for"
    ),
    Listed(
        "layer-distance-to-dense",
        "squared distance of directions",
        "lower",
        "stochastic",
        "agreement with dense in all layers of the judge, if asked for",
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
    "metrics": (
        *(f"{_HERE}.{name}" for name in ("metrics", "contributions", "influence")),
        *(f"{_HERE}.{name}" for name in ("frechet", "gaussian", "kernel", "neighbours")),
        "bench.statistics.images",
    ),
    "agreement": tuple(f"{_HERE}.{name}" for name in ("agreement", "discriminator")),
}
"""What its numbers come from."""

CODE_OF = {
    **{name: (f"{_HERE}.{name}",) for name in ("cmmd", "mind", "vendi")},
    "ssim": (f"{_HERE}.paired", f"{_HERE}.ssim"),
    "layer-distance": (f"{_HERE}.paired", f"{_HERE}.layers"),
}
"""What those come from that are measured only if asked for: no other cell's key knows of it."""

CALIBRATED_METRICS = ("fid", "is", "kid", "prc")
"""The metrics whose errors were tried on drawn networks (`bench.gate.calibration`)."""


def _evaluation() -> Evaluation[Images]:
    from bench.tasks.generation.asked import PairedEvaluation

    return PairedEvaluation()


GENERATION = Task(
    name="generation",
    quantities=QUANTITIES,
    leaders=("fid-inf", "fid", "kid"),
    beside=("fid", "is"),
    watched="fid",
    metrics=("fid", "is"),
    known_metrics=(*CALIBRATED_METRICS, *CODE_OF),
    gated=("fid", "is"),
    bound="fid-inf",
    area="fid",
    floor="fid-inf_floor",
    gap=("fid-held-out", "fid-train-subset"),
    numbers=NUMBERS,
    code=CODE,
    code_of=CODE_OF,
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
        (
            "ssim-to-dense, layer-distance-to-dense[...]",
            "the same by their structure (SSIM, 1 for equal images) and by what all layers of that network make of "
            "them (LPIPS' formula without its learnt weights, 0 for equal images)",
        ),
    ),
)
