"""Named random streams."""

from __future__ import annotations

import hashlib
from itertools import permutations

import pytest
import torch

from bench.base.seeds import ROLES, derive, stream, varies_name


def test_a_stream_is_the_hash_of_its_name() -> None:
    """Written out, so that nobody changes every number there is without a failing test."""
    digest = hashlib.sha256(b"ganprune/7/train/epoch/3").digest()
    assert derive(7, "train", "epoch", 3) == int.from_bytes(digest[:8], "big") // 2
    assert derive(0, "prune") == 5103339090549266045


def test_seeds_fit_into_what_torch_takes() -> None:
    assert all(0 <= derive(seed, role) < 2**63 for seed in range(200) for role in ROLES)


def test_the_same_stream_draws_the_same() -> None:
    assert torch.equal(torch.rand(5, generator=stream(1, "eval")), torch.rand(5, generator=stream(1, "eval")))


def test_every_seed_role_and_path_has_a_stream_of_its_own() -> None:
    names = [(s, r, *p) for s in range(5) for r in ROLES for p in [(), ("epoch", 0), ("epoch", 1), (1,), (11,), (1, 1)]]
    drawn = {tuple(torch.rand(3, generator=stream(*name)).tolist()) for name in names}  # type: ignore[arg-type]
    assert len(drawn) == len(names)


def test_one_stream_does_not_move_another() -> None:
    alone = torch.rand(5, generator=stream(0, "eval"))
    torch.rand(100, generator=stream(0, "prune"))
    torch.rand(100)
    assert torch.equal(torch.rand(5, generator=stream(0, "eval")), alone)


def test_a_stream_leaves_the_global_state_alone() -> None:
    before = torch.get_rng_state()
    torch.rand(5, generator=stream(0, "train"))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("roles", "name"),
    [
        (set(), ""),
        ({"eval"}, "eval"),
        ({"eval", "calibrate"}, "calibrate+eval"),
        ({"train", "eval", "prune"}, "prune+train+eval"),
        (set(ROLES), "prune+calibrate+train+eval"),
    ],
)
def test_what_varies_is_joined_in_the_order_of_a_cell(roles: set[str], name: str) -> None:
    for order in permutations(roles):
        assert varies_name(set(order)) == name
    assert varies_name(frozenset(roles)) == name
