"""What one would write without ganprune: each cell after the other, judged by `torch_fidelity.calculate_metrics`."""

from __future__ import annotations

import itertools

import torch
import torch_fidelity
from torch import Tensor
from torch.utils.data import Dataset
from torch_fidelity.feature_extractor_base import FeatureExtractorBase

from bench.base.seeds import stream
from bench.tasks.generation.extractors import mnist_lenet
from bench.training.recovery import parse_recovery, recover
from bench.workloads.builtin import BUILT_IN
from bench.workloads.checkpoints import load_checkpoint
from bench.workloads.data import DATA_SOURCES
from bench.workloads.generate import generate
from bench.workloads.loaded import Gan
from strategies.base import Context, Level
from strategies.builtin import STRATEGIES

NAME = "mnist-lenet-for-comparison"


class LeNetExtractor(FeatureExtractorBase):
    """`mnist-lenet` as torch-fidelity wants an extractor: features under ``64``, logits under ``logits``."""

    def __init__(self, name: str, features_list: list[str], **_: object) -> None:
        super().__init__(name, features_list)
        self.network = mnist_lenet().module

    @staticmethod
    def get_provided_features_list() -> tuple[str, ...]:
        return "64", "logits"

    @staticmethod
    def get_default_feature_layer_for_metric(metric: str) -> str:
        return "logits" if metric == "isc" else "64"

    @staticmethod
    def can_be_compiled() -> bool:
        return False

    @staticmethod
    def get_dummy_input_for_compile() -> Tensor:
        return torch.zeros(1, 1, 28, 28, dtype=torch.uint8)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        x = images.float().div(127.5).sub(1).contiguous(memory_format=torch.channels_last)
        # torch-fidelity takes the mean in the type of the features: in float32 FID would be off by some 1e-6
        # (tests/tasks/generation/test_torch_fidelity_mean.py shows that nothing else differs).
        features, logits = (y.double() for y in self.network(x))
        found = {"64": features, "logits": logits}
        return tuple(found[name] for name in self.features_list)


class Images(Dataset):  # type: ignore[type-arg]
    """uint8 images in memory."""

    def __init__(self, images: Tensor) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Tensor:
        return self.images[index]


def judge_one_after_the_other(
    workloads: list[str], strategies: list[str], levels: list[float], seeds: list[int], num_images: int, **more: int
) -> dict[tuple[str, str, float, int], tuple[float, float]]:
    """(workload, strategy, level, seed) -> FID and IS, as the obvious script gets them; ``more`` for torch-fidelity."""
    if NAME not in torch_fidelity.registry.FEATURE_EXTRACTORS_REGISTRY:
        torch_fidelity.register_feature_extractor(NAME, LeNetExtractor)
    cells = itertools.product(workloads, strategies, levels, seeds)
    return {cell: _judge(*cell, num_images, **more) for cell in cells}


def _judge(workload: str, strategy: str, level: float, seed: int, num_images: int, **more: int) -> tuple[float, float]:
    thing = BUILT_IN[workload]
    checkpoint, data = load_checkpoint(thing), DATA_SOURCES[thing.data]()
    how = STRATEGIES[strategy]
    context = Context(checkpoint.generator, thing.inputs.sample(2, stream(0, "x")), stream(seed, "prune"))
    removal = how.decide(how.rank(context), Level.sparsity(level), "params")
    pruned = removal.apply(checkpoint.generator)
    made = recover(parse_recovery("bn-recalibrate"), Gan(thing, checkpoint, data), pruned, seed=seed)
    images, _ = generate(made.generator, thing.inputs.sample(num_images, stream(seed, "eval")))
    metrics = torch_fidelity.calculate_metrics(
        input1=Images(images),
        input2=Images(data.train),
        cuda=False,
        isc=True,
        isc_splits=1,
        fid=True,
        feature_extractor=NAME,
        verbose=False,
        **more,
    )
    return metrics["frechet_inception_distance"], metrics["inception_score_mean"]
