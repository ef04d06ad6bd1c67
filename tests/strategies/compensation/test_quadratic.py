"""Columns are what the layer multiplies; both forms of the error are the same and have the minimum that lstsq has."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor, nn

from strategies.compensation.columns import classes, columns, put_rows, unfolds, weight_rows
from strategies.compensation.quadratic import Normal, Operator, channels_first
from strategies.compensation.solve import minimise
from strategies.layers import out_dim

LAYERS = [
    (nn.Linear(5, 3), (5,)),
    (nn.Linear(5, 3), (4, 5)),
    (nn.Conv1d(3, 4, 3, stride=2, padding=1, dilation=2), (3, 11)),
    (nn.Conv2d(3, 4, 3, padding=1, bias=False), (3, 6, 5)),
    (nn.Conv2d(3, 4, (2, 3), stride=(2, 1), padding="valid"), (3, 7, 6)),
    (nn.Conv2d(3, 4, 3, padding="same", padding_mode="reflect"), (3, 6, 6)),
    (nn.Conv3d(2, 3, 2, stride=2), (2, 4, 5, 4)),
    (nn.ConvTranspose1d(3, 4, 5, stride=3, padding=2, output_padding=1), (3, 6)),
    (nn.ConvTranspose2d(3, 4, 7, bias=False), (3, 1, 1)),
    (nn.ConvTranspose2d(3, 4, 4, stride=2, padding=1), (3, 5, 4)),
    (nn.ConvTranspose2d(3, 4, 3, stride=2, padding=1, output_padding=1, dilation=2), (3, 5, 4)),
    (nn.ConvTranspose2d(3, 4, (1, 3), stride=(2, 1)), (3, 3, 4)),
    (nn.ConvTranspose3d(2, 3, 2, stride=2), (2, 2, 3, 2)),
]
IDS = [f"{type(layer).__name__}{k}" for k, (layer, _) in enumerate(LAYERS)]


def drawn(layer: nn.Module, size: tuple[int, ...], count: int = 12) -> tuple[nn.Module, Tensor, Tensor]:
    """The layer in float64, inputs with a mean, and outputs that no weight of it can give."""
    torch.manual_seed(1)
    layer = layer.double().requires_grad_(False)
    given = torch.randn(count, *size, dtype=torch.float64) + 0.5
    return layer, given, torch.randn_like(layer(given)) + layer(given) + 0.3


@pytest.mark.parametrize(("layer", "size"), LAYERS, ids=IDS)
def test_columns_times_rows_are_the_outputs(layer: nn.Module, size: tuple[int, ...]) -> None:
    layer, given, _ = drawn(layer, size)
    bias = 0 if layer.bias is None else layer.bias
    output = layer(given)
    for which in classes(layer):
        made = columns(layer, given, which) @ weight_rows(layer, layer.weight, which) + bias  # type: ignore[arg-type]
        there = which.of(output) if which.step else output.flatten(0, -2)
        torch.testing.assert_close(made, there)


@pytest.mark.parametrize(("layer", "size"), LAYERS, ids=IDS)
def test_every_weight_is_in_one_class(layer: nn.Module, size: tuple[int, ...]) -> None:
    weight = torch.zeros_like(layer.weight)  # type: ignore[arg-type]
    for which in classes(layer):
        rows = weight_rows(layer, weight, which)
        put_rows(layer, weight, which, rows + 1)
    assert bool((weight == 1).all())


@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize(("layer", "size"), LAYERS, ids=IDS)
def test_both_forms_say_the_same(layer: nn.Module, size: tuple[int, ...], centred: bool) -> None:
    layer, given, wanted = drawn(layer, size)
    by_passes, by_moments = (form(layer, (given,), wanted, centred) for form in (Operator, Normal))
    change = torch.randn_like(layer.weight)  # type: ignore[arg-type]
    torch.testing.assert_close(by_passes.slope, by_moments.slope)
    torch.testing.assert_close(by_passes.product(change), by_moments.product(change))
    if not centred:
        torch.testing.assert_close(by_passes.diagonal, by_moments.diagonal)


@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize(("layer", "size"), LAYERS, ids=IDS)
def test_slope_and_product_are_those_of_the_error(layer: nn.Module, size: tuple[int, ...], centred: bool) -> None:
    """Against autograd of the error itself."""
    layer, given, wanted = drawn(layer, size)
    quadratic = Normal(layer, (given,), wanted, centred)

    def error(weight: Tensor) -> Tensor:
        made = torch.func.functional_call(layer, {"weight": weight}, (given,))
        left = channels_first(layer, wanted - made)
        if centred:
            left = left - left.mean([d for d in range(left.ndim) if d != 1], keepdim=True)
        return left.square().sum() / (left.numel() / left.shape[1]) / 2

    at = layer.weight.clone().requires_grad_(True)  # type: ignore[operator]
    change = torch.randn_like(at)
    torch.testing.assert_close(-torch.autograd.grad(error(at), at)[0], quadratic.slope)
    second = torch.autograd.functional.hvp(error, at.detach(), change)[1]
    torch.testing.assert_close(second, quadratic.product(change))


def least_squares(layer: nn.Module, given: Tensor, wanted: Tensor, support: Tensor) -> Tensor:
    """The weight by `torch.linalg.lstsq`, output by output; with a column of ones where there is a bias."""
    aims = channels_first(layer, wanted)
    axis = out_dim(layer)
    found = torch.zeros_like(layer.weight)  # type: ignore[arg-type]
    ones = [torch.ones(aims[:, 0].numel(), 1, dtype=aims.dtype)] if layer.bias is not None else []
    for k in range(aims.shape[1]):
        places = [i for i in itertools.product(*map(range, found.shape)) if i[axis] == k and bool(support[i])]
        read = []
        for place in places:
            unit = torch.zeros_like(found)
            unit[place] = 1
            bias = {} if layer.bias is None else {"bias": torch.zeros_like(layer.bias)}
            made = torch.func.functional_call(layer, {"weight": unit, **bias}, (given,))
            read.append(channels_first(layer, made)[:, k].reshape(-1, 1))
        solved = torch.linalg.lstsq(torch.cat([*read, *ones], 1), aims[:, k].reshape(-1, 1)).solution.flatten()
        for place, value in zip(places, solved[: len(places)], strict=True):
            found[place] = value
    return found


@pytest.mark.parametrize("form", [Operator, Normal])
@pytest.mark.parametrize("k", [0, 3, 9, 10], ids=[IDS[k] for k in (0, 3, 9, 10)])
def test_the_minimum_on_a_support_is_that_of_least_squares(k: int, form: type[Operator] | type[Normal]) -> None:
    layer, given, wanted = drawn(*LAYERS[k], count=40)
    support = torch.rand(layer.weight.shape, generator=torch.Generator().manual_seed(3)) < 0.6  # type: ignore[arg-type]
    support.view(-1)[0] = True
    with torch.no_grad():
        layer.weight.mul_(support)  # type: ignore[operator]
    quadratic = form(layer, (given,), wanted, layer.bias is not None)
    change = minimise(quadratic, support, out_dim(layer), 400, ridge=0.0, small=1e-12)
    assert not change[~support].any()
    torch.testing.assert_close(
        layer.weight + change, least_squares(layer, given, wanted, support), rtol=1e-6, atol=1e-8
    )


def test_a_ridge_is_towards_the_weights_that_were_there() -> None:
    """One weight, inputs of mean square 4: w + s / (4 + 4 r) of the slope s."""
    layer = nn.Linear(1, 1, bias=False).double()
    with torch.no_grad():
        layer.weight.fill_(3.0)
    given = torch.full((7, 1), 2.0, dtype=torch.float64)
    quadratic = Normal(layer, (given,), torch.full((7, 1), 10.0, dtype=torch.float64), False)
    change = minimise(quadratic, torch.ones(1, 1, dtype=torch.bool), 0, 5, ridge=0.5)
    assert float(change) == pytest.approx(2 * (10 - 6) / (4 + 2))


class Modulated(nn.Module):
    """A convolution whose weight is scaled for each sample, and normalised or not."""

    def __init__(self, normalised: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(1, 4, 3, 3, 3, dtype=torch.float64))
        self.normalised = normalised

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        weight = self.weight * style[:, None, :, None, None]
        if self.normalised:
            weight = weight * (weight.square().sum((2, 3, 4), keepdim=True) + 1e-8).rsqrt()
        count, _, *size = x.shape
        made = nn.functional.conv2d(x.reshape(1, -1, *size), weight.flatten(0, 1), padding=1, groups=count)
        return made.view(count, -1, *size)


def test_of_a_modulated_layer_the_minimum_is_found() -> None:
    """The outputs of another weight on the same support: it is found."""
    torch.manual_seed(0)
    layer = Modulated(normalised=False)
    given = (torch.randn(6, 3, 5, 5, dtype=torch.float64), torch.rand(6, 3, dtype=torch.float64) + 0.5)
    with torch.no_grad():
        aim = torch.randn_like(layer.weight)
        wanted = torch.func.functional_call(layer, {"weight": aim}, given)
    quadratic = Operator(layer, given, wanted, False)
    change = minimise(quadratic, torch.ones_like(aim, dtype=torch.bool), 1, 300, ridge=0.0, small=1e-12)
    torch.testing.assert_close(layer.weight.detach() + change, aim, rtol=1e-6, atol=1e-8)


def test_of_a_demodulated_layer_the_tangent_is_used() -> None:
    torch.manual_seed(0)
    layer = Modulated(normalised=True)
    given = (torch.randn(6, 3, 5, 5, dtype=torch.float64), torch.rand(6, 3, dtype=torch.float64) + 0.5)
    change = torch.randn_like(layer.weight)

    def made(weight: Tensor) -> Tensor:
        return torch.func.functional_call(layer, {"weight": weight}, given)

    found = Operator(layer, given, layer(*given).detach(), False)
    step = 1e-6
    tangent = (made(layer.weight + step * change) - made(layer.weight - step * change)).detach() / (2 * step)
    torch.testing.assert_close(found._forward(change), tangent, rtol=1e-5, atol=1e-7)


def test_which_layers_unfold() -> None:
    assert unfolds(nn.Linear(2, 2)) and unfolds(nn.ConvTranspose2d(2, 2, 3))
    assert not unfolds(nn.Conv2d(4, 4, 3, groups=2)) and not unfolds(Modulated(False))


@pytest.mark.parametrize(
    "layer", [nn.Conv2d(4, 6, 3, groups=2), nn.ConvTranspose2d(4, 6, 3, groups=2), nn.Conv2d(4, 4, 3, groups=4)]
)
def test_of_grouped_layers_the_minimum_is_found(layer: nn.Module) -> None:
    layer, given, _ = drawn(layer, (4, 6, 6))
    aim = torch.randn_like(layer.weight)  # type: ignore[arg-type]
    wanted = torch.func.functional_call(layer, {"weight": aim}, (given,))
    quadratic = Operator(layer, (given,), wanted, True)
    change = minimise(quadratic, torch.ones_like(aim, dtype=torch.bool), out_dim(layer), 300, ridge=0.0, small=1e-12)
    torch.testing.assert_close(layer.weight + change, aim, rtol=1e-6, atol=1e-8)
