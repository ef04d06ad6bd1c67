"""Metrics of agreement with dense that are asked for by name: each image beside dense's of the same input, with errors.

They need dense's images, which `Judge.agreement` is given and `Metric.compute` is not. So as metrics they have no
columns, and a judge of its own, for who asks for them, makes their numbers there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from bench.base.errors import UserError
from bench.records import Number
from bench.statistics import Contributions
from bench.tasks.evaluation import QualitySettings
from bench.tasks.generation.contributions import first_order, of_share
from bench.tasks.generation.evaluation import GenerationEvaluation, GenerationJudge, Images
from bench.tasks.generation.extractors import Extractor
from bench.tasks.generation.layers import layer_distance
from bench.tasks.generation.metrics import Column, Found, Metric, Terms
from bench.tasks.generation.ssim import WINDOW, ssim
from bench.workloads.loaded import Gan


@dataclass(frozen=True)
class Paired:
    """A number that is the mean over images of how each stands to dense's of the same input."""

    column: Column
    judged: bool
    """Whether the judge has a say in it, and so stands in brackets."""
    compute: Callable[[Extractor, Tensor, Tensor, str], NDArray[np.float64]]
    """``(extractor, images, dense's, device)`` -> ``(N,)``."""
    version: str


PAIRED = {
    "ssim": Paired(
        Column("ssim-to-dense", "structural similarity", "higher", "agreement with dense on the same inputs, SSIM"),
        judged=False,
        compute=lambda extractor, mine, dense, device: ssim(mine, dense),
        version="ssim-gaussian1.5-uint8-1",
    ),
    "layer-distance": Paired(
        Column(
            "layer-distance-to-dense",
            "squared distance of directions",
            "lower",
            "agreement with dense on the same inputs, in all layers of the judge",
        ),
        judged=True,
        compute=layer_distance,
        version="layer-distance-1",
    ),
}
"""By the name of the metric."""


def _nothing(*_: object) -> Found:
    """A judge that knows no dense can say nothing."""
    return Found({})


def _metric(name: str, paired: Paired) -> Metric:
    """What the keys of cells know of it: all that agreement depends on."""

    def version(terms: Terms) -> str:
        return f"{paired.version}/{terms.judge}/{terms.images}"

    return Metric(name=name, columns=(), version=version, compute=_nothing)


METRICS_OF_PAIRS = {name: _metric(name, paired) for name, paired in PAIRED.items()}


@dataclass(frozen=True)
class PairedJudge(GenerationJudge):
    """A judge that also sets images beside dense's."""

    def agreement(self, seen: Images, dense: Mapping[str, Tensor], key: str) -> dict[str, Number]:
        numbers = super().agreement(seen, dense, key)
        images = dense["images"]
        for name in self.metrics:
            if name not in PAIRED:
                continue
            paired = PAIRED[name]
            each = paired.compute(self.extractor, seen.images[: len(images)], images, str(self.gan.device))
            number = f"{paired.column.name}[{self.name}]" if paired.judged else paired.column.name
            contributions = first_order(of_share(each), len(each))
            seen.found[f"{name} beside dense"] = Found({}, {number: contributions})
            numbers[number] = Number(
                value=float(each.mean()),
                unit=paired.column.unit,
                direction=paired.column.direction,
                kind="stochastic",
                version=f"{paired.version}/{self.extractor.fingerprint[:12]}" if paired.judged else paired.version,
                num_images=len(each),
                error=math.sqrt(contributions.variance) if len(each) > 1 else None,
            )
        return numbers

    def contributions(self, seen: Images) -> dict[str, Contributions]:
        found = super().contributions(seen)
        for name in self.metrics:
            beside = seen.found.get(f"{name} beside dense")
            found |= beside.contributions if beside else {}
        return found


class PairedEvaluation(GenerationEvaluation):
    """Gives who asks for a metric of pairs the judge that has them."""

    def judge(self, gan: Gan, settings: QualitySettings) -> GenerationJudge:
        """Raises UserError as others do, and for images that SSIM's window does not fit into."""
        plain = super().judge(gan, settings)
        if not any(name in PAIRED for name in plain.metrics):
            return plain
        height, width = gan.data.train.shape[2:]
        if "ssim" in plain.metrics and min(height, width) < WINDOW:
            raise UserError(
                f"quality.metrics: 'ssim' needs images of at least {WINDOW} x {WINDOW} pixels, workload "
                f"{gan.workload.name!r} makes {height} x {width}. Leave it out."
            )
        return PairedJudge(**{field.name: getattr(plain, field.name) for field in fields(plain)})
