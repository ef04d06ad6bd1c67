"""Making layers smaller, and everything that has the shape of their parameters."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from strategies.base import Kept
from strategies.granularity.groups import Group, Member, kept_without
from strategies.slicing import bypass, can_slice, cuts, shrink, side_tensors, side_width, silence, twin_error


class Modulated(nn.Module):
    """A layer of somebody's own: outputs along dimension 1 of its weight, inputs along dimension 2."""

    def __init__(self) -> None:
        super().__init__()
        self.out_channel = 5
        self.weight = nn.Parameter(torch.arange(60.0).view(1, 5, 3, 2, 2))
        self.bias = nn.Parameter(torch.arange(5.0))


class PerChannel(nn.Module):
    """No layer: one number for each channel, whatever its shape."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1, 5, 1, 1))


def indices(*values: int) -> Tensor:
    return torch.tensor(values)


def network() -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Sequential(
            nn.ConvTranspose2d(3, 5, 2),
            nn.BatchNorm2d(5),
            nn.ReLU(),
            nn.Conv2d(5, 4, 2),
            nn.Flatten(),
            nn.Linear(4, 3),
        )
        model(torch.randn(6, 3, 1, 1))
    return model


KEPT: Kept = {
    "0": {"out": indices(0, 2, 4)},
    "1": {"out": indices(0, 2, 4)},
    "3": {"in": indices(0, 2, 4), "out": indices(1, 3)},
    "5": {"in": indices(1, 3)},
}


def test_every_tensor_is_cut_along_its_own_dimension() -> None:
    model = network()
    small, dense = shrink(model, KEPT).state_dict(), model.state_dict()
    a, b = [0, 2, 4], [1, 3]
    expected = {
        "0.weight": dense["0.weight"][:, a],
        "0.bias": dense["0.bias"][a],
        "1.weight": dense["1.weight"][a],
        "1.bias": dense["1.bias"][a],
        "1.running_mean": dense["1.running_mean"][a],
        "1.running_var": dense["1.running_var"][a],
        "1.num_batches_tracked": dense["1.num_batches_tracked"],
        "3.weight": dense["3.weight"][b][:, a],
        "3.bias": dense["3.bias"][b],
        "5.weight": dense["5.weight"][:, b],
        "5.bias": dense["5.bias"],
    }
    assert list(small) == list(expected)
    assert all(torch.equal(small[name], value) for name, value in expected.items())
    assert int(small["1.num_batches_tracked"]) == 1


def test_the_attributes_tell_the_new_sizes() -> None:
    small = shrink(network(), KEPT)
    assert (small[0].in_channels, small[0].out_channels) == (3, 3)
    assert small[1].num_features == 3
    assert (small[3].in_channels, small[3].out_channels) == (3, 2)
    assert (small[5].in_features, small[5].out_features) == (2, 3)


def test_the_small_network_runs_in_both_modes() -> None:
    small = shrink(network(), KEPT)
    for mode in (True, False):
        assert small.train(mode)(torch.randn(4, 3, 1, 1)).shape == (4, 3)


def test_its_state_dict_loads_into_another_one_cut_alike() -> None:
    small, other = shrink(network(), KEPT), shrink(network().apply(zeroed), KEPT)
    other.load_state_dict(small.state_dict(), strict=True)
    x = torch.randn(2, 3, 1, 1)
    assert torch.equal(small.eval()(x), other.eval()(x))


def zeroed(module: nn.Module) -> None:
    for parameter in module.parameters(recurse=False):
        parameter.data.zero_()


def test_the_original_is_untouched_and_shares_no_memory() -> None:
    model = network()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    small = shrink(model, KEPT)
    for parameter in small.parameters():
        parameter.data.fill_(7.0)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert model[3].in_channels == 5


def test_parameters_stay_parameters_buffers_stay_buffers_and_frozen_ones_stay_frozen() -> None:
    model = network()
    model[3].requires_grad_(False)
    small = shrink(model, KEPT)
    assert [name for name, _ in small.named_parameters()] == [name for name, _ in model.named_parameters()]
    assert [name for name, _ in small.named_buffers()] == [name for name, _ in model.named_buffers()]
    assert [p.requires_grad for p in small.parameters()] == [p.requires_grad for p in model.parameters()]


def test_nothing_to_cut_is_a_plain_copy() -> None:
    model = network()
    small = shrink(model, {})
    assert all(torch.equal(value, small.state_dict()[key]) for key, value in model.state_dict().items())
    assert small is not model


def test_an_optimizers_moments_are_cut_as_the_weights_are() -> None:
    """Moments that equal the weights must equal the cut weights afterwards."""
    model = network()
    select = cuts(model, KEPT)
    small = dict(shrink(model, KEPT).named_parameters())
    for name, parameter in model.named_parameters():
        moment = parameter.detach().clone()
        assert torch.equal(select[name](moment) if name in select else moment, small[name])


def test_cuts_name_only_what_changes() -> None:
    assert "5.bias" not in cuts(network(), KEPT)
    assert "1.num_batches_tracked" not in cuts(network(), KEPT)
    assert set(cuts(network(), {"5": {"in": indices(0)}})) == {"5.weight"}


def test_silencing_zeroes_what_readers_read_and_nothing_else() -> None:
    model = network()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    silence(model, KEPT)
    after = model.state_dict()
    before["3.weight"][:, [1, 3]] = 0.0
    before["5.weight"][:, [0, 2]] = 0.0
    assert all(torch.equal(value, before[key]) for key, value in after.items())


def test_silencing_a_transposed_convolution_zeroes_its_first_dimension() -> None:
    model = nn.Sequential(nn.Conv2d(1, 3, 1), nn.ConvTranspose2d(3, 3, 2))
    expected = model[1].weight.detach().clone()
    expected[[0, 2]] = 0.0
    silence(model, {"0": {"out": indices(1)}, "1": {"in": indices(1)}})
    assert torch.equal(model[1].weight, expected)


def test_silenced_and_small_networks_compute_the_same() -> None:
    model = network().double().eval()
    small = shrink(model, KEPT)
    silence(model, KEPT)
    x = torch.randn(5, 3, 1, 1, dtype=torch.float64)
    torch.testing.assert_close(small(x), model(x))


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        (nn.Conv2d(4, 4, 1), True),
        (nn.ConvTranspose2d(4, 4, 1), True),
        (nn.Linear(4, 4), True),
        (nn.BatchNorm1d(4), True),
        (nn.InstanceNorm2d(4, affine=True), True),
        (nn.Conv2d(4, 4, 1, groups=2), True),
        (nn.GroupNorm(2, 4), True),
        (nn.Embedding(4, 4), True),
        (nn.PReLU(4), True),
        (Modulated(), True),
        (nn.LayerNorm(4), False),
        (nn.Bilinear(4, 4, 4), False),
        (PerChannel(), False),
    ],
)
def test_which_modules_can_be_made_smaller(module: nn.Module, expected: bool) -> None:
    assert can_slice(module) is expected


def test_a_module_that_cannot_be_made_smaller_is_refused_by_name() -> None:
    model = nn.Sequential(nn.LayerNorm(4))
    with pytest.raises(TypeError, match="0: LayerNorm cannot be made smaller"):
        shrink(model, {"0": {"out": indices(0)}})


def test_cut_tensors_are_contiguous_also_when_the_network_is_channels_last() -> None:
    model = copy.deepcopy(network()).to(memory_format=torch.channels_last)
    assert all(parameter.is_contiguous() for parameter in shrink(model, KEPT).parameters())


def test_an_own_layer_is_cut_along_the_dimensions_of_its_weight() -> None:
    model = Modulated()
    small = shrink(model, {"": {"out": indices(0, 3), "in": indices(2), ".out_channel": indices(0, 3)}})
    assert torch.equal(small.weight, model.weight[:, [0, 3]][:, :, [2]])
    assert small.bias.tolist() == [0.0, 3.0]
    assert small.out_channel == 2


def test_one_dimension_of_any_tensor_is_cut_by_its_place() -> None:
    model = nn.Sequential(PerChannel())
    small = shrink(model, {"0": {"weight:1:out": indices(1, 2)}})
    assert small[0].weight.shape == (1, 2, 1, 1)


def test_an_embedding_loses_columns_and_a_slope_its_values() -> None:
    model = nn.Sequential(nn.Embedding(3, 4), nn.PReLU(4))
    small = shrink(model, {"0": {"out": indices(1, 3)}, "1": {"out": indices(1, 3)}})
    assert torch.equal(small[0].weight, model[0].weight[:, [1, 3]])
    assert (small[0].embedding_dim, small[1].num_parameters) == (2, 2)


def test_whole_groups_of_a_group_norm_go() -> None:
    small = shrink(nn.Sequential(nn.GroupNorm(3, 6)), {"0": {"out": indices(0, 1, 4, 5)}})
    assert (small[0].num_groups, small[0].num_channels) == (2, 4)


@pytest.mark.parametrize(
    ("layer", "sides", "sizes"),
    [
        (nn.Conv2d(6, 12, 3, groups=6), {"out": indices(0, 1, 6, 7)}, (2, 4, 2)),
        (nn.ConvTranspose2d(6, 12, 3, groups=6), {"in": indices(1, 4)}, (2, 4, 2)),
        (nn.Conv2d(6, 4, 3, groups=2), {"in": indices(0, 2), "out": indices(0, 2)}, (4, 2, 2)),
        (nn.ConvTranspose2d(6, 4, 3, groups=2), {"in": indices(0, 2, 3, 5), "out": indices(1)}, (4, 2, 2)),
    ],
    ids=["depthwise", "depthwise-transposed", "grouped", "grouped-transposed"],
)
def test_grouped_convolutions_stay_in_step_with_their_groups(
    layer: nn.Conv2d, sides: dict[str, Tensor], sizes: tuple[int, int, int]
) -> None:
    if isinstance(layer, nn.ConvTranspose2d):  # its biases are those of all groups, its out side that of one
        sides = sides | {"bias:0:out": torch.arange(sizes[1])}
    small = shrink(nn.Sequential(layer), {"0": sides})[0]
    assert (small.in_channels, small.out_channels, small.groups) == sizes
    assert small(torch.randn(1, sizes[0], 5, 5)).shape[1] == sizes[1]


@pytest.mark.parametrize(
    ("layer", "sides", "sizes"),
    [
        # Transposed, a weight is (in, out / groups): only the in side tells how many groups are left.
        (nn.ConvTranspose2d(4, 6, 1), {"in": indices(0, 2), "out": indices(1, 3, 5)}, (2, 3, 1)),
        (nn.ConvTranspose2d(1, 6, 1), {"out": indices(1, 3)}, (1, 2, 1)),
        (nn.Conv2d(1, 6, 1), {"out": indices(1, 3)}, (1, 2, 1)),
        (nn.ConvTranspose2d(4, 4, 1, groups=4), {"in": indices(0, 2, 3)}, (3, 3, 3)),
        (nn.ConvTranspose2d(4, 8, 1, groups=4), {"in": indices(0, 2, 3)}, (3, 6, 3)),
        (nn.ConvTranspose2d(4, 8, 1, groups=4), {"out": indices(1)}, (4, 4, 4)),
        (nn.Conv2d(4, 8, 1, groups=4), {"out": indices(0, 1, 6, 7)}, (2, 4, 2)),
        (nn.Conv2d(4, 4, 1, groups=4), {"out": indices(3)}, (1, 1, 1)),
        (nn.Conv2d(8, 4, 1, groups=4), {"in": indices(1)}, (4, 4, 4)),
        (nn.Conv2d(6, 12, 1, groups=3), {"in": indices(1), "out": indices(0, 1, 4, 5, 8, 9)}, (3, 6, 3)),
    ],
)
def test_a_convolution_tells_its_new_sizes(
    layer: nn.Conv2d, sides: dict[str, Tensor], sizes: tuple[int, int, int]
) -> None:
    small = shrink(nn.Sequential(layer), {"0": sides})[0]
    assert (small.in_channels, small.out_channels, small.groups) == sizes


@pytest.mark.parametrize(("groups", "channels", "left", "expected"), [(4, 8, 4, 2), (2, 8, 4, 1), (8, 8, 3, 3)])
def test_a_group_norm_keeps_the_size_of_its_groups(groups: int, channels: int, left: int, expected: int) -> None:
    layer = nn.Sequential(nn.GroupNorm(groups, channels))
    small = shrink(layer, {"0": {"out": torch.arange(left)}})[0]
    assert (small.num_groups, small.num_channels) == (expected, left)


def test_places_of_a_tuple_and_a_list_are_set_one_by_one() -> None:
    layer = nn.LayerNorm(3)
    layer.sizes, layer.listed, layer.one = (5, 6, 7), [1, 2], 9  # type: ignore[assignment]
    small = shrink(
        nn.Sequential(layer), {"0": {".sizes[1]": indices(0, 2), ".listed[0]": indices(), ".one": indices(1)}}
    )
    assert (small[0].sizes, small[0].listed, small[0].one) == ((5, 2, 7), [0, 2], 1)
    assert (layer.sizes, layer.listed, layer.one) == ((5, 6, 7), [1, 2], 9)


def test_channels_that_only_meet_a_partner_are_silenced_where_they_are_made() -> None:
    model = nn.Sequential(nn.Linear(2, 3))
    silence(model, {"0": {"out": indices(0, 2), "product": indices(0, 2)}})
    assert model[0].weight[1].abs().sum() == model[0].bias[1].abs() == 0
    assert bool((model[0].weight[[0, 2]] != 0).any())


@pytest.mark.parametrize("side", [".training", ".weight", ".forward", ".nothing"])
def test_only_whole_numbers_are_set_as_attributes(side: str) -> None:
    with pytest.raises(AttributeError, match="has no whole number"):
        shrink(nn.Sequential(Modulated()), {"0": {side: indices(0)}})


@pytest.mark.parametrize("side", ["sideways", "weight:0", "weight:0:both", "weight:x:in", ""])
def test_a_side_that_does_not_exist_is_refused(side: str) -> None:
    with pytest.raises(ValueError):
        shrink(network(), {"0": {side: indices(0)}})


def test_networks_with_several_outputs_are_compared_in_all_of_them() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(2, 2), nn.Linear(2, 2)

        def forward(self, x: Tensor) -> dict[str, Tensor]:
            return {"a": self.a(x), "b": self.b(x)}

    model = Two().eval()
    other = copy.deepcopy(model)
    other.b.bias.data.add_(1.0)
    inputs = (torch.ones(1, 2),)
    assert twin_error(model, copy.deepcopy(model), {}, inputs) == 0.0
    assert twin_error(model, other, {}, inputs) > 0.1


def test_networks_that_draw_noise_are_compared_under_the_same_noise() -> None:
    class Noisy(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) + torch.randn(len(x), 1) * torch.ones(2)

    state = torch.get_rng_state()
    model = Noisy(2, 2).eval()
    assert twin_error(model, copy.deepcopy(model), {}, (torch.ones(1, 2),)) == 0.0
    torch.set_rng_state(state)


class Heads(nn.Module):
    """Two outputs of one input."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.other = nn.Linear(3, 2), nn.Linear(3, 5)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.one(x), self.other(x)


@pytest.mark.parametrize("head", ["one", "other"])
def test_the_error_of_a_twin_is_that_of_its_worst_output_as_a_share_of_the_largest_value(head: str) -> None:
    dense, x = Heads(), torch.randn(4, 3)
    wrong = copy.deepcopy(dense)
    layer = getattr(wrong, head)
    with torch.no_grad():
        layer.weight.mul_(1.5)
        layer.bias.mul_(1.5)
    assert twin_error(dense, wrong, {}, (x,)) == pytest.approx(0.5)
    assert twin_error(dense, copy.deepcopy(dense), {}, (x,)) == 0.0
    with torch.no_grad():
        layer.bias[0] = torch.nan
    assert twin_error(dense, wrong, {}, (x,)) == float("inf")


def test_networks_whose_outputs_are_no_real_numbers_do_not_differ() -> None:
    class Indices(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x).argmax(1)

    model = Indices(2, 3).eval()
    assert twin_error(model, copy.deepcopy(model), {}, (torch.ones(1, 2),)) == 0.0


def test_the_error_of_a_twin_of_zeros_is_not_lost() -> None:
    zero, one = nn.Linear(2, 1, bias=False), nn.Linear(2, 1, bias=False)
    nn.init.zeros_(zero.weight)
    nn.init.ones_(one.weight)
    assert twin_error(zero, copy.deepcopy(zero), {}, (torch.ones(1, 2),)) == 0.0
    assert twin_error(zero, one, {}, (torch.ones(1, 2),)) > 1e300


def test_normalised_weights_are_plain_in_the_smaller_network_and_as_they_were_in_the_other() -> None:
    model = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(3, 4)), nn.Linear(4, 2)).eval()
    small = shrink(model, {"0": {"out": indices(0, 2)}, "1": {"in": indices(0, 2)}})
    assert set(small.state_dict()) == {"0.weight", "0.bias", "1.weight", "1.bias"}
    torch.testing.assert_close(small[0].weight, model[0].weight[[0, 2]])
    assert nn.utils.parametrize.is_parametrized(model[0])
    assert [type(part) for part in bypass(model, ("1",))] == [nn.Linear, nn.Identity]


def test_a_bypassed_module_is_found_by_its_path_and_trains_as_the_network_does() -> None:
    model = nn.Sequential(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)), nn.Linear(2, 2))
    for training in (True, False):
        small = bypass(model.train(training), ("0.1", "1"))
        assert isinstance(small[0][1], nn.Identity) and isinstance(small[1], nn.Identity)
        assert small[0][1].training is training and isinstance(model[1], nn.Linear)
    with pytest.raises(AttributeError):
        bypass(model, ("0.2",))


def test_a_twin_runs_in_double_precision_and_leaves_the_default_alone() -> None:
    seen = []

    class Made(nn.Linear):
        """It adds a tensor that it makes of nothing."""

        def forward(self, x: Tensor) -> Tensor:
            seen.append((x.dtype, torch.ones(1).dtype, self.weight.dtype, self.training))
            return super().forward(x) + torch.ones(1)

    model = Made(2, 1).train()
    twin_error(model, copy.deepcopy(model), {}, (torch.ones(1, 2),))
    assert seen == [(torch.float64, torch.float64, torch.float64, False)] * 2
    assert torch.get_default_dtype() == torch.float32 and model.training and model.weight.dtype == torch.float32


@pytest.mark.parametrize(
    ("module", "side", "width"),
    [
        (nn.Linear(3, 5), "out", 5),
        (nn.Linear(3, 5), "in", 3),
        (nn.Linear(3, 5), "product", 5),
        (nn.Linear(3, 5), ".in_features", 3),
        (nn.Conv2d(3, 5, (2, 7)), ".kernel_size[1]", 7),
        (nn.Conv2d(3, 5, (2, 7)), "weight:3:in", 7),
        (nn.InstanceNorm2d(6), "out", 6),
        (nn.Embedding(3, 4), "out", 4),
        (nn.GroupNorm(2, 8), "out", 8),
        (nn.PReLU(5), "out", 5),
    ],
)
def test_how_many_indices_a_side_has(module: nn.Module, side: str, width: int) -> None:
    assert side_width(module, side) == width


@pytest.mark.parametrize(
    ("module", "side", "tensors"),
    [
        (nn.Linear(3, 5), "out", {"weight": 0, "bias": 0}),
        (nn.Linear(3, 5), "in", {"weight": 1}),
        (nn.ConvTranspose2d(3, 5, 1), "out", {"weight": 1, "bias": 0}),
        (nn.ConvTranspose2d(3, 5, 1), "in", {"weight": 0}),
        (nn.Linear(3, 5), "product", {}),
        (nn.Linear(3, 5), ".in_features", {}),
        (nn.Linear(3, 5), "bias:0:in", {"bias": 0}),
        (nn.BatchNorm2d(4), "out", dict.fromkeys(("weight", "bias", "running_mean", "running_var"), 0)),
        (nn.Embedding(3, 4), "out", {"weight": 1}),
        (nn.GroupNorm(2, 4), "out", {"weight": 0, "bias": 0}),
    ],
)
def test_which_tensors_a_side_cuts_and_along_which_dimension(
    module: nn.Module, side: str, tensors: dict[str, int]
) -> None:
    assert side_tensors(module, side) == tensors


@pytest.mark.parametrize(("module", "side"), [(nn.BatchNorm2d(4), "in"), (nn.LayerNorm(4), "out"), (nn.ReLU(), "out")])
def test_a_module_without_such_a_side_is_refused(module: nn.Module, side: str) -> None:
    for ask in (side_width, side_tensors):
        with pytest.raises(TypeError, match="cannot be made smaller"):
            ask(module, side)


def test_a_tensor_of_two_modules_is_cut_once_and_must_keep_the_same_of_both() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight = model[0].weight
    kept: Kept = {"0": {"out": indices(0, 2)}, "1": {"out": indices(0, 2)}}
    small = shrink(model, kept)
    assert small[0].weight is small[1].weight and small[0].weight.shape == (2, 3)
    assert [(layer.in_features, layer.out_features) for layer in small] == [(3, 2), (3, 2)]
    with pytest.raises(ValueError, match=r"0\.weight and 1\.weight are one tensor, and would keep different channels"):
        shrink(model, {"0": {"out": indices(0, 2)}, "1": {"out": indices(0, 1)}})


def test_a_network_that_is_in_double_precision_already_is_left_as_it_was() -> None:
    class Scaled(nn.Linear):
        def __init__(self) -> None:
            super().__init__(2, 2)
            self.register_buffer("scale", torch.ones(2))
            self.register_buffer("order", torch.tensor([1, 0]))  # whole numbers stay whole: they are places

        def forward(self, x: Tensor) -> Tensor:
            return (super().forward(x) * self.scale)[:, self.order]

    model = nn.Sequential(Scaled(), nn.Linear(2, 1)).double().eval()
    before = copy.deepcopy(model.state_dict())
    kept: Kept = {"0": {"out": indices(0, 1)}, "1": {"in": indices(0)}}
    assert twin_error(model, copy.deepcopy(model), {}, (torch.ones(1, 2),)) == 0.0
    assert twin_error(model, copy.deepcopy(model), kept, (torch.ones(1, 2),)) > 0
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_the_tensors_of_a_module_inside_are_not_those_of_the_layer_around_it() -> None:
    layer = Modulated()
    layer.inner = nn.BatchNorm1d(5)
    assert side_tensors(layer, "out") == {"weight": 1, "bias": 0}


@pytest.mark.parametrize("side", [".kernel_size", ".padding_mode", ".nothing[1]"])
def test_a_width_is_one_whole_number_of_an_attribute(side: str) -> None:
    with pytest.raises(AttributeError, match="has no whole number"):
        side_width(nn.Conv2d(3, 5, 2), side)


@pytest.mark.parametrize(
    ("side", "reads"),
    [("in", True), ("product", True), ("weight:1:in", True), ("out", False), ("weight:0:out", False), (".n", False)],
)
def test_which_sides_read_their_channels(side: str, reads: bool) -> None:
    every = torch.arange(2)
    assert Member("a", side, every, every).reads is reads
    made = Member("b", "out", every, every)
    assert Group("b", 2, (made, Member("a", side, every, every))).consumed is reads


def test_what_stays_of_each_module_is_what_no_group_takes() -> None:
    model = nn.Sequential(nn.Linear(2, 4), nn.Linear(8, 3), nn.Linear(3, 3))
    twice = Member("1", "in", torch.arange(8), torch.arange(8) // 2)
    groups = (
        Group("0", 4, (Member("0", "out", torch.arange(4), torch.arange(4)), twice)),
        Group("1", 2, (Member("1", "out", torch.tensor([0, 2]), torch.tensor([0, 1])),)),
        Group("2", 1, (Member("1", "out", torch.tensor([1]), torch.tensor([0])),)),
    )
    none = torch.tensor([], dtype=torch.long)
    kept = kept_without(model, groups, {"0": torch.tensor([3, 1]), "1": torch.tensor([1]), "2": none})
    assert {name: {side: x.tolist() for side, x in sides.items()} for name, sides in kept.items()} == {
        "0": {"out": [0, 2]},
        "1": {"in": [0, 1, 4, 5], "out": [0, 1]},
    }
    assert kept_without(model, groups, dict.fromkeys("012", none)) == {}
