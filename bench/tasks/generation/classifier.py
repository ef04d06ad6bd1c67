"""``auto:classifier``: a small feature network, trained once on labelled images of any size, then kept."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from safetensors.torch import save
from torch import Tensor, nn

from bench.base.cache import cached
from bench.base.errors import UserError
from bench.base.seeds import derive, stream
from bench.tasks.generation.extractors import Extractor, centred, extractor_of
from bench.workloads.data import ImageData
from bench.workloads.spec import CLASSIFIER
from bench.workloads.store import load_into, read_weights, state_hash

NAME = CLASSIFIER.replace(":", "-")
"""In the names of columns: ``fid[auto-classifier]``."""

FEATURES = 64


@dataclass(frozen=True)
class Recipe:
    """How the classifier is trained. Part of the name under which it is kept."""

    version: int = 1
    width: int = 24
    steps: int = 1_500
    """At most; with few images `epochs` ends it earlier."""
    epochs: int = 40
    batch: int = 64
    lr: float = 2e-3


class Classifier(nn.Module):
    """Convolutions with stride 2 down to about 4 pixels, averaged over places, 64 features, one logit a class.

    Input: float ``(B, C, H, W)`` in [-1, 1]. Output: features ``(B, 64)`` out of a leaky ReLU, so that none is dead,
    and logits ``(B, classes)``.
    """

    def __init__(self, shape: tuple[int, int, int], classes: int, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inside, side, now = shape[0], max(shape[1:]), width
        while side > 4 and len(layers) < 15:
            layers += [nn.Conv2d(inside, now, 3, 2, 1, bias=False), nn.BatchNorm2d(now), nn.ReLU(inplace=True)]
            inside, side, now = now, (side + 1) // 2, min(2 * now, 4 * width)
        layers += [nn.Conv2d(inside, now, 3, 1, 1, bias=False), nn.BatchNorm2d(now), nn.ReLU(inplace=True)]
        self.convolutions = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.embed = nn.Sequential(nn.Linear(now, FEATURES), nn.LeakyReLU(0.1, inplace=True))
        self.classify = nn.Linear(FEATURES, classes)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features: Tensor = self.embed(self.convolutions(x))
        return features, self.classify(features)


def auto_classifier(data: ImageData, shape: tuple[int, int, int], recipe: Recipe | None = None) -> Extractor:
    """The classifier of the training part of ``data``, from the cache or trained now (a minute or two).

    Raises:
        UserError: images without labels, or of another size.
    """
    recipe = recipe or Recipe()
    classes = int(data.train_labels.max()) + 1 if len(data.train_labels) else 0
    if len(data.train_labels.unique()) < 2:
        raise UserError(
            f"extractor {CLASSIFIER!r}: the images of {data.name!r} have no labels to learn from. Give a folder with "
            "one folder of images for each class (extractor_images = ..., or as the reference), or another extractor."
        )
    if tuple(data.train.shape[1:]) != shape:
        raise UserError(f"extractor {CLASSIFIER!r}: images of {tuple(data.train.shape[1:])}, expected {shape}.")
    said = json.dumps([asdict(recipe), data.fingerprint, _labels_hash(data), classes, shape])
    name = f"classifiers/{hashlib.sha256(said.encode()).hexdigest()[:32]}.safetensors"
    path = cached(name, lambda: save(train_classifier(data, classes, recipe)))
    with torch.random.fork_rng(devices=[]):
        module = load_into(Classifier(shape, classes, recipe.width), read_weights(path), str(path))
    return extractor_of(NAME, module, shape, fingerprint=state_hash(module.state_dict()))


def _labels_hash(data: ImageData) -> str:
    return hashlib.sha256(data.train_labels.numpy().tobytes()).hexdigest()


def train_classifier(data: ImageData, classes: int, recipe: Recipe) -> dict[str, Tensor]:
    """Cross-entropy, Adam with a linearly falling rate; shifts by up to an eighth, no flips: digits have a side."""
    images, labels = data.train, data.train_labels
    shape = (int(images.shape[1]), int(images.shape[2]), int(images.shape[3]))
    batch = min(recipe.batch, len(images))
    steps = min(recipe.steps, recipe.epochs * max(1, len(images) // batch))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(0, "train", "classifier"))
        model = Classifier(shape, classes, recipe.width).to(memory_format=torch.channels_last)
        optimizer = torch.optim.Adam(model.parameters(), lr=recipe.lr)
        model.train()
        for step in range(steps):
            rng = stream(0, "train", "classifier", step)
            chosen = torch.randperm(len(images), generator=rng)[:batch]
            x = _shifted(centred(images[chosen]), rng)
            loss = F.cross_entropy(model(x)[1], labels[chosen])
            for group in optimizer.param_groups:
                group["lr"] = recipe.lr * (1 - step / steps)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
    return {name: tensor.detach().contiguous() for name, tensor in model.state_dict().items()}


def _shifted(images: Tensor, rng: torch.Generator) -> Tensor:
    """All images of a batch moved alike, what leaves on one side comes in on the other."""
    down, right = (int(torch.randint(-(side // 8), side // 8 + 1, (1,), generator=rng)) for side in images.shape[2:])
    return images.roll((down, right), (2, 3))


@torch.inference_mode()
def accuracy(extractor: Extractor, data: ImageData) -> float:
    """The share of held-out images that it names rightly."""
    _, logits = extractor(data.held_out)
    assert logits is not None
    return float((logits.argmax(1) == data.held_out_labels).float().mean())
