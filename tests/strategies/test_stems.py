"""A linear layer that is viewed as an image: whoever says how many channels that are, it can be pruned."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from strategies.allocation import global_mean, uniform
from strategies.criteria import l1
from strategies.granularity.channel import channel
from strategies.granularity.coupling import couple
from strategies.slicing import shrink, twin_error
from tests.strategies.nets import context

WIDTH = 12
INPUTS = (torch.randn(2, 6, generator=torch.Generator().manual_seed(0)),)


def body() -> nn.Sequential:
    up = nn.ConvTranspose2d(WIDTH, 8, 4, 2, 1)
    return nn.Sequential(nn.ReLU(), up, nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 3, 3, padding=1))


class Stem(nn.Module):
    """How many channels there are is a number of the module."""

    def __init__(self) -> None:
        super().__init__()
        self.channels, self.project = WIDTH, nn.Linear(6, WIDTH * 16)

    def forward(self, z: Tensor) -> Tensor:
        return self.project(z).view(-1, self.channels, 4, 4)


class Normed(nn.Module):
    """A norm over all that the linear layer makes, before the view."""

    def __init__(self) -> None:
        super().__init__()
        self.in_ch = WIDTH
        self.net = nn.Sequential(nn.Linear(6, WIDTH * 16), nn.BatchNorm1d(WIDTH * 16), nn.ReLU())

    def forward(self, z: Tensor) -> Tensor:
        return self.net(z).reshape(len(z), self.in_ch, 4, 4)


class Shaped(nn.Module):
    """A shape, of which the second number is the side of the image."""

    def __init__(self) -> None:
        super().__init__()
        self.shape, self.project = (WIDTH, 4, 4), nn.Linear(6, WIDTH * 16)

    def forward(self, z: Tensor) -> Tensor:
        return self.project(z).view(len(z), *self.shape)


class View(nn.Module):
    """A module that does nothing else, with a number for each dimension."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.shape = list(shape)

    def forward(self, x: Tensor) -> Tensor:
        return x.view(len(x), *self.shape)


class Network(nn.Module):
    def __init__(self, stem: nn.Module) -> None:
        super().__init__()
        self.stem, self.body = stem, body()

    def forward(self, z: Tensor) -> Tensor:
        made: Tensor = self.body(self.stem(z))
        return made


class Nested(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.parts = nn.ModuleDict({"generator": Network(Stem())})

    def forward(self, z: Tensor) -> Tensor:
        made: Tensor = self.parts["generator"](z)
        return made


class AtRoot(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.widths, self.project, self.body = [WIDTH, 8], nn.Linear(6, WIDTH * 16), body()

    def forward(self, z: Tensor) -> Tensor:
        made: Tensor = self.body(self.project(z).view(-1, self.widths[0], 4, 4))
        return made


STEMS: dict[str, Callable[[], nn.Module]] = {
    "number": lambda: Network(Stem()),
    "norm": lambda: Network(Normed()),
    "shape": lambda: Network(Shaped()),
    "nested": Nested,
    "at the root": AtRoot,
    "module": lambda: nn.Sequential(nn.Linear(6, WIDTH * 16), View(WIDTH, 4, 4), body()),
    "unflatten": lambda: nn.Sequential(nn.Linear(6, WIDTH * 16), nn.Unflatten(1, (WIDTH, 4, 4)), body()),
    "unflatten in a submodule": lambda: Network(
        nn.Sequential(nn.Linear(6, WIDTH * 16), nn.Unflatten(1, (WIDTH, 4, 4)), nn.BatchNorm2d(WIDTH))
    ),
}


@pytest.mark.parametrize("stem", list(STEMS))
@pytest.mark.parametrize("allocation", [uniform, global_mean], ids=lambda a: a.name)
def test_a_viewed_stem_is_pruned_to_its_masked_twin(stem: str, allocation: object) -> None:
    torch.manual_seed(0)
    model = STEMS[stem]().eval()
    found = couple(model, INPUTS)
    assert list(found.dense.values()) == ["makes the network's output"]
    ranking = channel.rank(context(model, INPUTS), l1, allocation)  # type: ignore[arg-type]
    removal = ranking.cut(0.6, "params")
    pruned = removal.apply(model)
    assert twin_error(model, pruned.generator, pruned.kept, INPUTS) <= 1e-9
    first = pruned.layers[0]
    assert first.kept < first.weights and first.kept_width[0] % 16 == 0
    again = shrink(copy.deepcopy(model), pruned.kept)  # what loading does
    again.load_state_dict(pruned.generator.state_dict())
    assert torch.equal(again(*INPUTS), pruned.generator(*INPUTS))


def test_a_width_that_the_code_fixes_stays() -> None:
    class Fixed(Stem):
        def forward(self, z: Tensor) -> Tensor:
            return self.project(z).view(-1, WIDTH, 4, 4)

    found = couple(Network(Fixed()).eval(), INPUTS)
    assert found.dense["stem.project"].startswith("cannot be made smaller")


def test_the_side_of_an_image_is_not_taken_for_its_channels() -> None:
    """Four channels of 4 x 4: three numbers that are equal, of which the first is the channels."""
    model = nn.Sequential(nn.Linear(6, 64), nn.Unflatten(1, (4, 4, 4)), nn.ReLU(), nn.Conv2d(4, 3, 1)).eval()
    kept = {
        "0": {"out": torch.arange(48)},
        "1": {".unflattened_size[0]": torch.arange(3)},
        "3": {"in": torch.arange(3)},
    }
    assert shrink(model, kept)[1].unflattened_size == (3, 4, 4)  # type: ignore[index]
    pruned = channel.rank(context(model, INPUTS), l1, uniform).cut(0.5, "params").apply(model)
    assert pruned.generator(*INPUTS).shape == (2, 3, 4, 4)
