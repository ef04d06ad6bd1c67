"""What a network's leading number is in the limit of many images, from the Gaussian of very many of them."""

from __future__ import annotations

from bench.tasks.generation.evaluation import GenerationJudge
from bench.tasks.generation.frechet import frechet_distance
from bench.tasks.generation.gaussian import Gaussian


def limit(judge: GenerationJudge, made: Gaussian, bias: float) -> float:
    """The Frechet distance of ``made`` to the judge's training images, less its bias.

    Args:
        bias: of as many images as ``made`` is of.
    """
    return frechet_distance(judge.reference.train, made) - bias
