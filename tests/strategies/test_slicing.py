"""Making layers smaller, and everything that has the shape of their parameters."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from strategies.base import Kept
from strategies.slicing import can_slice, cuts, shrink, silence


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
        (nn.Conv2d(4, 4, 1, groups=2), False),
        (nn.GroupNorm(2, 4), False),
        (nn.Embedding(4, 4), False),
    ],
)
def test_which_modules_can_be_made_smaller(module: nn.Module, expected: bool) -> None:
    assert can_slice(module) is expected


def test_a_module_that_cannot_be_made_smaller_is_refused_by_name() -> None:
    model = nn.Sequential(nn.GroupNorm(2, 4))
    with pytest.raises(TypeError, match="0: GroupNorm cannot be made smaller"):
        shrink(model, {"0": {"out": indices(0)}})


def test_cut_tensors_are_contiguous_also_when_the_network_is_channels_last() -> None:
    model = copy.deepcopy(network()).to(memory_format=torch.channels_last)
    assert all(parameter.is_contiguous() for parameter in shrink(model, KEPT).parameters())
