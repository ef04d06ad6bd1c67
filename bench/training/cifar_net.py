"""Training the feature network that judges the CIFAR-10 workload."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.base.layout import channels_last
from bench.base.seeds import derive, stream
from bench.tasks.generation.judge_networks import CifarNet
from bench.training.loop import translate
from bench.workloads.data import ImageData
from bench.workloads.networks import parameter_total
from bench.workloads.store import half, load_into, state_hash

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class NetRecipe:
    """How the classifier is trained: cross-entropy, AdamW, a rate that rises for 5 % of the steps and falls to zero."""

    epochs: int = 40
    batch: int = 512
    lr: float = 6e-3
    weight_decay: float = 0.05
    smoothing: float = 0.1
    """Label smoothing."""
    shift: int = 3
    """Images are moved by up to so many pixels, and half of them mirrored."""
    precision: str = "bf16"


def train_cifar_net(
    data: ImageData,
    *,
    seed: int = 0,
    recipe: NetRecipe | None = None,
    device: torch.device | str = "cpu",
    progress: Progress | None = None,
) -> tuple[CifarNet, dict[str, Tensor], dict[str, Any]]:
    """Train on the training images of ``data``; the held-out ones are looked at once, after the last step.

    Returns:
        The network on the CPU in eval mode with its weights rounded to half precision, those, and its card.
    """
    recipe, start = recipe or NetRecipe(), time.perf_counter()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, "train", "init"))
        model = channels_last(CifarNet()).to(device)
    images, labels = data.train.to(device), data.train_labels.to(device)
    per_epoch = len(images) // recipe.batch
    steps = recipe.epochs * per_epoch
    fused = torch.device(device).type == "cuda"
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.lr, weight_decay=recipe.weight_decay, fused=fused)
    for step in range(steps):
        epoch, position = divmod(step, per_epoch)
        if position == 0:
            order = torch.randperm(len(images), generator=stream(seed, "train", "epoch", epoch)).to(device)
        chosen = order[position * recipe.batch : (position + 1) * recipe.batch]
        x = varied(images[chosen], recipe.shift, stream(seed, "train", "shift", step))
        for group in optimizer.param_groups:
            group["lr"] = recipe.lr * min((step + 1) / (0.05 * steps), (1 - step / steps) / 0.95)
        model.train()
        with torch.autocast(x.device.type, torch.bfloat16, enabled=recipe.precision == "bf16"):
            loss = F.cross_entropy(model(x)[1].float(), labels[chosen], label_smoothing=recipe.smoothing)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        if progress and step % per_epoch == per_epoch - 1:
            progress(step + 1, steps, f"loss {loss.item():.3f}")
    state = half(model.state_dict())
    shipped = CifarNet()
    load_into(shipped, state, "cifar-net")
    shipped.eval().requires_grad_(False)
    card = {
        "extractor": "cifar-net",
        "data": data.name,
        "data_fingerprint": data.fingerprint,
        "training_images": len(data.train),
        "held_out_images": len(data.held_out),
        "seed": seed,
        **asdict(recipe),
        "steps": steps,
        "seconds": round(time.perf_counter() - start, 1),
        "parameters": parameter_total(shipped),
        "accuracy_train": round(accuracy(shipped, data.train, data.train_labels, device), 4),
        "accuracy_held_out": round(accuracy(shipped, data.held_out, data.held_out_labels, device), 4),
        "hashes": {"classifier": state_hash(state)},
        "torch": torch.__version__.split("+")[0],
    }
    return shipped.cpu(), state, card


def varied(images: Tensor, reach: int, rng: torch.Generator) -> Tensor:
    """uint8 images as floats in [-1, 1], each moved by up to ``reach`` pixels, about half of them mirrored."""
    moves = torch.randint(0, 2 * reach + 1, (len(images), 2), generator=rng).to(images.device)
    mirrored = (torch.rand(len(images), generator=rng) < 0.5).to(images.device)
    x = translate(images.float().div_(127.5).sub_(1), moves, reach)
    x = torch.where(mirrored[:, None, None, None], x.flip(3), x)
    return x.contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def accuracy(model: CifarNet, images: Tensor, labels: Tensor, device: torch.device | str = "cpu") -> float:
    """The share of uint8 images that the network, left on ``device``, names rightly."""
    model.to(device)
    right = 0
    for part, names in zip(images.split(1_000), labels.split(1_000), strict=True):
        found = model(part.to(device).float().div_(127.5).sub_(1))[1].argmax(1)
        right += int((found == names.to(device)).sum())
    return right / max(1, len(labels))
