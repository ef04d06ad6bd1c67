"""Gradients of a generator's weights, taken on copies: the networks of the context stay as they are.

All is done in eval mode and float32. That is not only for repeatability: behind a BatchNorm in training mode the
filter's weights are free in scale, so the first-order change ``sum w g`` of every channel would be zero.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrize

from strategies.base import Context, MissingData, Scores
from strategies.layers import prunable_layers

BATCHES, BATCH = 8, 32
"""Batches of generator inputs that gradients are taken on, and their size."""

Inputs = tuple[Tensor, ...]
Loss = Callable[[Tensor, Inputs], Tensor]
"""What the generator made of one batch, and that batch -> one number."""


def frozen(network: nn.Module, device: torch.device) -> nn.Module:
    """A float32 copy in eval mode on ``device`` that takes no gradients."""
    return copy.deepcopy(network).float().to(device).eval().requires_grad_(False)


def input_batches(context: Context, count: int = BATCHES, size: int = BATCH) -> list[Inputs]:
    """``count`` batches of ``size`` generator inputs from the `prune` stream, cut from one draw."""
    drawn = context.inputs(count * size)
    return list(zip(*(x.split(size) for x in drawn), strict=True))


def adversarial_loss(context: Context) -> Loss:
    """The generator's loss ``L = -E[log D(G(z))]`` with ``D`` a probability: of logits ``softplus(-D(x))``.

    Raises:
        MissingData: the context has no discriminator.
    """
    logits = _discriminator(context)
    return lambda images, inputs: functional.softplus(-logits(images, inputs)).mean()


def critic_loss(context: Context) -> Loss:
    """``L = -E[D(G(z))]`` of the logits. Raises `MissingData` without a discriminator."""
    logits = _discriminator(context)
    return lambda images, inputs: -logits(images, inputs).mean()


def _discriminator(context: Context) -> Loss:
    """What D says of generated images."""
    if context.discriminator is None:
        raise MissingData("this context has no discriminator; say needs={'discriminator'}")
    judge = frozen(context.discriminator, context.device)
    return lambda images, inputs: judge(images, *context.condition(inputs))


@dataclass(frozen=True)
class Differentiable:
    """A copy of a generator that gradients can be taken of, with respect to its prunable weights alone."""

    model: nn.Module
    weights: dict[str, Tensor]

    @classmethod
    def of(cls, context: Context, dtype: torch.dtype = torch.float32) -> Differentiable:
        model = frozen(context.generator, context.device).to(dtype)
        layers = prunable_layers(model)
        for layer in layers.values():
            if parametrize.is_parametrized(layer, "weight"):  # take the weight itself, not what it is made from
                parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)
            layer.weight.requires_grad_(True)
        return cls(model, {name: layer.weight for name, layer in layers.items()})

    def gradients(self, inputs: Inputs, loss: Loss, create_graph: bool = False) -> Scores:
        """``d loss(G(inputs)) / d weight`` for each layer; zeros where a layer has no say."""
        with torch.enable_grad():
            return self.differentiate(loss(self.model(*inputs), inputs), create_graph)

    def differentiate(self, value: Tensor, create_graph: bool = False) -> Scores:
        """``d value / d weight`` for each layer."""
        extra: dict[str, Any] = {"create_graph": create_graph, "allow_unused": True, "materialize_grads": True}
        found = torch.autograd.grad(value, list(self.weights.values()), **extra)
        return dict(zip(self.weights, found, strict=True))

    def values(self) -> Scores:
        """The weights, detached."""
        return {name: weight.detach() for name, weight in self.weights.items()}


def mean(found: Iterable[Scores]) -> Scores:
    """The mean of each layer's tensors; only the running sum is kept."""
    total: Scores = {}
    count = 0
    for count, scores in enumerate(found, start=1):  # noqa: B007
        total = {name: total[name] + values if total else values.clone() for name, values in scores.items()}
    return {name: values / count for name, values in total.items()}


def mean_gradients(context: Context, loss: Loss) -> tuple[Scores, Scores]:
    """The weights and the mean over `BATCHES` batches of the gradients of ``loss``. Needs inputs."""
    net = Differentiable.of(context)
    return net.values(), mean(net.gradients(batch, loss) for batch in input_batches(context))


def products(context: Context, loss: Loss) -> Scores:
    """``w * dL/dw`` on each of `BATCHES` batches, ``(BATCHES, *weight.shape)``. Needs inputs."""
    net = Differentiable.of(context)
    values = net.values()
    found = {name: weight.new_empty(BATCHES, *weight.shape) for name, weight in values.items()}
    for k, batch in enumerate(input_batches(context)):
        for name, gradient in net.gradients(batch, loss).items():
            torch.mul(values[name], gradient, out=found[name][k])
    return found
