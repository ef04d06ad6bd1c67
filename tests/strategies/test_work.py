"""MACs by the weight that they read, in closed form, and targets of MACs that are met as they are counted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from bench.measure.complexity import count_macs
from strategies.base import Infeasible
from strategies.builtin import STRATEGIES
from strategies.granularity import graph
from strategies.granularity.channel import ChannelRanking
from strategies.slicing import shrink
from strategies.work import work_of
from tests.strategies.nets import context as context_of

Z = (torch.randn(1, 16, generator=torch.Generator().manual_seed(0)),)


class Patches(nn.Module):
    """Patches are folded into the batch: a convolution sees four maps for each image."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Linear(16, 512)
        self.a, self.b, self.image = nn.Conv2d(8, 16, 3, padding=1), nn.Conv2d(16, 8, 3, padding=1), nn.Conv2d(8, 3, 1)

    def forward(self, z: Tensor) -> Tensor:
        x = self.b(torch.relu(self.a(self.stem(z).view(len(z) * 4, 8, 4, 4))))
        return torch.tanh(self.image(x)).view(len(z), 2, 2, 3, 4, 4).permute(0, 3, 1, 4, 2, 5).reshape(len(z), 3, 8, 8)


class Constant(nn.Module):
    """A layer reads a learned constant, once whatever the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.constant = nn.Parameter(torch.randn(1, 32))
        self.style, self.stem = nn.Linear(32, 256), nn.Linear(16, 256)
        self.a, self.image = nn.Conv2d(16, 16, 3, padding=1), nn.Conv2d(16, 3, 1)

    def forward(self, z: Tensor) -> Tensor:
        x = (self.stem(z) + self.style(self.constant)).view(len(z), -1, 4, 4)
        return torch.tanh(self.image(torch.relu(self.a(x))))


class Tokens(nn.Module):
    """PyTorch's attention gives the weight of its last layer to a function, and never calls the layer."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Linear(16, 256)
        self.attention = nn.MultiheadAttention(16, 4, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16))
        self.image = nn.Conv2d(16, 3, 1)

    def forward(self, z: Tensor) -> Tensor:
        x = self.stem(z).view(len(z), 16, 16)
        x = x + self.attention(x, x, x, need_weights=False)[0]
        return torch.tanh(self.image((x + self.mlp(x)).transpose(1, 2).reshape(len(z), 16, 4, 4)))


class Often(nn.Module):
    """One layer runs three times, at two resolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.a, self.image = nn.Linear(16, 128), nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 3, 1)

    def forward(self, z: Tensor) -> Tensor:
        x = torch.relu(self.a(torch.relu(self.a(self.stem(z).view(len(z), -1, 4, 4)))))
        return torch.tanh(self.image(torch.relu(self.a(functional.interpolate(x, scale_factor=2.0)))))


class Modulated(nn.Module):
    """StyleGAN2's convolution: a weight for each image, demodulated, and a fixed blur behind it."""

    def __init__(self, into: int, out: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(1, out, into, 3, 3))
        self.style = nn.Linear(16, into)

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        batch, width, *size = x.shape
        weight = self.weight * 0.1 * (1 + self.style(z)).view(batch, 1, width, 1, 1)
        weight = weight * weight.pow(2).sum((2, 3, 4), keepdim=True).add(1e-8).rsqrt()
        y = functional.conv2d(x.reshape(1, -1, *size), weight.flatten(0, 1), padding=1, groups=batch)
        y = y.view(batch, -1, *size)
        return functional.conv2d(y, torch.ones(y.shape[1], 1, 3, 3) / 9, padding=1, groups=y.shape[1])


class Styled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.constant = nn.Parameter(torch.randn(1, 8, 4, 4))
        self.a, self.b, self.image = Modulated(8, 8), Modulated(8, 8), nn.Conv2d(8, 3, 1)

    def forward(self, z: Tensor) -> Tensor:
        x = torch.relu(self.a(self.constant.expand(len(z), -1, -1, -1), z))
        return torch.tanh(self.image(torch.relu(self.b(x, z))))


class Functional(nn.Module):
    """Weights of modules that are never called: as ``.data``, in another precision, permuted, joined, in parts."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.q, self.k = nn.Linear(16, 128), nn.Linear(16, 8, bias=False), nn.Linear(16, 8, bias=False)
        self.a, self.image = nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 3, 1)

    def forward(self, z: Tensor) -> Tensor:
        half = functional.linear(z, self.stem.weight[:64])
        rest = z @ self.stem.weight.data[64:].t()
        both = functional.linear(z, torch.cat([self.q.weight, self.k.weight]))
        x = torch.cat([half, rest], 1).view(len(z), 8, 4, 4) + both.sum()
        weight = self.a.weight.bfloat16().permute(0, 1, 3, 2).contiguous().float()
        return torch.tanh(self.image(torch.conv2d(x, weight, padding=1)))


class SelfAttention(nn.Module):
    """SAGAN's: products of features with features, which become fewer with the channels of queries and keys."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.q, self.k = nn.Linear(16, 256), nn.Conv2d(16, 8, 1), nn.Conv2d(16, 8, 1)
        self.a, self.image = nn.Conv2d(16, 16, 3, padding=1), nn.Conv2d(16, 3, 1)

    def forward(self, z: Tensor) -> Tensor:
        x = torch.relu(self.a(self.stem(z).view(len(z), -1, 4, 4)))
        weights = (self.q(x).flatten(2).transpose(1, 2) @ self.k(x).flatten(2)).softmax(-1)
        return torch.tanh(self.image(x + (x.flatten(2) @ weights.transpose(1, 2)).view_as(x)))


MLP = {"stem": 16 * 128, "a": 64 * 9 * 16, "image": 8 * 3 * 16}
CASES: dict[str, tuple[Callable[[], nn.Module], dict[str, int], int]] = {
    "patches": (Patches, {"stem": 8192, "a": 4 * 16 * 1152, "b": 4 * 16 * 1152, "image": 4 * 16 * 24}, 0),
    "constant": (Constant, {"style": 8192, "stem": 4096, "a": 16 * 2304, "image": 16 * 48}, 0),
    "tokens": (
        Tokens,
        {"stem": 4096, "attention.out_proj": 16 * 256, "mlp.0": 16 * 512, "mlp.2": 16 * 512, "image": 16 * 48},
        16 * 16 * 48 + 2 * 16 * 16 * 16,  # queries, keys and values; their products
    ),
    "often": (Often, {"stem": 16 * 128, "a": (16 + 16 + 64) * 576, "image": 64 * 24}, 0),
    "styled": (
        Styled,
        {"a": 16 * 576, "a.style": 128, "b": 16 * 576, "b.style": 128, "image": 16 * 24},
        2 * 8 * 9 * 16,
    ),
    "functional": (Functional, {"stem": 2048, "q": 128, "k": 128, "a": 16 * 576, "image": 16 * 24}, 0),
    "self-attention": (
        SelfAttention,
        {"stem": 4096, "q": 16 * 128, "k": 16 * 128, "a": 16 * 2304, "image": 16 * 48},
        16 * 16 * 8 + 16 * 16 * 16,
    ),
}
cases = pytest.mark.parametrize("case", list(CASES))


def made(case: str) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return CASES[case][0]().eval()


@cases
@pytest.mark.parametrize("batch", [1, 3])
def test_macs_belong_to_the_weight_that_they_read(case: str, batch: int) -> None:
    _, by_layer, outside = CASES[case]
    work = work_of(made(case), tuple(x.repeat(batch, 1) for x in Z))
    assert (dict(sorted(work.by_layer.items())), work.outside) == (dict(sorted(by_layer.items())), outside)


@cases
def test_the_record_counts_what_the_ranking_goes_by(case: str) -> None:
    work, macs = work_of(made(case), Z), count_macs(made(case), Z)
    assert (macs.dense, macs.by_module, macs.outside) == (work.total, work.by_layer, work.outside)


def achieved(model: nn.Module, pruned: nn.Module) -> float:
    return 1 - count_macs(pruned, Z).effective / count_macs(model, Z).dense


@cases
@pytest.mark.parametrize("strategy", ["l1-weight-global", "random-weight-uniform"])
def test_masks_meet_a_target_of_macs_to_a_weight(case: str, strategy: str) -> None:
    model = made(case)
    work = work_of(model, Z)
    removal = STRATEGIES[strategy].rank(context_of(model, Z)).cut(0.5, "macs")
    reached = achieved(model, removal.apply(model).generator)
    assert removal.sparsity("macs") == pytest.approx(reached, abs=len(work.by_layer) / work.total)
    assert abs(reached - 0.5) <= max(map(work.per_entry, work.by_layer)) / 2 / work.total + 1e-3


@pytest.mark.parametrize("case", [case for case in CASES if case != "functional"])  # which casts: no twin in float64
@pytest.mark.parametrize("asked", [0.2, 0.5])
def test_channels_come_as_near_to_a_target_of_macs_as_any_prefix(
    case: str, asked: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graph, "LIMIT_SECONDS", 1.0)  # the library loses itself in attention
    model = made(case)
    ranking: Any = STRATEGIES["l1-channel-uniform"].rank(context_of(model, Z))
    assert isinstance(ranking, ChannelRanking)
    removals = [ranking._first(count) for count in range(len(ranking.order) + 1)]
    reachable = [achieved(model, shrink(model, removal.kept(model))) for removal in removals]
    if reachable[-1] < asked:
        with pytest.raises(Infeasible, match=f"maximum is {reachable[-1]:.4f}"):
            ranking.cut(asked, "macs")
        return
    removal = ranking.cut(asked, "macs")
    reached = achieved(model, removal.apply(model).generator)
    assert removal.sparsity("macs") == pytest.approx(reached, abs=1e-12)
    assert abs(reached - asked) == pytest.approx(min(abs(share - asked) for share in reachable), abs=1e-12)


@settings(deadline=None, max_examples=20)
@given(st.floats(0.05, 0.5))
def test_any_share_of_all_macs_is_met_with_products_outside_of_the_weights(share: float) -> None:
    model = made("tokens")
    work = work_of(model, Z)
    removal = STRATEGIES["l1-weight-global"].rank(context_of(model, Z)).cut(share, "macs")
    assert abs(removal.sparsity("macs") - share) <= max(map(work.per_entry, work.by_layer)) / work.total


def test_what_cannot_be_removed_bounds_the_share_of_macs() -> None:
    with pytest.raises(Infeasible) as found:
        STRATEGIES["l1-weight-global"].rank(context_of(made("tokens"), Z)).cut(0.9, "macs")
    work = work_of(made("tokens"), Z)
    assert found.value.maximum == pytest.approx(1 - work.outside / work.total, abs=1e-3)


def test_a_layer_that_never_runs_has_no_macs_and_does_not_stand_in_the_way() -> None:
    class Idle(Often):
        def __init__(self) -> None:
            super().__init__()
            self.idle = nn.Linear(4, 4)

    model = Idle().eval()
    assert work_of(model, Z).by_layer["idle"] == 0
    removal = STRATEGIES["random-weight-uniform"].rank(context_of(model, Z)).cut(0.5, "macs")
    assert removal.sparsity("macs") == pytest.approx(0.5, abs=1e-2)


def test_counting_leaves_the_random_state_alone() -> None:
    class Noisy(nn.Module):
        def forward(self, z: Tensor) -> Tensor:
            return z @ torch.randn(16, 2)

    before = torch.random.get_rng_state()
    assert work_of(Noisy(), Z).total == 32
    assert torch.equal(torch.random.get_rng_state(), before)
