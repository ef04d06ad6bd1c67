"""Feature networks: what judges generated images. Input is always uint8, output features and logits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bench.workloads.networks import DummyJudge, LeNet
from bench.workloads.store import state_hash
from strategies.registry import Registry

BATCH = 250


@dataclass(frozen=True)
class Extractor:
    """A named feature network with the shape of image that it wants and the hash of its weights."""

    name: str
    module: nn.Module
    image_shape: tuple[int, int, int]
    fingerprint: str

    @torch.inference_mode()
    def __call__(self, images: Tensor, device: torch.device | str = "cpu") -> tuple[Tensor, Tensor]:
        """Features ``(N, d)`` and logits ``(N, classes)``, float32 on the CPU, of uint8 images ``(N, C, H, W)``.

        Raises:
            TypeError: images that are not uint8 (floats would pass and give another number).
            ValueError: images of another shape.
        """
        if images.dtype != torch.uint8:
            raise TypeError(f"{self.name} judges uint8 images, found {images.dtype}")
        if tuple(images.shape[1:]) != self.image_shape:
            raise ValueError(f"{self.name} judges images of {self.image_shape}, found {tuple(images.shape[1:])}")
        module = self.module.to(device)
        features, logits = [], []
        for batch in torch.split(images, BATCH):
            x = batch.to(device, torch.float32).div_(127.5).sub_(1).contiguous(memory_format=torch.channels_last)
            out = module(x)
            features.append(out[0].float().cpu())
            logits.append(out[1].float().cpu())
        return torch.cat(features), torch.cat(logits)


EXTRACTORS: Registry[Callable[[], Extractor]] = Registry("extractor")


def extractor_of(name: str, module: nn.Module, image_shape: tuple[int, int, int]) -> Extractor:
    """Freeze ``module`` as the extractor ``name``."""
    module = module.eval().requires_grad_(False)
    fingerprint = state_hash(module.state_dict())
    return Extractor(name, module.to(memory_format=torch.channels_last), image_shape, fingerprint)


@EXTRACTORS.register("mnist-lenet")
def mnist_lenet() -> Extractor:
    """The LeNet that `ganprune train mnist-lenet` made: 64 features, 10 classes, 28 x 28 grey."""
    from bench.workloads.checkpoints import shipped_folder
    from bench.workloads.store import load_into, read_weights

    path = shipped_folder("mnist-lenet") / "classifier.safetensors"
    module = load_into(LeNet(), read_weights(path), str(path))
    return extractor_of("mnist-lenet", module, (1, 28, 28))


@EXTRACTORS.register("dummy-judge")
def dummy_judge() -> Extractor:
    """A fixed random network for the `dummy` workload: 6 features, 4 classes, 8 x 8 grey."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return extractor_of("dummy-judge", DummyJudge(), (1, 8, 8))
