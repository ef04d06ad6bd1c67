"""Why fine-tuning collapses after a loss-scored mask on `mnist-mlp`: what the mask did to pixels that are always dark.

The output of a dark pixel is saturated, so the gradient there is nearly zero, and a first-order criterion takes the
weights behind it first. D sees it at once. The last column puts the dense generator's dark pixels back, and nothing
else. Seeds are arguments: `python examples/saturated_pixels.py 0 1 2`.
"""

import sys

import torch

from bench.base.machine import one_thread
from bench.base.seeds import stream
from bench.experiments import load_experiment
from bench.sweep.cell import make
from bench.sweep.plan import make_plan, settings_of
from bench.sweep.workshop import Workshop
from bench.tasks.generation.discriminator import says_real
from bench.workloads.generate import generate

STRATEGIES = ["l1-weight-global", "random-weight-global", "taylor-weight-global", "reconstruct-weight-global"]
ALWAYS_DARK = 2
"""A pixel whose mean over the dense generator's images is at most this, of 255."""


def main(seeds: list[int]) -> None:
    """Print, for each seed and strategy at .3, how far dark and other pixels moved and what D calls generated."""
    said = [f"seeds={seeds}", f"strategies={STRATEGIES}", "sparsities=[0.3]", "recovery=['none']"]
    experiment = load_experiment("standard", ["workloads=['mnist-mlp']", *said])
    shop = Workshop(settings_of(experiment))
    gan = shop.load("mnist-mlp", "shipped").gan
    judge, dense = gan.checkpoint.discriminator, gan.checkpoint.generator
    print("dark, other: mean change of a pixel, of 255. D: share that D calls generated")
    print(f"{'strategy':28} seed  dark  other  D: dense  pruned  with dense's dark pixels")
    for todo in make_plan(experiment, shop.settings, shop).todo:
        cell = todo.cell
        if todo.strategy is None:
            continue
        inputs = gan.workload.inputs.sample(500, stream(cell.seed, "eval"))
        before, after = (generate(g, inputs)[0] for g in (dense, make(todo, shop).recovered.generator))
        dark = before.float().mean(0) <= ALWAYS_DARK
        moved = (before.float() - after.float()).abs()
        shown = (before, after, torch.where(dark, before, after))
        fake = [1 - says_real(judge, images) for images in shown]
        where = f"{moved[:, dark].mean():5.1f} {moved[:, ~dark].mean():6.1f}"
        print(f"{cell.strategy:28} {cell.seed:4} {where}  {fake[0]:8.0%} {fake[1]:7.0%} {fake[2]:10.0%}")


if __name__ == "__main__":
    with one_thread():
        main([int(seed) for seed in sys.argv[1:]] or [0, 1, 2])
