"""The parts of the script on peers, on networks that take no time; what the peers do is in its output alone."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bench.workloads.networks import DummyGenerator
from tests.benchmarks import peers
from tests.benchmarks.peers import Subject, colour_subject


def tiny() -> Subject:
    """Two transposed convolutions with a BatchNorm between: 8 to 4 channels at 3 x 3, 4 to 3 at 6 x 6."""

    def make() -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            last = nn.ConvTranspose2d(4, 3, 4, 2, 1)
            return nn.Sequential(nn.ConvTranspose2d(8, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), last).eval()

    return Subject(make, (torch.zeros(1, 8, 1, 1),))


def test_the_closed_form_counts_the_places_that_a_weight_is_laid_on() -> None:
    assert peers.macs_by_hand(tiny().make(), tiny().inputs) == 8 * 4 * 9 * 1 + 4 * 3 * 16 * 9
    assert peers.macs_by_hand(nn.Sequential(nn.Linear(3, 5)), (torch.zeros(1, 3),)) == 15
    convolution = nn.Conv2d(2, 3, 3, stride=2)
    assert peers.macs_by_hand(convolution, (torch.zeros(1, 2, 7, 7),)) == 2 * 3 * 9 * 9


def test_a_peer_that_is_not_there_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> float:
        raise ImportError("thop")

    monkeypatch.setattr(peers, "COUNTERS", {"ganprune": peers.COUNTERS["ganprune"], "thop": missing})
    found = peers.counts({"tiny": tiny()})
    hand, own, thop = found.rows
    assert own.cells[0].startswith(hand.cells[0]) and own.cells[0].endswith("(1 x)")
    assert thop.cells == ("not installed",)
    assert "| thop | not installed |" in found.text()
    monkeypatch.setattr(peers, "PACKAGES", ("torch", "no-such-package"))
    assert peers.versions() == f"torch {torch.__version__.split('+')[0]}, no-such-package not installed"


def test_masks_are_of_what_they_are_asked_for() -> None:
    subject, dense = tiny(), tiny().make()
    for way in (peers.masked_globally, peers.masked_by_layer):
        model = peers.made_permanent(way(subject))
        assert peers.removed(dense, model) == pytest.approx(0.5)
        assert peers.zero_scales(model) == (0, 4)
    assert peers.zero_scales(peers.made_permanent(peers.masked_by_layer(subject, scales=True))) == (2, 4)
    first, last = (
        layer.weight for layer in peers.layers_of(peers.made_permanent(peers.masked_channels(subject, dim=1)))
    )
    assert (first.flatten(2).abs().sum((0, 2)) == 0).sum() == 2 and last.count_nonzero() == last.numel()


def test_cut_networks_are_measured_as_they_are() -> None:
    subject = colour_subject(channels=4)
    found = peers.pruned("tiny", subject, peers.WAYS[:2])
    assert [row.tool for row in found.rows] == ["dense", *(name for name, _ in peers.WAYS[:2])]
    dense, _, kept = (dict(zip(found.headers, row.cells, strict=True)) for row in found.rows)
    assert dense["weights gone"] == "0.000" and dense["image"] == kept["image"] == "3x64x64"
    assert dense["output channels"] == "32-16-8-4-3" and kept["output channels"] == "16-8-4-2-3"
    assert float(kept["weights gone"]) > 0.5
    ratio, share = peers.mended(subject)
    assert 0 < ratio < 0.5 and share == pytest.approx(0.5, abs=0.2)


def test_a_shipped_strategy_stands_beside_them_at_the_share_that_is_asked_for() -> None:
    subject = Subject(lambda: DummyGenerator().eval(), (torch.zeros(1, 8),))
    dense = subject.make()
    fixed = Subject(lambda: dense, subject.inputs)
    assert peers.removed(dense, peers.ours(fixed, "l1-weight-global", 0.5)) == pytest.approx(0.5, abs=0.01)


def test_what_masks_do_to_an_object_is_said() -> None:
    found = {row.tool: row.cells[0] for row in peers.behaviour(tiny()).rows}
    assert found["parameters() count"] == "495 of 495"
    assert found["copy.deepcopy after prune.remove"] == "works"
