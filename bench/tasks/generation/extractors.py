"""Feature networks: what judges generated images. Input is always uint8, output features and, from most, logits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from bench.base.layout import channels_last
from bench.tasks.generation.judge_networks import DummyJudge, LeNet
from bench.workloads.store import state_hash
from strategies.registry import Registry

BATCH = 250

ImageShape = tuple[int, int, int]


def centred(images: Tensor) -> Tensor:
    """uint8 images as float32 in [-1, 1], as generators make them."""
    return images.to(torch.float32).div_(127.5).sub_(1).contiguous(memory_format=torch.channels_last)


@dataclass(frozen=True)
class Extractor:
    """A named feature network, the images that it takes, what it gives and the hash of its weights."""

    name: str
    module: nn.Module
    image_shape: ImageShape | None
    """``(C, H, W)``; None: any."""
    fingerprint: str
    width: int
    """How many features it gives."""
    classes: int | None
    """How many logits it gives; None: features only, so there is no IS."""
    prepare: Callable[[Tensor], Tensor] = centred
    """From uint8 images on the device to what the module takes."""
    batch: int = BATCH
    standard: bool = False
    """Whether these are the field's own features, on which metrics are computed as they come."""

    def __call__(self, images: Tensor, device: torch.device | str = "cpu") -> tuple[Tensor, Tensor | None]:
        """Features ``(N, d)`` and logits ``(N, classes)`` (None where it has none), float32 on the CPU, of uint8
        images ``(N, C, H, W)``.

        Raises:
            TypeError: images that are not uint8 (floats would pass and give another number).
            ValueError: images of another shape.
        """
        if images.dtype != torch.uint8:
            raise TypeError(f"{self.name} judges uint8 images, found {images.dtype}")
        if self.image_shape is not None and tuple(images.shape[1:]) != self.image_shape:
            raise ValueError(f"{self.name} judges images of {self.image_shape}, found {tuple(images.shape[1:])}")
        module = self.module.to(device)
        features = torch.empty(len(images), self.width)
        logits = None if self.classes is None else torch.empty(len(images), self.classes)
        # Moved before: what is moved in inference mode cannot take gradients afterwards.
        with torch.inference_mode():
            for start in range(0, len(images), self.batch):
                part = slice(start, start + self.batch)
                found, scores = _outputs(module(self.prepare(images[part].to(device))))
                features[part] = found
                if logits is not None and scores is not None:
                    logits[part] = scores
        return features, logits


def _outputs(out: Any) -> tuple[Tensor, Tensor | None]:
    """Features and logits of what a module returned: a tensor, or a tuple of one or two."""
    if isinstance(out, Tensor):
        return out, None
    return out[0], out[1] if len(out) > 1 else None


EXTRACTORS: Registry[Callable[[], Extractor]] = Registry("extractor")
"""Those that need nothing but this package."""


def extractor_of(
    name: str,
    module: nn.Module,
    image_shape: ImageShape | None,
    *,
    fingerprint: str | None = None,
    prepare: Callable[[Tensor], Tensor] = centred,
    batch: int = BATCH,
    standard: bool = False,
) -> Extractor:
    """Freeze ``module`` as the extractor ``name``, and see on one black image what it gives.

    Raises:
        ValueError: it gives no ``(1, d)`` features, or logits of another form.
    """
    module = channels_last(module.eval().requires_grad_(False))
    black = torch.zeros(1, *(image_shape or (3, 32, 32)), dtype=torch.uint8)
    with torch.inference_mode():
        features, logits = _outputs(module(prepare(black)))
    for what, found in (("features", features), ("logits", logits)):
        if found is not None and (found.ndim != 2 or len(found) != 1):
            raise ValueError(f"extractor {name!r} gives {what} of shape {tuple(found.shape)} for one image, not (1, d)")
    return Extractor(
        name=name,
        module=module,
        image_shape=image_shape,
        fingerprint=fingerprint or state_hash(module.state_dict()),
        width=features.shape[1],
        classes=None if logits is None else logits.shape[1],
        prepare=prepare,
        batch=batch,
        standard=standard,
    )


def nobody() -> Extractor:
    """In the place of a judge where nothing is judged."""
    return Extractor("nobody", nn.Identity(), None, fingerprint="", width=0, classes=None)


@EXTRACTORS.register("mnist-lenet")
def mnist_lenet() -> Extractor:
    """The LeNet that `ganprune train mnist-lenet` made: 64 features, 10 classes, 28 x 28 grey."""
    from bench.workloads.checkpoints import shipped_folder
    from bench.workloads.store import load_into, read_weights

    path = shipped_folder("mnist-lenet") / "classifier.safetensors"
    module = load_into(LeNet(), read_weights(path), str(path))
    return extractor_of("mnist-lenet", module, (1, 28, 28))


@EXTRACTORS.register("cifar-net")
def cifar_net() -> Extractor:
    """A classifier of CIFAR-10 (see its model card): 64 features, 10 classes, 32 x 32 colour."""
    from bench.tasks.generation.judge_networks import CifarNet
    from bench.workloads.checkpoints import shipped_folder
    from bench.workloads.store import load_into, read_weights

    path = shipped_folder("cifar-net") / "classifier.safetensors"
    module = load_into(CifarNet(), read_weights(path), str(path))
    return extractor_of("cifar-net", module, (3, 32, 32))


@EXTRACTORS.register("dummy-judge")
def dummy_judge() -> Extractor:
    """A fixed random network for the `dummy` workload: 6 features, 4 classes, 8 x 8 grey."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return extractor_of("dummy-judge", DummyJudge(), (1, 8, 8))
