"""How much work a network is, roughly and at once: for dealing out cells and estimating their time, never a record."""

from __future__ import annotations

import contextlib

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from strategies.layers import device_of, is_torch_layer, layer_uses


def rough_macs(model: nn.Module, example_inputs: tuple[Tensor, ...]) -> int:
    """MACs of one image in PyTorch's layers that are called as modules; 0 where there are layers of another kind.

    `strategies.work` counts all there is, but PyTorch takes over a second to get ready for it.
    """
    layers = layer_uses(model)
    if not all(is_torch_layer(layer) for layer in layers.values()):
        return 0
    total, batch = 0, len(example_inputs[0])

    def add(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        if isinstance(layer, nn.Linear):
            total += output.numel() * layer.in_features // batch
        elif isinstance(layer, _ConvNd):
            grid = inputs[0] if isinstance(layer, _ConvTransposeNd) else output
            total += grid.shape[-len(layer.kernel_size) :].numel() * layer.weight.numel()

    modes = {module: module.training for module in model.modules()}
    with contextlib.ExitStack() as stack:
        for layer in layers.values():
            stack.callback(layer.register_forward_hook(add).remove)
        try:
            with torch.no_grad():
                model.eval()(*(x.to(device_of(model)) for x in example_inputs))
        finally:
            for module, mode in modes.items():
                module.training = mode
    return total
