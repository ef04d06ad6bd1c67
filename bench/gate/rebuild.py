"""A generator built from its sizes, ready to be called.

`ganprune compare` calls `prepare` of BASE's source beside its own, so this file is a contract between revisions:
a revision whose `prepare` takes other arguments cannot be timed against by this one.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping

import torch
from torch import nn

from bench.base.seeds import stream
from bench.measure.backends import BACKENDS
from bench.workloads.builtin import BUILT_IN
from bench.workloads.checkpoints import load_checkpoint
from strategies.layers import widths
from strategies.slicing import shrink


def prepare(
    workload: str,
    checkpoint: str,
    sizes: Mapping[str, Mapping[str, int]],
    expected: Mapping[str, tuple[int, int]],
    *,
    device: str,
    backend: str,
    batch: int,
) -> Callable[[], object]:
    """What is timed: one call of the generator of ``workload``, made smaller, on ``batch`` inputs.

    Args:
        sizes: how many ``out`` and ``in`` channels are left of each resized module. Which ones are kept does not
            matter for time, so the first are.
        expected: the ``[out, in]`` channels of every convolution and linear layer of the network that is meant.

    Raises:
        KeyError: the workload or the backend is not registered here.
        NotApplicable: the backend does nothing for the network.
        ValueError: the network that comes out has other widths: it was changed in a way that sizes do not tell.
    """
    thing = BUILT_IN[workload]
    kept = {module: {side: torch.arange(count) for side, count in sides.items()} for module, sides in sizes.items()}
    network = shrink(_generator(workload, checkpoint), kept)
    found = {name: tuple(width) for name, width in widths(network).items()}
    if found != {name: tuple(width) for name, width in expected.items()}:
        raise ValueError(f"{workload}: the widths {found} are not those of the network that was measured")
    network = network.to(device).eval()
    inputs = tuple(x.to(device) for x in thing.inputs.sample(batch, stream(0, "eval", "latency")))
    BACKENDS[backend].begin()
    with torch.no_grad():
        return BACKENDS[backend].prepare(network, inputs)


@functools.cache
def _generator(workload: str, checkpoint: str) -> nn.Module:
    """Read once a process: a timing builds the same network a dozen times, each a copy in memory of its own."""
    return load_checkpoint(BUILT_IN[workload], checkpoint).generator
