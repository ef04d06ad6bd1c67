"""A 64 x 64 DCGAN at half the channels, timed against itself by every backend: realised beside theoretical speed-up.

    python -m tests.benchmarks.backends [--processes 5] [--batches 1 16] [--backends eager onnx ...]

Every process is a fresh one and times every backend; it, not the block of calls, is the unit of resampling.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from bench.base.machine import device_model
from bench.measure.backends import BACKENDS
from bench.measure.complexity import count_macs
from bench.measure.latency import measure_latency
from strategies.base import Kept
from strategies.layers import prunable_layers
from strategies.slicing import shrink

LATENT = 100


class Dcgan64(nn.Module):
    """The generator of Radford et al. 2016 in the size of PyTorch's example, ``(B, 100) -> (B, 3, 64, 64)``."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        sizes = [8 * width, 4 * width, 2 * width, width]
        layers: list[nn.Module] = [nn.ConvTranspose2d(LATENT, sizes[0], 4, bias=False)]
        for taken, made in itertools.pairwise(sizes):
            layers += [nn.BatchNorm2d(taken), nn.ReLU(), nn.ConvTranspose2d(taken, made, 4, 2, 1, bias=False)]
        layers += [nn.BatchNorm2d(width), nn.ReLU(), nn.ConvTranspose2d(width, 3, 4, 2, 1, bias=False), nn.Tanh()]
        self.net = nn.Sequential(*layers)

    def forward(self, z: Tensor) -> Tensor:
        image: Tensor = self.net(z[:, :, None, None])
        return image


def half_of_the_channels(model: nn.Module) -> Kept:
    """The half of each hidden layer's channels whose filters have the larger L1 norm; the image's channels stay."""
    kept: dict[str, dict[str, Tensor]] = {}
    before: Tensor | None = None
    layers = prunable_layers(model)
    norms = [name for name, module in model.named_modules() if isinstance(module, nn.BatchNorm2d)]
    for (name, layer), norm in zip(layers.items(), [*norms, None], strict=True):
        kept[name] = {} if before is None else {"in": before}
        if norm is not None:
            order = layer.weight.detach().abs().sum((0, 2, 3)).argsort(descending=True)
            before = order[: len(order) // 2].sort().values
            kept[name]["out"] = before
            kept[norm] = {"out": before}
    return kept


@dataclass(frozen=True)
class Way:
    """One backend at one batch size."""

    backend: str
    batch: int


def time_all(ways: Sequence[Way]) -> list[tuple[Way, dict[str, Any]]]:
    """Every way once, in this process."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    dense = Dcgan64().eval()
    pruned = shrink(dense, half_of_the_channels(dense))
    z = torch.randn(max(way.batch for way in ways), LATENT)
    return [(way, measure_latency(dense, pruned, (z,), batch=way.batch, backend=BACKENDS[way.backend])) for way in ways]


def theoretical() -> tuple[int, float]:
    """Parameters of dense, and dense MACs / pruned MACs."""
    dense = Dcgan64().eval()
    pruned = shrink(dense, half_of_the_channels(dense))
    macs = [count_macs(model, (torch.zeros(1, LATENT),)).dense for model in (dense, pruned)]
    return sum(p.numel() for p in dense.parameters()), macs[0] / macs[1]


def rows_of(found: Sequence[tuple[Way, dict[str, Any]]], ways: Sequence[Way]) -> list[list[str]]:
    """A row for each way: medians over the processes, and the lowest and the highest."""
    rows = []
    for way in ways:
        mine = [fields for other, fields in found if other == way]
        ok = [fields for fields in mine if fields["status"] == "ok"]
        cpu = [fields["speedup_cpu"] for fields in mine if fields["speedup_cpu"] is not None]
        rows.append(
            [
                way.backend,
                str(way.batch),
                _spread([fields["speedup"] for fields in ok], "x"),
                _spread(cpu, "x"),
                _spread([fields["dense_ms"] for fields in ok]),
                _spread([fields["pruned_ms"] for fields in ok]),
                _spread([f["prepare_dense_seconds"] for f in mine if f.get("prepare_dense_seconds") is not None]),
                f"{len(ok)} of {len(mine)}" if cpu else f"{mine[0]['status']}: {mine[0]['reason']}",
            ]
        )
    return rows


HEADERS = [
    "backend", "batch", "realised", "by CPU time", "dense (ms)", "pruned (ms)", "to prepare dense (s)", "undisturbed",
]  # fmt: skip


def _spread(values: Sequence[float], unit: str = "") -> str:
    if not values:
        return "—"
    middle, low, high = statistics.median(values), min(values), max(values)
    return f"{middle:.3g}{unit}" if len(values) == 1 else f"{middle:.3g}{unit} ({low:.3g} to {high:.3g})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--processes", type=int, default=3)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--backends", nargs="+", default=list(BACKENDS), choices=list(BACKENDS))
    given = parser.parse_args()
    ways = [Way(backend, batch) for batch in given.batches for backend in given.backends]
    parameters, promised = theoretical()
    context = multiprocessing.get_context("spawn")
    found = []
    for _ in range(given.processes):
        with context.Pool(1) as pool:  # one after the other: each is alone
            found += pool.apply(time_all, (ways,))
    print(f"DCGAN 64 x 64, {parameters:,} parameters, half of the channels; theoretical {promised:.2f}x.")
    print(f"{device_model()}, one thread, torch {torch.__version__}, {given.processes} processes.\n")
    for line in (HEADERS, ["---"] * len(HEADERS), *rows_of(found, ways)):
        print("| " + " | ".join(line) + " |")


if __name__ == "__main__":
    main()
