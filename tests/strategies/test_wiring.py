"""From a trace to groups: who makes, normalises and reads the channels that are one."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from strategies.granularity import wiring
from strategies.granularity.groups import Group
from strategies.tracing.trace import OUTPUT

Said = list[tuple[str, str, list[int], list[int]]]


def found(model: nn.Module, inputs: Tensor) -> tuple[dict[str, Said], dict[str, str]]:
    """Group -> (module, side, indices, channels) of its members, and what stays dense."""
    groups, dense = wiring.find(model.eval(), (inputs,))
    assert all(group.size == max(m.channels.max() for m in group.members) + 1 for group in groups)
    said = {
        group.name: [(m.module, m.side, m.indices.tolist(), m.channels.tolist()) for m in group.members]
        for group in groups
    }
    return said, dense


def all_of(*sides: tuple[str, str], size: int) -> Said:
    return [(module, side, list(range(size)), list(range(size))) for module, side in sides]


def test_a_layer_makes_what_the_next_one_reads() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    assert found(model, torch.ones(1, 3)) == ({"0": all_of(("0", "out"), ("2", "in"), size=4)}, {"2": OUTPUT})


def test_a_residual_sum_makes_channels_in_two_places() -> None:
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.c = nn.Linear(2, 3), nn.Linear(3, 3), nn.Linear(3, 2)

        def forward(self, x: Tensor) -> Tensor:
            y = self.a(x)
            z: Tensor = self.c(y + self.b(y))
            return z

    expected = all_of(("a", "out"), ("b", "out"), ("b", "in"), ("c", "in"), size=3)
    assert found(Residual(), torch.ones(1, 2)) == ({"a": expected}, {"c": OUTPUT})


def test_parts_of_a_layer_that_others_read_are_groups_of_numbered_names_and_what_nobody_reads_is_none() -> None:
    class Parts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Linear(3, 7)
            self.a, self.b, self.c = (nn.Linear(2, 2) for _ in range(3))

        def forward(self, x: Tensor) -> Tensor:
            y = self.first(x)
            z: Tensor = self.a(y[:, :2]) + self.b(y[:, 2:4]) + self.c(y[:, 4:6])
            return z

    def part(reader: str, start: int) -> Said:
        return [("first", "out", [start, start + 1], [0, 1]), (reader, "in", [0, 1], [0, 1])]

    groups, dense = found(Parts(), torch.ones(1, 3))
    assert groups == {"first": part("a", 0), "first/2": part("b", 2), "first/3": part("c", 4)}
    assert dense == dict.fromkeys("abc", OUTPUT)


def test_channels_that_only_meet_in_a_product_read_each_other() -> None:
    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.q, self.k, self.v, self.o = nn.Linear(3, 4), nn.Linear(3, 4), nn.Linear(3, 5), nn.Linear(5, 2)

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.o((self.q(x) @ self.k(x).transpose(1, 2)).softmax(-1) @ self.v(x))
            return y

    groups, dense = found(Attention(), torch.ones(1, 6, 3))
    assert groups == {
        "q": all_of(("q", "out"), ("k", "out"), ("q", "product"), ("k", "product"), size=4),
        "v": all_of(("v", "out"), ("o", "in"), size=5),
    }
    assert dense == {"o": OUTPUT}


def test_a_gate_is_read_by_the_layer_behind_it() -> None:
    class Gate(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.o = nn.Linear(3, 4), nn.Linear(3, 4), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.o(self.a(x) * self.b(x).sigmoid())
            return y

    expected = all_of(("a", "out"), ("b", "out"), ("o", "in"), size=4)
    assert found(Gate(), torch.ones(1, 3)) == ({"a": expected}, {"o": OUTPUT})


def test_a_norm_without_weights_is_told_which_of_its_channels_go() -> None:
    class Joined(nn.Module):
        """Of the six channels that are normalised the first is the input's."""

        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Conv2d(2, 3, 1), nn.Conv2d(2, 2, 1)
            self.norm, self.image = nn.InstanceNorm2d(6), nn.Conv2d(6, 2, 1)

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.image(self.norm(torch.cat([x[:, :1], self.b(x), self.a(x)], 1)))
            return y

    groups, dense = found(Joined(), torch.ones(1, 2, 4, 4))
    assert groups == {
        name: [(name, "out", channels, channels), ("image", "in", places, channels), ("norm", "out", places, channels)]
        for name, channels, places in (("b", [0, 1], [1, 2]), ("a", [0, 1, 2], [3, 4, 5]))
    }
    assert dense == {"image": OUTPUT}


def test_only_the_norms_that_a_group_passes_are_its_members() -> None:
    norm = nn.InstanceNorm2d
    model = nn.Sequential(nn.Conv2d(2, 3, 1), norm(3), nn.Conv2d(3, 4, 1), norm(4), nn.Conv2d(4, 1, 1))
    groups, _ = found(model, torch.ones(1, 2, 4, 4))
    assert {name: [(module, side) for module, side, *_ in said] for name, said in groups.items()} == {
        "0": [("0", "out"), ("2", "in"), ("1", "out")],
        "2": [("2", "out"), ("4", "in"), ("3", "out")],
    }


def test_tensors_of_other_modules_are_cut_by_their_dimension_as_made_or_read() -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.scale, self.out = nn.Linear(2, 3), nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(3, 2))

        def forward(self, x: Tensor) -> Tensor:
            return (self.a(x) * self.scale) @ self.out

    groups, dense = found(Own(), torch.ones(1, 2))
    assert groups == {"a": all_of(("", "scale:0:out"), ("", "out:0:in"), ("a", "out"), size=3)}
    assert dense == {}


@pytest.mark.parametrize(
    ("module", "key", "dim", "read", "expected"),
    [
        (nn.Linear(3, 4), "weight", 0, False, "out"),
        (nn.Linear(3, 4), "weight", 1, True, "in"),
        (nn.Linear(3, 4), "bias", 0, False, "out"),
        (nn.ConvTranspose2d(3, 4, 1), "weight", 0, True, "in"),
        (nn.BatchNorm2d(4), "running_var", 0, False, "out"),
        (nn.Conv2d(3, 4, 2), "weight", 2, False, "weight:2:out"),
        (nn.LayerNorm(4), "weight", 0, False, "weight:0:out"),
        (nn.LayerNorm(4), "weight", 0, True, "weight:0:in"),
    ],
)
def test_a_side_is_named_where_the_kind_of_module_has_it(
    module: nn.Module, key: str, dim: int, read: bool, expected: str
) -> None:
    assert wiring._side(module, key, dim, read) == expected


def test_layers_without_a_bias_stay_dense_for_the_same_reason() -> None:
    model = nn.Sequential(nn.Linear(3, 4, bias=False), nn.ReLU(), nn.Linear(4, 2, bias=False))
    assert found(model, torch.ones(1, 3))[1] == {"2": OUTPUT}


def test_channels_lie_along_the_first_of_the_dimensions_of_a_view_unless_the_last_is_asked_for() -> None:
    class Viewed(nn.Module):
        """Sixteen outputs are four channels at four places, or four places of four channels."""

        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(3, 16), nn.Linear(16, 1)

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.b((2 * self.a(x).view(-1, 4, 4)).view(-1, 16))
            return y

    by = {last: wiring.find(Viewed().eval(), (torch.ones(1, 3),), last=last)[0] for last in (False, True)}
    default = wiring.find(Viewed().eval(), (torch.ones(1, 3),))[0]

    def channels(groups: tuple[Group, ...]) -> list[int]:
        (group,) = groups
        return group.members[0].channels.tolist()

    assert channels(default) == channels(by[False]) == [k // 4 for k in range(16)]
    assert channels(by[True]) == [k % 4 for k in range(16)]
