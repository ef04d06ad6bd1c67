"""Keeping a one-shot removal in force while the network trains on: zeros stay zero, levels stay levels, ties hold."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from strategies.base import Pruned
from strategies.hooks import NoHooks, Training
from strategies.layers import layer_uses, prunable_layers

OF_DISCRIMINATOR = "discriminator:"
"""Begins the name of an owner that is a layer of D, whose weight the generator's is the transpose of."""


class KeepHooks(NoHooks):
    """Holds masks, levels and ties of ``pruned`` in the generator and its average after every step."""

    def __init__(self, pruned: Pruned) -> None:
        self.pruned = pruned

    def after_step(self, step: int, training: Training) -> Pruned | None:
        for model in (training.generator, training.average):
            keep_zeros(model, self.pruned.masks)
            put_on_levels(model, self.pruned.codes)
            if self.pruned.tied and training.adversarial:
                follow(model, self.pruned.tied, training.discriminator)
            elif self.pruned.tied:  # nobody trains D, so what is taken from it stays as it was
                stay(model, self.pruned.tied, self.pruned.generator)
        return None


@torch.no_grad()
def keep_zeros(model: nn.Module, masks: dict[str, Tensor]) -> None:
    """Zero, in place, the weights where the layer's mask is False."""
    layers = prunable_layers(model)
    for name, mask in masks.items():
        weight = layers[name].weight
        weight.mul_(mask.to(weight.device))


@torch.no_grad()
def put_on_levels(model: nn.Module, codes: dict[str, Tensor]) -> None:
    """Set, in place, each weight to the mean of those with its code; code 0 is zero.

    After a training step this moves a level by the mean step of its members: the gradient of a shared value.
    """
    layers = prunable_layers(model)
    for name, layer_codes in codes.items():
        weight = layers[name].weight
        flat = layer_codes.to(weight.device).flatten().long()
        count = torch.bincount(flat)
        sums = torch.zeros(len(count), dtype=torch.float64, device=weight.device)
        sums.scatter_add_(0, flat, weight.detach().contiguous().flatten().double())
        means = sums / count.clamp_min(1)
        means[0] = 0.0
        weight.copy_(means[flat].to(weight.dtype).view(weight.shape))


@torch.no_grad()
def stay(model: nn.Module, tied: dict[str, str], pruned: nn.Module) -> None:
    """Set, in place, each weight that belongs to D to what it is in ``pruned``."""
    theirs = prunable_layers(pruned)
    for name, owner in tied.items():
        if owner.startswith(OF_DISCRIMINATOR):
            weight = prunable_layers(model)[name].weight
            weight.copy_(theirs[name].weight.to(weight))


@torch.no_grad()
def follow(model: nn.Module, tied: dict[str, str], discriminator: nn.Module | None) -> None:
    """Set, in place, each weight that belongs to D to the transpose of D's; ties within one network hold by themselves.

    Raises:
        ValueError: a tie to D, and no D.
    """
    layers = prunable_layers(model)
    for name, owner in tied.items():
        if not owner.startswith(OF_DISCRIMINATOR):
            continue
        if discriminator is None:
            raise ValueError(f"{name} is tied to {owner}, and there is no discriminator")
        weight = layers[name].weight
        theirs = discriminator.get_submodule(owner.removeprefix(OF_DISCRIMINATOR)).weight
        assert isinstance(theirs, Tensor)
        weight.copy_(theirs.T.to(weight))


def share(model: nn.Module, tied: dict[str, str]) -> None:
    """Make, in place, each tied layer of ``model`` use its owner's parameter; those that follow D keep their own.

    Raises:
        KeyError: a layer that the model lacks.
        ValueError: two weights of different shapes.
    """
    layers = layer_uses(model)
    for name, owner in tied.items():
        if owner.startswith(OF_DISCRIMINATOR):
            continue
        weight, shared = layers[name].weight, layers[owner].weight
        if weight.shape != shared.shape:
            raise ValueError(f"{name} and {owner} differ in shape")
        for module in model.modules():  # whoever shared the weight goes on sharing it
            if module._parameters.get("weight") is weight:
                module.weight = shared
