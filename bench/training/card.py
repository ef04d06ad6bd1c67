"""The model card of a training, in words: what `card.json` says, for people."""
# ruff: noqa: E501 - lines of Markdown tables

from __future__ import annotations

from typing import Any

from bench.tasks import Task
from bench.tasks.generation.card import judge_note


def workload_card(card: dict[str, Any], task: Task) -> str:
    """Markdown for the weights of a workload."""
    spec = card["spec"]
    quality, curve = task.card(card)
    settings = ", ".join(f"{name} {value}" for name, value in spec.items())
    hashes = "\n".join(f"| `{part}.safetensors` | `{value}` |" for part, value in card["hashes"].items())
    return f"""# {card["workload"]}

Made by `ganprune train {card["workload"]} --seed {card["seed"]}`. The weights are those of the last step: nothing was
chosen by a metric. G is the moving average with its BatchNorm statistics recomputed; floats are stored in half
precision, and every number below was measured after that rounding.

| | |
|---|---|
| data | `{card["data"]}`, split by hash: {card["training_images"]:,} training images, {card["held_out_images"]:,} held out |
{_note(card)}| data fingerprint | `{card["data_fingerprint"][:16]}` |
| parameters | G {card["parameters"]["generator"]:,}, D {card["parameters"]["discriminator"]:,} |
| steps | {card["steps"]:,}; `rewind` snapshot of G and D at step {card["rewind_step"]:,} |
| training | {settings} |
| time | {card["cpu_seconds"]:,} CPU seconds on one thread{_beside(card)}, torch {card["torch"]} |
| initialisation | seed {card["seed"]}; hash of G `{card["initialisation"][:16]}` |

{quality}

![losses and accuracy of D over the steps, {task.watching.title} where there is a judge](curve.png)

![100 samples](samples.png)

{curve}## Hashes of the stored tensors

| file | SHA-256 |
|---|---|
{hashes}
"""


def _note(card: dict[str, Any]) -> str:
    return f"| about the data | {card['data_note']} |\n" if "data_note" in card else ""


def _beside(card: dict[str, Any]) -> str:
    return f" beside one {card['device_model']}" if "device_model" in card else ""


def judge_card(card: dict[str, Any]) -> str:
    """Markdown for the weights of the feature network."""
    return f"""# {card["extractor"]}

Made by `ganprune train {card["extractor"]} --seed {card["seed"]}`: the feature network that judges the {card.get("judges", "MNIST")} workloads
offline. {card["parameters"]:,} parameters, 64 features, 10 classes.

| | |
|---|---|
| data | `{card["data"]}`, split by hash: {card["training_images"]:,} training images, {card["held_out_images"]:,} held out |
{_note(card)}| data fingerprint | `{card["data_fingerprint"][:16]}` |
| training | {card["epochs"]} epochs, {card["steps"]:,} steps, {card["cpu_seconds"]:.0f} CPU seconds, torch {card["torch"]} |
| accuracy | training {card["accuracy_train"]:.2%}, held out {card["accuracy_held_out"]:.2%} |
| hash | `{card["hashes"]["classifier"]}` |

Weights are stored in half precision; the accuracies were measured after that rounding. {judge_note()}
"""
