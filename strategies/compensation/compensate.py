"""Compensation: each layer of a pruned network is fitted anew to what the dense one puts out, on latents alone.

Layer after layer in the order of execution, by least squares on the pruned network's own inputs: what earlier layers
still do wrong is made up for as far as a linear layer can. The least squares of what is left of a layer are those of
Optimal Brain Compression (Frantar & Alistarh 2022) and of the last step of ALPS (Meng et al. 2024), channels included.
A fit has less variance than what it is fitted to. Where a BatchNorm follows, its statistics restore it; elsewhere each
output is scaled to the variance that it had, as REPAIR (Jordan et al. 2023) does for merged networks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from strategies.base import Pruned
from strategies.compensation.columns import unfolds
from strategies.compensation.nearness import Nearness
from strategies.compensation.quadratic import Normal, Operator, Quadratic, channels_first, cost, out_axis
from strategies.compensation.solve import minimise
from strategies.compensation.watched import Passed, Place, order, passed, same_noise
from strategies.layers import PrunableLayer, holders, layer_uses, out_dim, tensors_of, weight_widths

EQUATIONS = 8
"""For each unknown of an output, at least."""
LATENTS = (128, 8192)
"""A fit is made on so many, at least and at most."""
ENTRIES = 2**27
"""Of inputs and outputs of a layer, which are kept: half a gigabyte. Large images have many equations each."""
HELD_OUT = 192
BATCH = 64
PASSES, STEPS = 12, 100
"""Steps of conjugate gradients: by passes of the layer, by second moments."""
EQUAL = 1e-5
"""A layer whose outputs differ from dense by less than this share of their variance is left alone."""

Draw = Callable[[int], tuple[Tensor, ...]]
"""So many inputs of the generator, always new ones."""


@dataclass(frozen=True)
class Compensated:
    """What was fitted, and what that was worth on latents that no fit saw."""

    fitted: tuple[str, ...]
    left: dict[str, str]
    """Layer -> why it has the weights that it had."""
    before: float
    after: float
    """`Nearness` of the outputs to those of dense."""


@torch.no_grad()
def compensate(dense: nn.Module, pruned: Pruned, draw: Draw, settle: Callable[[nn.Module], None]) -> Compensated:
    """Fit the layers of ``pruned.generator``, in place, to those of ``dense``.

    A layer's fit is kept only where it brings the outputs for held-out latents nearer to those of dense (`Nearness`).

    Args:
        dense: as it was before the pruning, in eval mode; it is not changed.
        settle: recomputes the statistics that norms have stored, in place.
    """
    model = pruned.generator
    held = draw(HELD_OUT)
    aims = _outputs(dense, held)
    if not bool(torch.isfinite(aims).all()):
        return Compensated((), dict.fromkeys(layer_uses(model), "dense puts out what is no number"), math.inf, math.inf)
    nearness = Nearness.of(aims)

    def far() -> float:
        settle(model)
        return nearness.distance(_outputs(model, held))

    best = before = far()
    fitted, left = [], {}
    layers, originals = layer_uses(model), layer_uses(dense)
    fixed = _fixed(model, pruned)
    for place in order(model, tuple(x[:2] for x in held)):
        name = place.name
        if name in fixed or name not in originals:
            left[name] = fixed.get(name, "is not in the dense network")
            continue
        latents = draw(_latents(layers[name], place))
        now = passed(model, name, latents, BATCH)
        was = passed(dense, name, latents, BATCH)
        wanted = _kept_channels(layers[name], was.output, now.output, pruned.kept.get(name, {}))
        if wanted is None:
            left[name] = "its outputs cannot be told apart"
            continue
        if (now.output - wanted).square().mean() <= EQUAL * wanted.var():
            left[name] = "puts out what it did"
            continue
        old = _state(layers[name])
        support = pruned.masks.get(name)
        kept = old
        for change in _fits(layers[name], now, wanted, support, place):
            _put(layers[name], change)
            distance = far()
            if distance < best:
                best, kept = distance, change
                break
        _put(layers[name], kept)
        if kept is old:
            left[name] = "the outputs were nearer to dense without a fit"
        else:
            fitted.append(name)
    settle(model)
    return Compensated(tuple(fitted), left, before, best)


State = tuple[Tensor, Tensor | None]
"""A layer's weight and bias."""


def _state(layer: nn.Module) -> State:
    bias = layer._parameters.get("bias")
    weight: Tensor = layer.weight.detach().clone()  # type: ignore[operator]
    return weight, None if bias is None else bias.detach().clone()


def _put(layer: nn.Module, state: State) -> None:
    weight, bias = state
    layer.weight.copy_(weight)  # type: ignore[operator]
    if bias is not None:
        layer.bias.copy_(bias)  # type: ignore[operator]


def _fits(layer: PrunableLayer, now: Passed, wanted: Tensor, support: Tensor | None, place: Place) -> Iterator[State]:
    """Weights and biases to be tried: with the variance that dense has, then as the least squares are."""
    weight, bias = _state(layer)
    free = torch.ones_like(weight, dtype=torch.bool) if support is None else support.to(weight.device)
    centred = place.normed or bias is not None
    quadratic, steps = _quadratic(layer, now, wanted, centred)
    new = weight + minimise(quadratic, free, out_dim(layer), steps)
    aims = channels_first(layer, wanted)
    axes = [d for d in range(aims.ndim) if d != 1]
    _put(layer, (new, None if bias is None else torch.zeros_like(bias)))
    made = channels_first(layer, layer(*now.given))
    if not place.normed:
        factor = aims.std(axes) / made.std(axes)
        factor = torch.where(torch.isfinite(factor), factor, torch.ones_like(factor))
        shape = [1] * weight.ndim
        shape[out_dim(layer)] = -1
        if len(factor) == weight.shape[out_dim(layer)]:
            yield new * factor.view(shape), None if bias is None else aims.mean(axes) - made.mean(axes) * factor
    yield new, None if bias is None else aims.mean(axes) - made.mean(axes)


def _quadratic(layer: PrunableLayer, now: Passed, wanted: Tensor, centred: bool) -> tuple[Quadratic, int]:
    """Whichever is cheaper."""
    if unfolds(layer) and len(now.given) == 1:
        by_passes = 2 * PASSES * _macs(layer, now)
        if cost(layer, now.given[0], now.output) < by_passes:
            return Normal(layer, now.given, wanted, centred), STEPS
    return Operator(layer, now.given, wanted, centred), PASSES


def _macs(layer: PrunableLayer, now: Passed) -> float:
    """Multiplications of a forward pass."""
    channels = now.given[0].shape[out_axis(layer)]
    transposed = getattr(layer, "transposed", False)
    rows = now.given[0].numel() / channels if transposed else now.output.numel() / weight_widths(layer)[0]
    return rows * layer.weight.numel()


def _latents(layer: PrunableLayer, place: Place) -> int:
    unknowns = layer.weight.numel() / weight_widths(layer)[0]
    least, most = LATENTS
    wanted = min(most, max(least, math.ceil(EQUATIONS * unknowns / place.positions)))
    return max(2, min(wanted, ENTRIES // max(1, place.size)))


def _fixed(model: nn.Module, pruned: Pruned) -> dict[str, str]:
    """Layers whose weights are not their own to change, and why."""
    shared = {name for names in holders(model).values() if len(names) > 1 for name in names}
    tied = set(pruned.tied) | set(pruned.tied.values())
    return {
        **dict.fromkeys(shared | tied, "shares its weight"),
        **dict.fromkeys(pruned.codes, "has weights on levels"),
    }


def _kept_channels(layer: nn.Module, was: Tensor, now: Tensor, kept: Mapping[str, Tensor]) -> Tensor | None:
    """The dense outputs of the channels that the pruned layer makes; None where it is not known which they are."""
    axis = out_axis(layer)
    width = now.shape[axis]
    for side in ("out", "in"):  # of a layer with a filter for each channel, what it reads is what it makes
        indices = kept.get(side)
        if indices is None or len(indices) != width or int(indices.max()) >= was.shape[axis]:
            continue
        if side == "out" or getattr(layer, "groups", 1) == width:
            was = was.index_select(axis, indices.to(was.device))
            break
    return was if was.shape == now.shape else None


@torch.no_grad()
def _outputs(model: nn.Module, latents: tuple[Tensor, ...]) -> Tensor:
    """What the network makes of the latents, a row for each; where it draws noise, the same at every call."""
    made = []
    with same_noise():
        for part in zip(*(x.split(BATCH) for x in latents), strict=True):
            made.append(torch.cat([x.flatten(1) for x in tensors_of(model(*part)) if x.is_floating_point()], 1))
    return torch.cat(made)
