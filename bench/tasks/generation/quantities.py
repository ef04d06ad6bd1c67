"""The quantities of image generation."""

from __future__ import annotations

from bench.tasks.base import Quantity

FID_INF = Quantity(
    "fid-inf",
    "FID∞",
    "squared feature distance",
    "lower",
    "Frechet distance to the training images, as of any number of images",
    scale="share",
    margin=0.05,
    decimals=2,
    bounds=(0.1, 0.5),
    at_n="fid",
    about="Fréchet distance to the training images in the features of the network in brackets, less the bias of N "
    "images in closed form; lower is better; may fall below 0 for a generator as good as real images. Comparable with "
    "the same extractor and reference, whatever N",
    caution="It is near, not free of error: its closed form holds to second order, and is too small where N is not a "
    "few times the number of features.",
)
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
    errors_of="fid-inf",
    about="Fréchet distance to the training images in the features of the network in brackets, lower is better; "
    "mean ± half width of the 95 % interval. Comparable only with the same extractor, version and N",
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

CMMD = Quantity(
    "cmmd",
    "CMMD",
    "squared kernel distance x 1000",
    "lower",
    "Gaussian-kernel distance to training images",
    decimals=2,
    about="squared distance of a Gaussian kernel (bandwidth: the median distance between training images) to training "
    "images in the features of that network, times 1,000, lower is better; unbiased, so about 0 for a perfect "
    "generator. CMMD by name is that of CLIP's features with a bandwidth of 10: not comparable with this",
)
MIND = Quantity(
    "mind",
    "MIND",
    "squared feature distance",
    "lower",
    "sliced Wasserstein distance to training images",
    scale="log",
    decimals=2,
    about="sliced Wasserstein distance to training images in the features of that network, lower is better. Comparable "
    "only at the same N",
    caution="MIND of few images is too high, as FID is.",
)
VENDI = Quantity(
    "vendi",
    "Vendi",
    "effective images",
    "higher",
    "how many unlike images the generated ones are worth",
    scale="log",
    decimals=2,
    about="Vendi score: how many entirely unlike images the generated ones are worth in the features of that network, "
    "higher is more diverse. It sees no real image: noise is diverse too",
)
SSIM_TO_DENSE = Quantity(
    "ssim-to-dense", "SSIM to dense", "structural similarity", "higher", "agreement with dense, image by image"
)
LAYER_DISTANCE = Quantity(
    "layer-distance-to-dense",
    "Layer distance to dense",
    "squared distance of directions",
    "lower",
    "agreement with dense in all layers of the judge, image by image",
)

QUANTITIES = (
    FID_INF,
    FID,
    KID,
    IS,
    Quantity("precision", "Precision", "share", "higher", "generated images near a real one"),
    Quantity("recall", "Recall", "share", "higher", "real images near a generated one"),
    Quantity("density", "Density", "real neighbourhoods / k", "higher", "how densely real images surround"),
    Quantity("coverage", "Coverage", "share", "higher", "real images with a generated one near"),
    CMMD,
    MIND,
    VENDI,
    SSIM_TO_DENSE,
    LAYER_DISTANCE,
)

CALIBRATED = QUANTITIES[: QUANTITIES.index(CMMD)]
"""Those whose errors were tried on drawn networks (`bench.gate.calibration`)."""
