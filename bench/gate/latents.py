"""Which evaluation inputs a seed stands for, as a hash: two sides are paired only where they used the same."""

from __future__ import annotations

import functools
import hashlib

from bench.base.seeds import stream
from bench.workloads.builtin import BUILT_IN


@functools.cache
def inputs_hash(workload: str, seed: int, num_images: int) -> str | None:
    """A short hash of the evaluation inputs; None for a workload that is not registered here."""
    if workload not in BUILT_IN:
        return None
    digest = hashlib.sha256()
    for tensor in BUILT_IN[workload].inputs.sample(num_images, stream(seed, "eval")):
        digest.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
