"""Channels by what those that read them lose at best, one channel after the other."""

from __future__ import annotations

import torch
from torch import Tensor

from strategies.base import Context, NotApplicable, Scores
from strategies.criteria.moments import Part, Read, damped_inverse, reads
from strategies.criteria.registry import criterion
from strategies.granularity.coupling import Group, Member, couple
from strategies.layers import PrunableLayer, is_torch_layer, layer_uses, weight_widths
from strategies.rows import to_rows

DAMP = 1e-3
"""Of the mean of the diagonal, added to it."""


@criterion(
    "osscar",
    source="Meng et al. 2024 (OSSCAR), greedy elimination without its swaps; groups of coupled channels by their sum",
    formula="tr(W_g' ([H^-1]_gg)^-1 W_g) / var(outputs of the layer), greedy, W and H^-1 updated; sum over readers",
    needs={"inputs"},
)
def osscar(context: Context) -> Scores:
    """What the layers that read a channel lose when it goes, at best, in the order of greedy elimination.

    The loss of a layer is the squared error of its output on the dense network's inputs (128 to 1024 latents, eval
    mode), with all weights that read other channels fitted anew, over the variance of its outputs; ``g`` are the
    columns that read the channel. After each removal the weights and ``H^-1`` are updated. Layers that read the same
    group lose its channels in one order, the cheapest in sum first. A cost never is less than those before (the
    running maximum): so the order is the greedy one. The bias of a reader is not fitted. A grouped convolution cannot
    be fitted so: it counts with ``w^2 E[x^2]`` of what reads the channel, summed. Needs: inputs.

    Returns:
        One score for each output channel of each layer, float64 ``(out,)``; none for a layer whose channels are read
        by what is not known. Layers that make channels of no group, which stay anyhow, have zeros.

    Raises:
        NotApplicable: no group has readers that are all known; a reader's weight is used several times.
    """
    layers = layer_uses(context.generator)
    coupled = context.wiring.found_by(couple, context).groups
    groups = [group for group in coupled if _known(group, layers)]
    if not groups:
        raise NotApplicable("no group of channels is read by nothing but PyTorch's layers")
    readers = dict.fromkeys(m.module for group in groups for m in group.members if m.side == "in")
    read = dict(reads(context, tuple(readers)))
    made = {member.module for group in coupled for member in group.members if member.side == "out"}
    found = {n: torch.zeros(_width(x), dtype=torch.float64) for n, x in layers.items() if n not in made}
    for group in groups:
        costs = group_costs(group, read)
        for member in group.members:
            if member.side == "out" and member.module in layers:
                width = _width(layers[member.module])
                scores = found.setdefault(member.module, torch.zeros(width, dtype=torch.float64))
                scores[member.indices] = costs[member.channels]
    return found


def _known(group: Group, layers: dict[str, PrunableLayer]) -> bool:
    sides = [m for m in group.members if m.side == "in"]
    others = [m for m in group.members if m.side not in ("in", "out")]
    return bool(sides) and not others and all(m.module in layers and is_torch_layer(layers[m.module]) for m in sides)


def _width(layer: torch.nn.Module) -> int:
    return int(getattr(layer, "out_channels", 0)) or weight_widths(layer)[0]


def group_costs(group: Group, read: dict[str, Read], damp: float = DAMP) -> Tensor:
    """The cost at which each channel goes, float64 ``(size,)``; a channel that nothing reads costs nothing."""
    fixed = torch.zeros(group.size, dtype=torch.float64)
    fitted: list[Blocks] = []
    for member in group.members:
        if member.side != "in" or member.module not in read:
            continue
        one = read[member.module]
        scale = 1 / max(one.variance, torch.finfo(torch.float64).tiny)
        if one.parts:
            fitted += [Blocks(part, member, group.size, scale, damp) for part in one.parts]
        else:
            energy = to_rows(one.layer.weight.detach().double() ** 2 * one.diagonal, one.layer).sum((1, 3)).flatten()
            fixed.index_add_(0, member.channels, energy[member.indices].cpu() * scale)
    costs = torch.zeros(group.size, dtype=torch.float64)
    gone = torch.zeros(group.size, dtype=torch.bool)
    highest = 0.0
    for _ in range(group.size):
        now = fixed.clone()
        for blocks in fitted:
            now += blocks.costs()
        cost, which = now.masked_fill(gone, torch.inf).min(0)
        # Where costs tie, the order stays that in which they came.
        highest = max(highest * (1 + 1e-12) + torch.finfo(torch.float64).tiny, float(cost))
        costs[which], gone[which] = highest, True
        for blocks in fitted:
            blocks.remove(int(which))
    return costs


class Blocks:
    """The columns of a part of a layer in blocks, one a channel, and what is left of its least squares."""

    def __init__(self, part: Part, member: Member, size: int, scale: float, damp: float) -> None:
        taps = len(part.which.taps)
        self.scale = scale
        self.p = damped_inverse(part.moments, damp).cpu()
        self.w = part.weight.cpu().clone()
        inputs: list[list[int]] = [[] for _ in range(size)]
        for index, channel in zip(member.indices.tolist(), member.channels.tolist(), strict=True):
            inputs[channel].append(index)
        self.columns = [torch.tensor([i * taps + t for i in held for t in range(taps)]) for held in inputs]
        widths = {len(columns) for columns in self.columns}
        # Almost always all channels have blocks of one size: those are solved in one go.
        self.even = torch.stack(self.columns) if len(widths) == 1 else None

    def costs(self) -> Tensor:
        """Of each channel the growth of the error when it goes next, ``(size,)``; of those that are gone, zero."""
        if self.even is not None:
            return self._costs(self.even)
        return torch.cat([self._costs(c[None]) if len(c) else torch.zeros(1).double() for c in self.columns])

    def _costs(self, columns: Tensor) -> Tensor:
        w = self.w[columns]
        own = self.p[columns[:, :, None], columns[:, None, :]]
        found: Tensor = (w * torch.linalg.solve(own, w)).sum((1, 2)) * self.scale
        return found

    def remove(self, channel: int) -> None:
        """Take a channel out and fit the rest anew."""
        g = self.columns[channel]
        if not len(g):
            return
        between = self.p[:, g]
        solved = torch.linalg.solve(between[g], torch.cat([between.T, self.w[g]], 1))
        self.w -= between @ solved[:, len(self.p) :]
        self.p -= between @ solved[:, : len(self.p)]
        self.w[g] = 0.0
        self.p[g] = 0.0
        self.p[:, g] = 0.0
        self.p[g, g] = 1.0
