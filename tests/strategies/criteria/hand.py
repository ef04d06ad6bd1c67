"""A two-layer network small enough to work everything out on paper.

``x = V relu(W z)`` with three hidden units made from two inputs and one output, no biases:

    W = [[1, 4], [-2, 5], [3, -6]]        V = [.5, -.25, .125]

    Z1 = (1, 1):  W z = (5, 3, -3)  relu (5, 3, 0)   x = 2.5 - .75        = 1.75
    Z2 = (2, 0):  W z = (2, -4, 6)  relu (2, 0, 6)   x = 1        + .75   = 1.75

and a discriminator whose logit is ``x``: ``dL/dx = -sigmoid(-1.75) = -S`` for ``L = softplus(-x)``.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from strategies.base import Context, Criterion, Scores
from strategies.granularity.channel import channel_scores
from strategies.granularity.coupling import couple
from strategies.granularity.weight import weight_scores

W = torch.tensor([[1.0, 4.0], [-2.0, 5.0], [3.0, -6.0]])
V = torch.tensor([[0.5, -0.25, 0.125]])
Z1, Z2 = (1.0, 1.0), (2.0, 0.0)
S = 1 / (1 + math.exp(1.75))

KINDS = ["linear", "conv", "transposed"]


class Net(nn.Module):
    """The network above, as linear layers or as 1 x 1 convolutions."""

    def __init__(self, kind: str = "linear", w: Tensor = W, v: Tensor = V) -> None:
        super().__init__()
        self.kind = kind
        self.first, self.last = layer(kind, w), layer(kind, v)
        self.act = nn.ReLU(inplace=True)

    def forward(self, z: Tensor) -> Tensor:
        if self.kind != "linear":
            z = z[:, :, None, None]
        out: Tensor = self.last(self.act(self.first(z)))
        return out.flatten(1)


def layer(kind: str, weight: Tensor) -> nn.Module:
    """A bias-free layer with ``weight``, given as ``(out, in)``."""
    width_out, width_in = weight.shape
    made: nn.Module
    if kind == "linear":
        made = nn.Linear(width_in, width_out, bias=False)
    elif kind == "conv":
        made = nn.Conv2d(width_in, width_out, 1, bias=False)
    else:
        made = nn.ConvTranspose2d(width_in, width_out, 1, bias=False)
    with torch.no_grad():
        made.weight.copy_((weight.T if kind == "transposed" else weight).reshape(made.weight.shape))
    return made


class Logit(nn.Module):
    """``D(x) = x``, with a dropout that would show if D were not in eval mode."""

    def __init__(self) -> None:
        super().__init__()
        self.drop = nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.drop(x).flatten(1).sum(1)
        return logits


def cycling(*rows: tuple[float, ...], each: int = 1) -> Callable[[int, torch.Generator], tuple[Tensor, ...]]:
    """A sampler that gives each of ``rows`` ``each`` times and starts again."""

    def draw(count: int, rng: torch.Generator) -> tuple[Tensor, ...]:
        block = torch.tensor(rows).repeat_interleave(each, 0)
        return (block.repeat(-(-count // len(block)), 1)[:count],)

    return draw


def context(
    model: nn.Module | None = None, *rows: tuple[float, ...], each: int = 1, seed: int = 0, judge: bool = True
) -> Context:
    """What a criterion is given; the latents are ``rows`` in turn, `Z1` alone if there are none."""
    rows = rows or (Z1,)
    return Context(
        (model or Net()).train(),
        (torch.tensor(rows[:1]),),
        torch.Generator().manual_seed(seed),
        cycling(*rows, each=each),
        discriminator=Logit().train() if judge else None,
    )


def weights_of(criterion: Criterion, found: Context) -> Scores:
    """One score a weight, of each layer as ``(out, in)``."""
    scores = weight_scores(found, criterion)
    transposed = getattr(found.generator, "kind", "") == "transposed"
    return {
        n: (s.flatten(1).reshape(s.shape[:2]).T if transposed else s.reshape(s.shape[:2])) for n, s in scores.items()
    }


def channels_of(criterion: Criterion, found: Context) -> list[float]:
    """The scores of the hidden units."""
    (group,) = couple(found.generator, found.example_inputs).groups
    values = channel_scores(group, found.generator, criterion(found), criterion)
    assert values is not None
    return values.tolist()
