"""Synaptic flow: which weights carry the paths from input to output (Tanaka et al. 2020)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _NormBase
from torch.overrides import TorchFunctionMode

from strategies.base import Context, Scores
from strategies.criteria.gradients import Differentiable
from strategies.criteria.registry import criterion

ROUNDS = 100

PASSED = {
    "relu", "relu_", "leaky_relu", "leaky_relu_", "prelu", "elu", "elu_", "selu", "selu_", "celu", "celu_",
    "gelu", "silu", "mish", "sigmoid", "sigmoid_", "tanh", "tanh_", "hardtanh", "hardtanh_", "hardsigmoid",
    "hardswish", "softplus", "group_norm", "layer_norm", "instance_norm",
}  # fmt: skip
"""Functions that the linear network does without."""


@criterion(
    "synflow",
    source="Tanaka et al. 2020 (SynFlow), made for initialisation, here applied after training",
    formula="place in the order of removal over 100 rounds by |w dR/d|w||, R = 1' prod|W| 1; filters: sum",
)
def synflow(context: Context) -> Scores:
    """The order in which SynFlow removes the weights, from 1 / N (first) to 1.

    ``R`` is what an input of ones makes of the network with ``|W|`` for its weights, without biases and
    activations; a BatchNorm is the factor ``|gamma| / sqrt(var + eps)`` that it is in eval mode, other norms are left
    out. Scoring once would not be SynFlow: what is left is scored again in each of 100 rounds, after which
    ``N (layers / N)^(round / 100)`` weights are left. The paper's rounds end at the sparsity asked for; here at the
    highest that leaves a weight in each layer, and the order of removal is the score, so one nested order serves every
    sparsity. The last few go by their last score. Float64; needs nothing but the weights and example inputs.

    Returns:
        ``place / N``, of each weight's shape; a channel has the sum over its filter.
    """
    net, inputs = linear(context), ones(context)
    sizes = [weight.numel() for weight in net.weights.values()]
    total = sum(sizes)
    alive = torch.arange(total, device=context.device)
    place = torch.zeros(total, dtype=torch.float64, device=context.device)
    for k in range(1, ROUNDS + 1):
        carried = flow(net, inputs)
        values = torch.cat([carried[name].flatten() for name in net.weights])[alive]
        left = round(total * (len(sizes) / total) ** (k / ROUNDS)) if k < ROUNDS else 0
        if left == len(alive):
            continue
        lowest = smallest(values, len(alive) - left)
        gone = alive[lowest]
        place[gone] = total - len(alive) + torch.arange(1, len(gone) + 1, dtype=torch.float64, device=context.device)
        stays = torch.ones_like(values, dtype=torch.bool)
        stays[lowest] = False
        alive = alive[stays]
        _zero(net, gone, sizes)
    parts = (place / total).split(sizes)
    return {name: part.view(w.shape) for (name, w), part in zip(net.weights.items(), parts, strict=True)}


def smallest(values: Tensor, count: int) -> Tensor:
    """Positions of the ``count`` smallest values in ascending order, of equal ones the first.

    What a stable sort would give, several times faster: only what is taken gets sorted.
    """
    edge = torch.kthvalue(values, count).values
    below = (values < edge).nonzero().squeeze(1)
    level = (values == edge).nonzero().squeeze(1)[: count - len(below)]
    return torch.cat([below[torch.argsort(values[below], stable=True)], level])


def linear(context: Context) -> Differentiable:
    """A float64 copy of the generator with non-negative weights, no biases, and norms as factors."""
    net = Differentiable.of(context, torch.float64)
    with torch.no_grad():
        for module in net.model.modules():
            for name, parameter in module.named_parameters(recurse=False):
                parameter.zero_() if "bias" in name else parameter.abs_()
            if isinstance(module, _NormBase) and module.running_mean is not None:
                module.running_mean.zero_()
    return net


def ones(context: Context) -> tuple[Tensor, ...]:
    """Inputs of one image: ones for every float, the examples themselves for labels."""
    given = (x[:1].to(context.device) for x in context.example_inputs)
    return tuple(torch.ones_like(x, dtype=torch.float64) if x.is_floating_point() else x for x in given)


def flow(net: Differentiable, inputs: tuple[Tensor, ...]) -> Scores:
    """``w dR/dw`` of every weight of a network made by `linear`: its share of what flows from input to output."""
    with _Straight():
        gradients = net.gradients(inputs, lambda images, _: images.sum())
    return {name: net.weights[name].detach() * g for name, g in gradients.items()}


class _Straight(TorchFunctionMode):
    """Within it activations are not applied, be they modules or plain functions."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if getattr(func, "__name__", "") in PASSED:
            return next(iter([*args, *(kwargs or {}).values()]))
        return func(*args, **(kwargs or {}))


@torch.no_grad()
def _zero(net: Differentiable, gone: Tensor, sizes: list[int]) -> None:
    mask = torch.zeros(sum(sizes), dtype=torch.bool, device=gone.device)
    mask[gone] = True
    for weight, part in zip(net.weights.values(), mask.split(sizes), strict=True):
        weight[part.view(weight.shape)] = 0.0
