"""How long a piece of somebody's work may take and how much memory it may have; what a process has.

Data and clocks. Who ends what is over its limit: `bench.base.containment` in this process; whoever stands above it.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

GIB = 2**30

SHARE = 0.8
"""Of the machine's memory, what one process may have where nothing is said."""

NO_LIMIT = float("inf")


@dataclass(frozen=True)
class Limits:
    """What one cell, or one probe of a workload, may take."""

    seconds: float = 12 * 3600.0
    """A StyleGAN2 that is fine-tuned on one CPU thread takes some hours."""
    memory: int | None = None
    """Resident bytes of its process; None: `SHARE` of the machine's."""

    @property
    def bytes(self) -> float:
        """Resident bytes that it may have."""
        if self.memory is not None:
            return self.memory
        whole = machine_bytes()
        return NO_LIMIT if whole is None else SHARE * whole

    def over(self, seconds: float, resident: int | None) -> str:
        """Why what took so long and has so many bytes is over the limit, as the end of a sentence; '': it is not."""
        if seconds > self.seconds:
            return f"took longer than {self.seconds:g} s (--cell-seconds)"
        if resident is not None and resident > self.bytes:
            return f"needed more than {self.bytes / GIB:.3g} GiB of memory (--cell-memory)"
        return ""


BY_DEFAULT = Limits()

A_CALL = Limits(seconds=300.0)
"""What one call of a user's function may take before there are cells: making a network, a pass of a few images."""

UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}


def parse_bytes(text: str) -> int:
    """``4GiB``, ``500 MB``, ``4G`` or bytes.

    Raises:
        ValueError: with a sentence.
    """
    found = re.fullmatch(r"\s*([0-9]{1,9}(?:\.[0-9]{1,9})?)\s*([kmgt]?i?)b?\s*", text.lower())
    if found is None or found[2] not in UNITS:
        raise ValueError(f"{text!r} is no amount of memory; write 4GiB or 500MB.")
    size = int(float(found[1]) * UNITS[found[2]])
    if size < 2**26:
        raise ValueError(f"{text!r} is less than 64 MiB, and Python with torch alone takes more.")
    return size


def parse_seconds(value: float) -> float:
    """``value`` where it is a time that can be waited for.

    Raises:
        ValueError: with a sentence.
    """
    if not 0 < value < 10**9:
        raise ValueError(f"{value:g} is no time; write seconds above 0.")
    return value


def resident_bytes(pid: int) -> int | None:
    """The resident memory of a process; None where the system does not say (it has ended; it is not Linux)."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_bytes().split()[1])
    except (OSError, IndexError, ValueError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")


def machine_bytes() -> int | None:
    """The memory of this machine, or of the control group of this process; None where the system does not say."""
    found = []
    try:
        found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (ValueError, OSError, AttributeError):
        return None
    for file in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            found.append(int(Path(file).read_text(encoding="ascii")))
        except (OSError, ValueError):  # not there, or 'max'
            continue
    return min(found)
