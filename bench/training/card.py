"""The model card of a training, in words: what `card.json` says, for people."""
# ruff: noqa: E501 - lines of Markdown tables

from __future__ import annotations

from typing import Any


def workload_card(card: dict[str, Any]) -> str:
    """Markdown for the weights of a workload."""
    spec = card["spec"]
    settings = ", ".join(f"{name} {value}" for name, value in spec.items())
    hashes = "\n".join(f"| `{part}.safetensors` | `{value}` |" for part, value in card["hashes"].items())
    return f"""# {card["workload"]}

Made by `ganprune train {card["workload"]} --seed {card["seed"]}`. The weights are those of the last step: nothing was
chosen by a metric. G is the moving average with its BatchNorm statistics recomputed; floats are stored in half
precision, and every number below was measured after that rounding.

| | |
|---|---|
| data | `{card["data"]}`, split by hash: {card["training_images"]:,} training images, {card["held_out_images"]:,} held out |
| data fingerprint | `{card["data_fingerprint"][:16]}` |
| parameters | G {card["parameters"]["generator"]:,}, D {card["parameters"]["discriminator"]:,} |
| steps | {card["steps"]:,}; `rewind` snapshot of G and D at step {card["rewind_step"]:,} |
| training | {settings} |
| time | {card["cpu_seconds"]:,} CPU seconds on one thread, torch {card["torch"]} |
| initialisation | seed {card["seed"]}; hash of G `{card["initialisation"][:16]}` |

{_quality(card)}

![losses and accuracy of D over the steps, FID where there is a judge](curve.png)

![100 samples](samples.png)

{_curve(card)}## Hashes of the stored tensors

| file | SHA-256 |
|---|---|
{hashes}
"""


def _quality(card: dict[str, Any]) -> str:
    """The table of quality and what it is good for."""
    if "fid" not in card:
        return (
            "Its quality was not measured: the images have no labels that a judge could learn from. Look at the samples.\n\n"
            f"It knows {card['training_images']:,} images."
        )
    return f"""| measured with `{card["extractor"]}`, N = {card["num_images"]:,} | |
|---|---|
| FID to the training images | {card["fid"]:.2f} |
| FID to the held-out images | {card["fid_held_out"]:.2f} |
| FID to as many training images | {card["fid_train_subset"]:.2f} |
| IS | {card["is"]:.2f} (real images {card["is_real"]:.2f}) |

Intended use: a small, honest workload for comparing pruning strategies, not a model of its subject: it knows
{card["training_images"]:,} images. FID and IS here are relative to a small network (`{card["extractor"]}`) and are not
comparable with Inception's."""


def _curve(card: dict[str, Any]) -> str:
    if not card.get("fid_curve"):
        return ""
    rows = "\n".join(f"| {p['step']:,} | {p['fid']:.2f} | {p['is']:.2f} |" for p in card["fid_curve"])
    return f"""## FID curve (N = 2,000)

| step | FID | IS |
|---:|---:|---:|
{rows}

"""


def judge_card(card: dict[str, Any]) -> str:
    """Markdown for the weights of the feature network."""
    return f"""# {card["extractor"]}

Made by `ganprune train {card["extractor"]} --seed {card["seed"]}`: the feature network that judges the MNIST workloads
offline. {card["parameters"]:,} parameters, 64 features, 10 classes.

| | |
|---|---|
| data | `{card["data"]}`, split by hash: {card["training_images"]:,} training images, {card["held_out_images"]:,} held out |
| data fingerprint | `{card["data_fingerprint"][:16]}` |
| training | {card["epochs"]} epochs, {card["steps"]:,} steps, {card["cpu_seconds"]:.0f} CPU seconds, torch {card["torch"]} |
| accuracy | training {card["accuracy_train"]:.2%}, held out {card["accuracy_held_out"]:.2%} |
| hash | `{card["hashes"]["classifier"]}` |

Weights are stored in half precision; the accuracies were measured after that rounding. FID in its features is
relative to this network: never compare it with FID from another one.
"""
