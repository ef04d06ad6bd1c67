"""What an interval of a paired difference costs, here and by the best script a careful user writes:
`python -m tests.benchmarks.width`.

The script judges each network by `torch_fidelity.calculate_metrics` with the real side cached and no loader processes,
on the same latents for both networks of a seed, and takes the t interval of the differences over three seeds. Here the
error comes from the images. Both make the same networks in the same way, each cut once; both have their set-up
(imports, weights, real images) behind them when the clock starts. CPU seconds are those of the process and its
children.

Both widths fall with the root of the number of seeds, so for the width of three seeds of the script it takes here
``(width here / width of the script)^2`` of the seconds that three seeds take here. (The script could go on too, and its
quantile would fall: that it needs for our width is given beside, from the spread of its own differences.)
"""

from __future__ import annotations

import argparse
import contextlib
import io
import itertools
import math
import os
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
import torch_fidelity
from scipy.special import ndtri, stdtrit
from torch import nn

from bench.base.machine import one_thread
from bench.base.seeds import stream
from bench.records import Cell
from bench.statistics import Difference, difference, estimated
from bench.sweep.cell import make
from bench.sweep.settings import Settings
from bench.sweep.workshop import Workshop
from bench.workloads.generate import generate
from strategies.builtin import DENSE
from tests.benchmarks.obvious import NAME, Images, LeNetExtractor

WORKLOAD = "mnist-dcgan"
PAIRS = (
    ("l1-weight-global", 0.5, "bn-recalibrate"),
    ("l1-weight-global", 0.5, "none"),
    ("l1-channel-global", 0.2, "bn-recalibrate"),
)
"""What is compared with dense: near the floor twice, and well above it."""
RUN = 3
FAMILY = 10
"""Comparisons of a run, for the intervals that are corrected by Bonferroni."""


@dataclass
class Measured:
    """Of one way to judge: seconds of a seed (both networks), differences, and the variance that images give them."""

    seconds: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    images: list[float] = field(default_factory=list)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--images", type=int, default=1_000)
    asked = parser.parse_args()
    if NAME not in torch_fidelity.registry.FEATURE_EXTRACTORS_REGISTRY:
        torch_fidelity.register_feature_extractor(NAME, LeNetExtractor)
    shop = Workshop(Settings(num_images=asked.images, metrics=("fid",), curve=False))
    print(f"| {WORKLOAD}: dense and | script: CPU s a seed | half width | here: CPU s a seed | half width | ", end="")
    print("times fewer CPU s for the script's width | of ten comparisons | seeds of the script for our width |")
    print("|---|---|---|---|---|---|---|---|")
    with one_thread(), tempfile.TemporaryDirectory() as cache:
        for pair in PAIRS:
            script, here = _measure(shop, pair, asked.seeds, cache)
            print(_row(pair, script, here), flush=True)


def _measure(shop: Workshop, pair: tuple[str, float, str], seeds: int, cache: str) -> tuple[Measured, Measured]:
    script, here = Measured(), Measured()
    for seed in range(-1, seeds):  # the first pays for what is made once: cuts, the real side of both
        for into, judged in ((script, _by_script), (here, _here)):
            before = _cpu()
            value, images = judged(shop, pair, max(seed, 0), cache)
            if seed >= 0:
                into.seconds.append(_cpu() - before)
                into.values.append(value)
                into.images.append(images)
    return script, here


def _cell(pair: tuple[str, float, str], seed: int, *, dense: bool) -> Cell:
    strategy, level, recovery = pair
    return Cell(
        workload=WORKLOAD,
        strategy=DENSE if dense else strategy,
        level={"sparsity": 0.0 if dense else level},
        recovery=recovery,
        seed=seed,
    )


def _network(shop: Workshop, cell: Cell) -> nn.Module:
    return make(shop.resolve(cell), shop, watch=False).recovered.generator


def _by_script(shop: Workshop, pair: tuple[str, float, str], seed: int, cache: str) -> tuple[float, float]:
    found = []
    gan = shop.load(WORKLOAD, "shipped").gan
    for dense in (True, False):
        generator = _network(shop, _cell(pair, seed, dense=dense))
        inputs = gan.workload.inputs.sample(shop.settings.num_images, stream(seed, "eval"))
        images, _ = generate(generator, inputs)
        with contextlib.redirect_stderr(io.StringIO()):
            metrics = torch_fidelity.calculate_metrics(
                input1=Images(images),
                input2=Images(gan.data.train),
                input2_cache_name="real",
                cache_root=cache,
                cuda=False,
                save_cpu_ram=True,
                fid=True,
                feature_extractor=NAME,
                verbose=False,
            )
        found.append(metrics["frechet_inception_distance"])
    return found[1] - found[0], math.nan


def _here(shop: Workshop, pair: tuple[str, float, str], seed: int, cache: str) -> tuple[float, float]:
    found = []
    for dense in (True, False):
        todo = shop.resolve(_cell(pair, seed, dense=dense))
        judge = todo.loaded.judge
        seen = judge.see(make(todo, shop, watch=False).recovered.generator, judge.draw(seed))
        name = f"fid-inf[{judge.name}]"
        value = judge.numbers(seen)[name].value
        assert value is not None
        found.append((float(value), judge.contributions(seen)[name]))
    (base, before), (pruned, after) = found
    both = difference(after, before)
    assert both is not None
    return pruned - base, both.variance


def _cpu() -> float:
    return sum(os.times()[:4])


def _row(pair: tuple[str, float, str], script: Measured, here: Measured) -> str:
    strategy, level, recovery = pair
    varies = frozenset() if recovery == "none" else frozenset({"calibrate"})
    theirs, theirs_of_ten = _mean(script, lambda values, _: _t(values, 0.05), lambda v, _: _t(v, 0.05 / FAMILY))
    ours, ours_of_ten = _mean(
        here, lambda v, i: _ours(v, i, varies, 0.05), lambda v, i: _ours(v, i, varies, 0.05 / FAMILY)
    )
    a_seed, their_seed = statistics.fmean(here.seconds), statistics.fmean(script.seconds)
    fewer = their_seed / a_seed * (theirs / ours) ** 2
    of_ten = their_seed / a_seed * (theirs_of_ten / ours_of_ten) ** 2
    return (
        f"| `{strategy}` {level:g}, {recovery} | {their_seed:.2f} | {theirs:.2f} | {a_seed:.2f} | {ours:.2f} | "
        f"{fewer:.1f} | {of_ten:.0f} | {_needed(statistics.stdev(script.values), ours)} |"
    )


def _mean(found: Measured, *widths: Callable[[list[float], list[float]], float]) -> list[float]:
    """The root mean square of each half width over all runs of three of the seeds."""
    runs = list(itertools.combinations(range(len(found.values)), RUN))
    return [
        math.sqrt(statistics.fmean(w([found.values[i] for i in r], [found.images[i] for i in r]) ** 2 for r in runs))
        for w in widths
    ]


def _t(values: list[float], error: float) -> float:
    n = len(values)
    return float(stdtrit(n - 1, 1 - error / 2)) * statistics.stdev(values) / math.sqrt(n)


def _ours(values: list[float], images: list[float], varies: frozenset[str], error: float) -> float:
    (estimate,) = estimated([Difference(tuple(values), tuple(images), None, 1.0, varies)])
    assert estimate is not None
    quantile = ndtri(1 - error / 2) if math.isinf(estimate.degrees) else stdtrit(estimate.degrees, 1 - error / 2)
    return float(quantile) * estimate.error


def _needed(spread: float, width: float) -> int:
    """Seeds that the script's t interval needs to be as narrow."""
    n = 2
    while float(stdtrit(n - 1, 0.975)) * spread / math.sqrt(n) > width:
        n += 1
    return n


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
