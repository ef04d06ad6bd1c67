"""Whether so many images have a place in memory: asked before the first is read."""

from __future__ import annotations

import contextlib
import math
import os
import resource
from pathlib import Path

from bench.base.errors import UserError

COPIES = 2
"""Images are there twice for a moment: as they were read, and in the parts of the split."""

CGROUP = Path("/sys/fs/cgroup/memory.max")


def check_room(count: int, shape: tuple[int, ...], place: str, advice: str) -> None:
    """Raises UserError where ``count`` arrays of ``shape``, uint8, are more than this process may ever hold."""
    needed, there = COPIES * count * math.prod(shape), memory()
    if needed > there:
        sizes = " x ".join(map(str, shape))
        raise UserError(
            f"{place}: {count:,} x {sizes} values need {needed / 1e9:,.1f} GB of memory, {there / 1e9:,.1f} GB are "
            f"there. {advice}"
        )


def memory() -> int:
    """Bytes that this process may hold at most: the machine's, or what its container or its limits allow."""
    found = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    with contextlib.suppress(OSError, ValueError):  # another system, or "max"
        found.append(int(CGROUP.read_text(encoding="ascii")))
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    found += [limit] if limit != resource.RLIM_INFINITY else []
    return min(found)
