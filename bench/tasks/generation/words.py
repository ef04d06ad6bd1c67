"""What a report says of flags, and of columns whose reference is no real image: sentences, and nothing besides."""

from __future__ import annotations

from bench.tasks.base import DENSE_REFERENCE

FLAGS = {
    "small-n": "fewer than 10,000 images were judged, and FID of few images is too high by an amount that depends on "
    "the network: such numbers compare rows of one N, and are no FID to quote",
    "low-rank-fid": "the generated images, or those of the reference, are no more than the features of the judge: "
    "their covariance has no full rank, and FID rests on what it cannot see. What helps: more images, a judge with "
    "fewer features, or KID",
    DENSE_REFERENCE: "the reference is the dense generator's own samples, not real images: distances say how far a "
    "network has moved from dense, not how good its images are, and nothing about what was learnt by heart",
}
"""What a reader of the report is told."""

OF_DENSE = {
    "fid[...]": "Fréchet distance to samples of the dense generator (there are no real images; dense itself shows the "
    "noise floor) in the features of the network in brackets, lower is better; mean ± half width of the 95 % "
    "interval. Comparable only with the same dense generator, extractor, version and N",
    "kid[...]": "kernel distance to samples of the dense generator (there are no real images) in the features of that "
    "network, lower is better; unbiased, so about 0 for dense itself and then below 0 half of the time; shown times a "
    "power of ten",
    "fid-held-out[...], fid-train-subset[...]": "FID to samples of the dense generator that are kept apart from those "
    "of the reference, and to an equally large part of these: nothing was trained on either, so their difference is "
    "noise",
}
"""The same columns where the reference is `dense-samples`."""
