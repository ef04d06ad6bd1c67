"""Disjoint real images and disjoint latents: what a generator is worth in each."""

from __future__ import annotations

import torch
from torch import nn

from bench.base.errors import UserError
from bench.base.seeds import stream
from bench.tasks.generation.extractors import Extractor
from bench.tasks.generation.frechet import frechet_distance
from bench.tasks.generation.gaussian import Gaussian, fit
from bench.tasks.generation.quality import inception_score, judge
from bench.workloads.generate import generate
from bench.workloads.loaded import Gan

FEWEST = 2
"""Training images that each fold needs."""


class GenerationFolds:
    """So many disjoint parts of the training images, each with inputs of its own."""

    def __init__(self, gan: Gan, extractor: Extractor, count: int, num_images: int, seed: int, metric: str) -> None:
        """Raises UserError for too few training images, and for an extractor without what the metric needs."""
        if len(gan.data.train) < FEWEST * count:
            raise UserError(f"--folds {count}: {len(gan.data.train)} training images are too few for so many.")
        if metric == "is" and extractor.classes is None:
            raise UserError(f"--metric is: extractor {extractor.name!r} has no classes. Use --metric fid.")
        self.gan, self.extractor, self.metric, self.count, self.num_images = gan, extractor, metric, count, num_images
        self.inputs = gan.workload.inputs.sample(count * num_images, stream(seed, "eval", "tune"))
        order = torch.randperm(len(gan.data.train), generator=stream(seed, "eval", "tune", "reals"))
        self.reals: list[Gaussian] = []
        if metric == "fid":
            features = judge(extractor, gan.data.train, gan.device).features
            self.reals = [fit(features[part.numpy()]) for part in order.tensor_split(count)]

    def values(self, generator: nn.Module) -> tuple[float, ...] | None:
        """The metric in each fold; None: the output is not finite."""
        images, finite = generate(generator.to(self.gan.device), self.inputs, device=self.gan.device)
        if not finite:
            return None
        judged = judge(self.extractor, images, self.gan.device)
        found = []
        for k in range(self.count):
            part = slice(k * self.num_images, (k + 1) * self.num_images)
            if self.metric == "fid":
                found.append(frechet_distance(self.reals[k], fit(judged.features[part])))
            else:
                assert judged.logits is not None
                found.append(inception_score(judged.logits[part]))
        return tuple(found)
