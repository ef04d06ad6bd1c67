"""What channels put out on generated inputs."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from strategies.base import Context, Scores
from strategies.criteria.gradients import frozen, input_batches
from strategies.criteria.registry import criterion
from strategies.layers import layer_uses

BATCHES, BATCH = 16, 16

FOLLOWED = (
    _NormBase, nn.Identity, nn.ReLU, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU, nn.Mish,
    nn.Sigmoid, nn.Tanh, nn.Hardtanh, nn.Hardsigmoid, nn.Hardswish, nn.Softplus,
)  # fmt: skip
"""Modules that take a channel's values and put out that channel's values."""


@criterion(
    "activation",
    source="Molchanov et al. 2017 (mean activation)",
    formula="E_z |a_c|, mean over positions",
    needs={"inputs"},
)
def activation(context: Context) -> Scores:
    """Mean magnitude of a channel's output over 256 latents and all positions, eval mode.

    The output is taken behind the norm and activation *modules* that directly follow the layer; where a plain
    function comes first (``torch.relu``, a sum), what was reached until then counts. Needs: inputs.

    Returns:
        One score for each channel of each layer, float64 ``(out,)``.
    """
    total: Scores = {}
    count = 0
    for outputs in channel_outputs(context):
        count += 1
        for name, values in outputs.items():
            total[name] = total.get(name, torch.tensor(0.0)) + values.abs().mean((0, 2))
    return {name: values / count for name, values in total.items()}


@criterion(
    "actvar",
    source="after Polyak & Wolf 2015 (channels of low variance go)",
    formula="Var_z(a_c), mean over positions",
    needs={"inputs"},
)
def actvar(context: Context) -> Scores:
    """Variance of a channel's output over 256 latents at each position, then the mean over positions, eval mode.

    A channel that says the same for every latent adds nothing that a bias could not. The output is taken where
    `activation` takes it. Needs: inputs.

    Returns:
        One score for each channel of each layer, float64 ``(out,)``.
    """
    origin: Scores = {}
    first: Scores = {}
    second: Scores = {}
    for outputs in channel_outputs(context):
        for name, values in outputs.items():
            origin.setdefault(name, values[0].clone())  # a variance has no origin; near the values it loses no digits
            away = values - origin[name]
            first[name] = first.get(name, torch.tensor(0.0)) + away.mean(0) / BATCHES
            second[name] = second.get(name, torch.tensor(0.0)) + (away**2).mean(0) / BATCHES
    return {name: (second[name] - first[name] ** 2).clamp_min(0).mean(1) for name in first}


def channel_outputs(context: Context) -> Iterator[Scores]:
    """For each batch of latents what every layer puts out, float64 ``(batch, channels, positions)``."""
    model = frozen(context.generator, context.device)
    layers = layer_uses(model)
    last: dict[str, Tensor] = {}

    def made(name: str, output: Tensor) -> None:
        last[name] = output

    def passed(given: Tensor, output: Tensor) -> None:
        for name, before in last.items():
            if before is given:
                last[name] = output

    for name, layer in layers.items():
        layer.register_forward_hook(lambda m, i, o, name=name: made(name, o))
    for module in model.modules():
        if isinstance(module, FOLLOWED):
            module.register_forward_hook(lambda m, i, o: passed(i[0], o))
    for batch in input_batches(context, BATCHES, BATCH):
        last.clear()
        with torch.no_grad():
            model(*batch)
        yield {name: _by_channel(layers[name], output.double()) for name, output in last.items()}


def _by_channel(layer: nn.Module, output: Tensor) -> Tensor:
    if isinstance(layer, nn.Linear):
        output = output.movedim(-1, 1)
    return output.reshape(*output.shape[:2], -1)
