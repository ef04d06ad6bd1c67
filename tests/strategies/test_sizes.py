"""What a smaller module says of its own size is true: no warning, and nothing that a user trips over."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd

from strategies.allocation import uniform
from strategies.criteria import l1
from strategies.granularity.channel import channel
from tests.strategies.nets import context

Z = (torch.randn(2, 16, 1, 1, generator=torch.Generator().manual_seed(0)),)


def normed(make: Callable[[int], nn.Module], own: bool = False) -> nn.Sequential:
    """Three norms; with a layer of somebody's own, which Torch-Pruning does not follow."""
    last: list[nn.Module] = [Own(8, 3)] if own else [nn.Conv2d(8, 3, 3, padding=1)]
    return nn.Sequential(
        nn.ConvTranspose2d(16, 16, 4), make(16), nn.ReLU(),
        nn.ConvTranspose2d(16, 8, 4, 2, 1), make(8), nn.PReLU(8),
        nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.Conv2d(8, 8, 1), make(8), nn.ReLU(), *last,
    ).eval()  # fmt: skip


class Own(nn.Module):
    def __init__(self, into: int, out: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out, into, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return torch.conv2d(x, self.weight * 0.1)


class Called(nn.Module):
    """A norm that is given its input by name, and used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.image = nn.ConvTranspose2d(16, 8, 4), nn.Conv2d(8, 8, 3, padding=1), Own(8, 3)
        self.norm = nn.InstanceNorm2d(8)

    def forward(self, z: Tensor) -> Tensor:
        x = self.norm(input=self.b(torch.relu(self.norm(input=self.a(z)))))
        made: Tensor = self.image(x)
        return made


NORMS: dict[str, Callable[[int], nn.Module]] = {
    "instance": nn.InstanceNorm2d,
    "instance affine": lambda width: nn.InstanceNorm2d(width, affine=True),
    "instance running": lambda width: nn.InstanceNorm2d(width, track_running_stats=True),
    "batch": nn.BatchNorm2d,
    "batch bare": lambda width: nn.BatchNorm2d(width, affine=False, track_running_stats=False),
    "batch not affine": lambda width: nn.BatchNorm2d(width, affine=False),
    "group": lambda width: nn.GroupNorm(4, width),
    "group bare": lambda width: nn.GroupNorm(4, width, affine=False),
}


def wrong_sizes(model: nn.Module, inputs: tuple[Tensor, ...]) -> list[tuple[str, object, object]]:
    """(module, what it says, what it is given) of all modules that are not told the truth."""
    found = []

    def look(name: str, module: nn.Module, x: Tensor, made: Tensor) -> None:
        said: object
        if isinstance(module, _NormBase):
            said, true = module.num_features, x.shape[1]
        elif isinstance(module, nn.GroupNorm):
            said, true = module.num_channels, x.shape[1]
        elif isinstance(module, nn.PReLU):
            said, true = module.num_parameters, x.shape[1]
        elif isinstance(module, _ConvNd):
            said, true = (module.in_channels, module.out_channels), (x.shape[1], made.shape[1])  # type: ignore[assignment]
        else:
            return
        if said != true:
            found.append((name, said, true))

    handles = [
        module.register_forward_hook(
            lambda m, args, named, made, name=name: look(name, m, next(iter([*args, *named.values()])), made),
            with_kwargs=True,
        )
        for name, module in model.named_modules()
    ]
    model(*inputs)
    for handle in handles:
        handle.remove()
    return found


@pytest.mark.parametrize("norm", list(NORMS))
@pytest.mark.parametrize("own", [False, True])
def test_sizes_of_a_compact_network_are_true(norm: str, own: bool) -> None:
    torch.manual_seed(0)
    model = normed(NORMS[norm], own)
    pruned = channel.rank(context(model, Z), l1, uniform).cut(0.5, "params").apply(model).generator
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert wrong_sizes(pruned, Z) == []
        pruned.train()(*Z)


def test_a_norm_that_is_used_twice_is_told_one_width() -> None:
    torch.manual_seed(0)
    model = Called().eval()
    pruned = channel.rank(context(model, Z), l1, uniform).cut(0.3, "params").apply(model).generator
    assert wrong_sizes(pruned, Z) == []
    assert pruned.norm.num_features < 8  # type: ignore[union-attr, operator]
