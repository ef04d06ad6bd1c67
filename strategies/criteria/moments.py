"""Second moments of what each layer reads: its squared error as a function of a change of its weight."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from strategies.base import Context, NotApplicable
from strategies.compensation.columns import Class, unfolds, weight_rows
from strategies.compensation.quadratic import Normal, Operator, channels_first
from strategies.compensation.watched import order, passed
from strategies.criteria.gradients import frozen
from strategies.layers import PrunableLayer, holders, is_torch_layer, layer_uses, out_dim

ROWS = 4
"""For each column that an output reads, at least, as far as latents go."""
LATENTS = (128, 1024)
ENTRIES = 2**26
"""Of inputs and outputs of a layer, which are kept at once: a quarter of a gigabyte."""
BATCH = 64


@dataclass(frozen=True)
class Part:
    """Outputs that are read by the same columns (`columns.classes`)."""

    which: Class
    moments: Tensor
    """``X'X / rows``, float64 ``(n, n)``; rows are all those of the layer."""
    weight: Tensor
    """float64 ``(n, out)``"""


@dataclass(frozen=True)
class Read:
    """What a layer reads; changing its weight by ``d`` costs ``sum over parts of tr(d' moments d)``."""

    layer: PrunableLayer
    parts: tuple[Part, ...]
    """None where the layer does not unfold (a grouped convolution)."""
    diagonal: Tensor
    """Mean square of what each weight multiplies, over rows, of the weight's shape."""
    variance: float
    """Of the layer's outputs over rows, summed over its output channels: what its error is measured by."""


def reads(context: Context, names: Collection[str]) -> Iterator[tuple[str, Read]]:
    """Of the layers ``names`` what they read in the dense generator in eval mode; those that never run are left out.

    As many latents as give four rows for each column, 128 to 1024 of them: the same first ones for all layers.

    Raises:
        NotApplicable: a layer of ``names`` is none of PyTorch's, is called several times, or shares its weight.
    """
    model = frozen(context.generator, context.device)
    layers = layer_uses(model)
    latents = context.inputs(LATENTS[1])
    first = tuple(x[:2] for x in latents)
    places = {place.name: place for place in order(model, first)}
    shared = {name for sharing in holders(model).values() if len(sharing) > 1 for name in sharing}
    running = _running(model, layers, first)
    for name in names:
        if name not in running:
            continue
        if not is_torch_layer(layers[name]):
            raise NotApplicable(f"{name} uses its weight by code of its own: what each weight reads is not known")
        if name in shared or name not in places:
            raise NotApplicable(f"{name} uses its weight several times: its removals are no one least-squares problem")
        place = places[name]
        width = layers[name].weight.numel() / layers[name].weight.shape[out_dim(layers[name])]
        count = min(LATENTS[1], max(LATENTS[0], math.ceil(ROWS * width / place.positions)))
        count = max(2, min(count, ENTRIES // place.size))
        yield name, read_of(model, name, tuple(x[:count] for x in latents))


def read_of(model: nn.Module, name: str, latents: tuple[Tensor, ...]) -> Read:
    """What the layer ``name`` of ``model`` reads on ``latents``."""
    layer = layer_uses(model)[name]
    seen = passed(model, name, latents, BATCH)
    outputs = channels_first(layer, seen.output).double()
    variance = float(outputs.var([d for d in range(outputs.ndim) if d != 1], correction=0).sum())
    if not unfolds(layer) or len(seen.given) > 1:
        return Read(layer, (), Operator(layer, seen.given, seen.output, False).diagonal.double(), variance)
    normal = Normal(layer, seen.given, seen.output, False)
    weight = layer.weight.detach()
    parts = tuple(
        Part(part.which, part.moments.double(), weight_rows(layer, weight, part.which).double())
        for part in normal.parts
    )
    return Read(layer, parts, normal.diagonal.double(), variance)


def _running(model: nn.Module, layers: dict[str, PrunableLayer], latents: tuple[Tensor, ...]) -> set[str]:
    """The layers that a forward pass calls."""
    found: set[str] = set()
    handles = [
        layer.register_forward_hook(lambda m, i, o, name=name: found.add(name)) for name, layer in layers.items()
    ]
    with torch.no_grad():
        model(*latents)
    for handle in handles:
        handle.remove()
    return found


def damped_inverse(moments: Tensor, damp: float) -> Tensor:
    """Inverse of ``moments`` with ``damp`` times the mean of their diagonal added to it, as in SparseGPT."""
    added = (damp * moments.diagonal().mean()).clamp_min(torch.finfo(moments.dtype).tiny ** 0.5)
    damped = moments + added * torch.eye(len(moments), dtype=moments.dtype, device=moments.device)
    return torch.cholesky_inverse(torch.linalg.cholesky_ex(damped).L)
