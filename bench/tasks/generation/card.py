"""What a model card says of a generator's quality."""
# ruff: noqa: E501 - lines of Markdown tables

from __future__ import annotations

from typing import Any


def quality_words(card: dict[str, Any]) -> str:
    """The table of quality and what the weights are good for."""
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


def curve_words(card: dict[str, Any]) -> str:
    """The learning curve as a section; empty where none was taken."""
    if not card.get("fid_curve"):
        return ""
    rows = "\n".join(f"| {p['step']:,} | {p['fid']:.2f} | {p['is']:.2f} |" for p in card["fid_curve"])
    return f"""## FID curve (N = 2,000)

| step | FID | IS |
|---:|---:|---:|
{rows}

"""


def judge_note() -> str:
    """What must be said of numbers in a small network's features."""
    return "FID in its features is\nrelative to this network: never compare it with FID from another one."
