"""Raw values of all that goes with a channel: of the layers that make and read it, and of the BatchNorm scales between.

For the granularity `group`, which adds them up member by member. The formulas are those of Torch-Pruning 1.6.1 at its
defaults (``group_reduction="mean"``, ``normalizer="mean"``, ``bias=False``), after DepGraph (Fang et al. 2023), but for
what is said in each: the norm is the allocation's part. They have the names of the criteria of single filters and are
registered under none: there is one ``l2``, of a filter or of a group.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from strategies.base import Context, Criterion, Scores, sum_of
from strategies.criteria.builtin import l1 as l1_of_filters
from strategies.criteria.geometry import fpgm as fpgm_of_filters
from strategies.criteria.gradients import Differentiable, adversarial_loss, input_batches, mean
from strategies.criteria.loss import FISHER_SAMPLES
from strategies.criteria.loss import fisher as fisher_of_filters
from strategies.criteria.loss import taylor as taylor_of_channels
from strategies.criteria.magnitude import l2 as l2_of_filters

DEPGRAPH = "groups: Fang et al. 2023 (DepGraph)"


def scales(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Name and scale of every BatchNorm that has one."""
    for name, module in model.named_modules():
        if isinstance(module, _BatchNorm) and module.affine:
            yield name, cast(Tensor, module.weight)


def members(context: Context) -> Scores:
    """The weight of each layer and the scale of each BatchNorm, float64, detached."""
    found = dict(context.weights()) | {name: scale.detach() for name, scale in scales(context.generator)}
    return {name: values.double() for name, values in found.items()}


def differentiable(context: Context) -> Differentiable:
    """A copy of the generator that gradients of its weights and of its BatchNorm scales can be taken of."""
    net = Differentiable.of(context)
    return Differentiable(net.model, net.weights | {n: s.requires_grad_(True) for n, s in scales(net.model)})


def l1_of_members(context: Context) -> Scores:
    """``|w|`` of every weight and BatchNorm scale. Needs nothing but the weights."""
    return {name: values.abs() for name, values in members(context).items()}


def l2_of_members(context: Context) -> Scores:
    """``w ** 2`` of every weight and BatchNorm scale; summed, without a root. Needs nothing but the weights."""
    return {name: values**2 for name, values in members(context).items()}


def weights_themselves(context: Context) -> Scores:
    """``w`` of every weight; scales are no filters, and have no distance. Needs nothing but the weights."""
    return {name: weight.double() for name, weight in context.weights()}


def squares_of_weights(context: Context) -> Scores:
    """``w ** 2`` of every weight, whose distances Torch-Pruning takes. Needs nothing but the weights."""
    return {name: weight.double() ** 2 for name, weight in context.weights()}


def distances(slices: Tensor) -> Tensor:
    """Sum of the distances of each row to the others: ``(channels, weights) -> (channels,)``.

    What reads a channel behind a flattened image is one row for each channel; in Torch-Pruning one for each of its
    inputs, so that other places of the same channel count as other filters.
    """
    # Differences first, not the faster expansion of the square: equal rows must be at distance 0.
    return torch.cdist(slices, slices, compute_mode="donot_use_mm_for_euclid_dist").sum(1)


def taylor_of_members(context: Context) -> Scores:
    """``|w dL/dw|`` of every weight and BatchNorm scale, of the mean gradient over 8 batches of 32 latents, eval mode.

    Torch-Pruning means to count the scales too, and asks for a GroupNorm where it has a BatchNorm: there they never
    count. Needs: inputs, discriminator. Raises `MissingData` without them.
    """
    net, goal = differentiable(context), adversarial_loss(context)
    gradients = mean(net.gradients(batch, goal) for batch in input_batches(context))
    return {name: (values.double() * gradients[name].double()).abs() for name, values in net.values().items()}


def fisher_of_members(context: Context) -> Scores:
    """``E[g^2] w^2 / 2`` of every weight and BatchNorm scale, with the gradients of `FISHER_SAMPLES` samples.

    Torch-Pruning's `GroupHessianImportance` (without the half, which changes no order) looks its sums up by name and
    keeps them by tensor, so each sample replaces the one before and the last alone counts. Needs: inputs,
    discriminator. Raises `MissingData` without them.
    """
    net, goal = differentiable(context), adversarial_loss(context)
    samples = input_batches(context, FISHER_SAMPLES, 1)
    squares = mean({name: g.double() ** 2 for name, g in net.gradients(z, goal).items()} for z in samples)
    return {name: squares[name] * values.double() ** 2 / 2 for name, values in net.values().items()}


def _of_groups(
    filters: Criterion,
    score: Callable[[Context], Scores],
    formula: str,
    reduce: Callable[[Tensor], Tensor] = sum_of,
) -> Criterion:
    """The criterion of the same name whose raw values are those of all members."""
    return Criterion(filters.name, score, f"{filters.source}; {DEPGRAPH}", formula, needs=filters.needs, reduce=reduce)


l1 = _of_groups(l1_of_filters, l1_of_members, "mean over the members of a group of sum |w|")
l2 = _of_groups(l2_of_filters, l2_of_members, "mean over the members of a group of sum w^2")
fpgm = _of_groups(
    fpgm_of_filters,
    weights_themselves,
    "mean over the members of a group of sum_j ||W_i - W_j||_2, W_i what a member has of channel i",
    distances,
)
fpgmsq = replace(
    fpgm,
    name="fpgmsq",
    score=squares_of_weights,
    source="Torch-Pruning 1.6.1, whose FPGM squares the weights before it takes their distances",
    formula="mean over the members of a group of sum_j ||W_i^2 - W_j^2||_2, squared element by element",
)
taylor = _of_groups(
    taylor_of_channels,
    taylor_of_members,
    "mean over the members of a group of sum |w g|, g = dL/dw; L = -E[log D(G(z))]",
)
fisher = _of_groups(
    fisher_of_filters,
    fisher_of_members,
    "mean over the members of a group of sum E[g^2] w^2 / 2, g = dL/dw of one sample; L = -E[log D(G(z))]",
)
