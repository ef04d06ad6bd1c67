"""Weights by what they read: magnitudes times the norm of the inputs that they multiply."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from strategies.base import Context, NotApplicable, Scores
from strategies.criteria.gradients import frozen, input_batches
from strategies.criteria.registry import criterion
from strategies.layers import holders, is_torch_layer, layer_uses, prunable_layers
from strategies.rows import from_rows, to_rows

BATCHES, BATCH = 16, 16

POWER = 0.5
"""Of the inputs' norm in `ria`, as in its authors' experiments."""

TRANSPOSED: Mapping[type[nn.Module], Callable[..., Tensor]] = {
    nn.ConvTranspose1d: functional.conv_transpose1d,
    nn.ConvTranspose2d: functional.conv_transpose2d,
    nn.ConvTranspose3d: functional.conv_transpose3d,
}


@criterion(
    "wanda",
    source="Sun et al. 2024 (Wanda), for convolutions by input channel and tap",
    formula="|w| ||x||_2, x all that the weight multiplies",
    needs={"inputs"},
)
def wanda(context: Context) -> Scores:
    """Magnitude times the norm of what the weight reads over 256 latents, see `read_norms`. Needs: inputs.

    The paper compares the weights of one output with each other; that is the allocation `peroutput`.

    Raises:
        NotApplicable: a layer whose weight is used by other code than PyTorch's, so what it reads is not known.
    """
    norms = read_norms(context)
    return {name: weight.double().abs() * norms[name] for name, weight in context.weights()}


@criterion(
    "ria",
    source="Zhang et al. 2024 (RIA), for convolutions by input channel and tap",
    formula="(|w| / sum |w| of its row + |w| / sum |w| of its column) ||x||_2^.5, x all that the weight multiplies",
    needs={"inputs"},
)
def ria(context: Context) -> Scores:
    """Share of a weight in what makes its output and in what reads its input, times the root of the inputs' norm.

    A row holds the weights that make one output channel, all inputs and taps; a column those that read one input
    channel, all outputs and taps, in its own group of a grouped convolution. (A column for each tap would forget that
    the outer taps are small, and was five times worse on `mnist-dcgan` at .7 of each layer.) A weight in a row
    or column of zeros has no share of it. Needs: inputs, of which see `read_norms`.

    Raises:
        NotApplicable: a layer whose weight is used by other code than PyTorch's, so what it reads is not known.
    """
    norms, layers = read_norms(context), prunable_layers(context.generator)
    found = {}
    for name, weight in context.weights():
        shares = relative(to_rows(weight.double().abs(), layers[name]))
        found[name] = from_rows(shares, layers[name], weight.shape) * norms[name] ** POWER
    return found


def relative(matrix: Tensor) -> Tensor:
    """Of magnitudes ``(groups, out, in, taps)`` the share in the row plus the share in the column, same shape."""
    tiny = torch.finfo(matrix.dtype).tiny
    rows, columns = matrix.sum((2, 3), keepdim=True), matrix.sum((1, 3), keepdim=True)
    return matrix / rows.clamp_min(tiny) + matrix / columns.clamp_min(tiny)


def read_norms(context: Context) -> Scores:
    """``||x||_2`` for each weight, float64, of the weight's shape: ``x`` is all that the weight multiplies.

    That is the square root of the mean over 256 latents of the sum of squares over all positions at which it is used:
    of a convolution what its tap meets of its input channel, padding and stride considered; of a transposed one every
    value of the input channel that its tap does not put outside of the output. A weight that several layers use, or
    one layer several times, reads all of it. Eval mode; BatchNorm as it stands.

    Raises:
        NotApplicable: a layer whose weight is used by other code than PyTorch's.
    """
    model = frozen(context.generator, context.device)
    own = next((name for name, layer in layer_uses(model).items() if not is_torch_layer(layer)), None)
    if own is not None:
        raise NotApplicable(f"{own} uses its weight by code of its own: what each weight reads is not known")
    layers = layer_uses(model)
    total: Scores = {
        name: torch.zeros(layer.weight.shape, dtype=torch.float64, device=context.device)
        for name, layer in prunable_layers(model).items()
    }
    for first, sharing in holders(model).items():
        for name in sharing:
            layers[name].register_forward_pre_hook(_adder(total[first]), with_kwargs=True)
    for batch in input_batches(context, BATCHES, BATCH):
        with torch.no_grad():
            model(*batch)
    return {name: (squares / (BATCHES * BATCH)).sqrt() for name, squares in total.items()}


def _adder(total: Tensor) -> Callable[[nn.Module, tuple[Any, ...], dict[str, Any]], None]:
    def add(layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        x, *rest = (*args, *kwargs.values())
        total.add_(_squares_read(layer, x.detach().double() ** 2, *rest))

    return add


def _squares_read(layer: nn.Module, squares: Tensor, *rest: Any) -> Tensor:
    """The sum of the ``squares`` that each weight of ``layer`` multiplies; broadcasts to the weight's shape."""
    if isinstance(layer, nn.Linear):
        return squares.reshape(-1, squares.shape[-1]).sum(0)
    assert isinstance(layer, _ConvNd)
    # The operator is linear in its weight: with squares for inputs, the gradient of the sum of all it puts out is, for
    # each weight, the sum over its uses. All outputs of a group read the same, so one filter of each is enough.
    shape, groups = list(layer.weight.shape), layer.groups
    shape[1 if isinstance(layer, _ConvTransposeNd) else 0] = 1 if isinstance(layer, _ConvTransposeNd) else groups
    weight = squares.new_zeros(shape, requires_grad=True)
    with torch.enable_grad():
        (found,) = torch.autograd.grad(_convolved(layer, squares, weight, *rest).sum(), weight)
    return found if isinstance(layer, _ConvTransposeNd) else found.repeat_interleave(layer.out_channels // groups, 0)


def _convolved(layer: _ConvNd, x: Tensor, weight: Tensor, output_size: list[int] | None = None) -> Tensor:
    """What ``layer`` makes of ``x`` with another weight and no bias."""
    if not isinstance(layer, _ConvTransposeNd):
        made: Tensor = layer._conv_forward(x, weight, None)  # with its padding, by its mode
        return made
    kernel, stride, around, dilation = layer.kernel_size, layer.stride, layer.padding, layer.dilation
    asked: Any = layer  # what is typed as lists are tuples
    padding = asked._output_padding(x, output_size, stride, around, kernel, len(kernel), dilation)
    convolve = next(function for kind, function in TRANSPOSED.items() if isinstance(layer, kind))
    return convolve(x, weight, None, stride, around, padding, layer.groups, dilation)
