"""Named random streams: every number drawn anywhere comes from one of them.

A seed feeds independent streams that are told apart by their *role*. The streams are hashed, not
offset, so a new role never shifts another one, and two strategies that are given the same seed are
evaluated on the very same latents.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    import torch

Role = Literal["prune", "calibrate", "train", "eval"]

ROLES: tuple[Role, ...] = get_args(Role)
"""The roles in the order in which a cell uses them; `varies` is joined in this order."""


def derive(seed: int, role: str, *path: str | int) -> int:
    """A 63-bit seed for the stream ``role`` of ``seed``; ``path`` names sub-streams (a step, an epoch)."""
    text = "/".join(["ganprune", str(int(seed)), role, *map(str, path)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def stream(seed: int, role: str, *path: str | int) -> torch.Generator:
    """A fresh CPU generator for that stream. Draw on the CPU and move: devices must not change the draw."""
    import torch

    return torch.Generator().manual_seed(derive(seed, role, *path))


def varies_name(roles: set[str] | frozenset[str]) -> str:
    """``{'eval', 'calibrate'}`` -> ``'calibrate+eval'``: what the spread over seeds is a spread of."""
    return "+".join(role for role in ROLES if role in roles)
