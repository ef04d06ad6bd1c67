"""What is tried on a network before a group of channels may be pruned."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from strategies.granularity import wiring
from strategies.granularity.proof import PROBE_TOLERANCE, Prover

INPUTS = (torch.randn(2, 3, generator=torch.Generator().manual_seed(0)),)


class Counted(nn.Sequential):
    """Layers that know how often they ran."""

    calls = 0

    def forward(self, x: Tensor) -> Tensor:
        Counted.calls += 1
        return super().forward(x)  # type: ignore[no-any-return]


def network(*widths: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for into, out in pairwise(widths):
        layers += [nn.Linear(into, out), nn.LeakyReLU(0.5)]
    return Counted(*layers[:-1]).eval()


def test_a_group_of_two_channels_can_lose_one() -> None:
    model = network(3, 2, 5, 4)
    groups, _ = wiring.find(model, INPUTS)
    proven, refused = Prover(model, INPUTS).prove(groups)
    assert [(group.name, group.size) for group in proven] == [("0", 2), ("2", 5)]
    assert refused == {}


def test_a_proof_takes_eight_forward_passes_where_all_is_well() -> None:
    model = network(3, 6, 5, 4)
    groups, _ = wiring.find(model, INPUTS)
    Counted.calls = 0
    Prover(model, INPUTS).prove(groups)
    assert Counted.calls == 8


def test_what_is_tried_is_the_same_each_time_from_no_channel_to_all_but_one(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[dict[str, Tensor]] = []

    def noted(self: Prover, groups: Any, removed: dict[str, Tensor]) -> None:
        tried.append(removed)

    monkeypatch.setattr(Prover, "_try", noted)
    model = network(3, 2, 3, 4)
    groups, _ = wiring.find(model, INPUTS)
    for _ in range(2):
        Prover(model, INPUTS).prove(groups)
    assert len(tried) == 8
    found = [{name: removed.tolist() for name, removed in one.items()} for one in tried]
    assert found[:4] == found[4:]
    assert found[3] == {"0": [0], "2": [0, 1]}
    rng = torch.Generator().manual_seed(0)
    for one in found[:3]:
        for name, size in (("0", 2), ("2", 3)):
            count = int(torch.randint(0, size, (1,), generator=rng))
            assert one[name] == torch.randperm(size, generator=rng)[:count].tolist()
    assert any(removed == [] for one in found for removed in one.values())


@pytest.mark.parametrize(("error", "allowed"), [(0.9e-9, True), (1.1e-9, False)])
def test_a_difference_from_the_masked_twin_is_allowed_up_to_one_in_a_billion(
    error: float, allowed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert PROBE_TOLERANCE == 1e-9
    monkeypatch.setattr("strategies.granularity.proof.twin_error", lambda *_: error)
    model = network(3, 6, 5, 4)
    groups, _ = wiring.find(model, INPUTS)
    proven, refused = Prover(model, INPUTS).prove(groups)
    assert bool(proven) is allowed and bool(refused) is not allowed
