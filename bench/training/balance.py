"""A discriminator whose density follows the balance of the game (after ADAPT, Wang et al., NeurIPS 2023).

The balance ratio of one step of G, with the D that G was trained against in that step:

    BR = E[D(G_after(z)) - D(G_before(z))] / E[D(x) - D(G_before(z))]

D in logits, the same z before and after: how much of the distance to the real images G made good in one step. Near
0, D is too strong and loses its smallest weights; near 1, D is too weak and gets weights back, those with the largest
gradient.

What is adapted. The paper trains from scratch for 100,000 steps, changes D's density by .05 after every 2,000 of
them, and starts sparse. A recovery is short and starts with a trained, dense D: so there are ten adjustments spread
evenly over it, whatever its length. BR is the ratio of two means over the steps since the last adjustment, not the
mean of ratios, whose denominators may come near to zero. The paper's bounds (.5 and .65) are those of its own GANs;
ours were measured in the first 100 steps of fine-tuning: dense `mnist-dcgan` is in balance at .41 to .47, and pruned
to .7 (`l1-channel-global`) it starts at .05; dense `mnist-mlp` is at .09 to .10, and pruned at .02 to .06. D is taken
in eval mode: neither dropout nor power iterations get into the measurement, nor the measurement into the training.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call

from bench.base.seeds import stream
from bench.training.sparse_d import SparseDiscriminator, smallest_gone
from bench.workloads.condition import UNCONDITIONAL, Condition
from strategies.hooks import Training
from strategies.layers import prunable_layers, stored_weight


@dataclass(frozen=True)
class BalanceRule:
    """When D counts as too strong or too weak, and what follows."""

    low: float = 0.1
    """Below this D is too strong."""
    high: float = 0.3
    """Above this D is too weak."""
    change: float = 0.05
    """Share of all of D's weights that an adjustment takes or gives back."""
    floor: float = 0.05
    """D never has less than this share."""
    adjustments: int = 10
    """At most so many in a training, the last one before its end."""
    measured: int = 8
    """Steps that are measured for one adjustment, where there are as many."""

    def rhythm(self, steps: int) -> tuple[int, int]:
        """Of a training of ``steps``: how many steps there are to an adjustment, and to a measurement."""
        every = -(-steps // (self.adjustments + 1))
        return every, max(1, every // self.measured)


class BalancedDiscriminator(SparseDiscriminator):
    """D's density moves with the measured balance ratio."""

    def __init__(
        self,
        images: Tensor,
        steps: int,
        seed: int,
        rule: BalanceRule | None = None,
        *,
        condition: Condition = UNCONDITIONAL,
        labels: Tensor | None = None,
    ) -> None:
        """``images``: uint8 training images ``(N, C, H, W)``; some are drawn from the seed's `train` stream.

        Args:
            condition: what D takes besides images; ``labels`` are then the images' classes, int64 ``(N,)``.
        """
        super().__init__()
        self.images, self.seed, self.rule = images, seed, rule or BalanceRule()
        self.condition = condition
        self.labels = torch.zeros(len(images), dtype=torch.int64) if labels is None else labels
        self.every, self.spacing = self.rule.rhythm(steps)
        self.gained = self.distance = 0.0
        self.ratio: float | None = None
        """As measured for the last adjustment; None: there was none yet."""
        self._before: tuple[tuple[Tensor, ...], Tensor] | None = None

    def measures(self, step: int) -> bool:
        """Whether the balance is measured in ``step``."""
        return step % self.spacing == 0

    def extra_loss(self, step: int, training: Training, inputs: tuple[Tensor, ...], fake: Tensor) -> None:
        """Adds nothing; keeps what G made before its step."""
        self._before = (inputs, fake.detach().float()) if self.measures(step) else None

    def after_step(self, step: int, training: Training) -> None:
        if self._before is not None:
            self._measure(step, training, *self._before)
            self._before = None
        if (step + 1) % self.every == 0 and step + 1 < training.steps:
            # Where D does not rate real images higher than G's, it has nothing left to teach.
            self.ratio = self.gained / self.distance if self.distance > 0 else 1.0
            self.gained = self.distance = 0.0
            if self.ratio < self.rule.low:
                self.cut(training, min(1 - self.density + self.rule.change, 1 - self.rule.floor))
            elif self.ratio > self.rule.high and self.masks:
                self.grow(training, self.rule.change)
        self.hold(training)

    @torch.no_grad()
    def _measure(self, step: int, training: Training, inputs: tuple[Tensor, ...], before: Tensor) -> None:
        generator, judge = training.generator, training.discriminator
        # As in training, with the statistics of the batch; the running ones are copies and stay as they are.
        after = functional_call(generator, {name: b.clone() for name, b in generator.named_buffers()}, inputs)
        rng = stream(self.seed, "train", "balance", step)
        chosen = torch.randint(len(self.images), (len(before),), generator=rng)
        real = self.images[chosen].to(before.device, torch.float32).div_(127.5).sub_(1)
        given = self.condition.of_inputs(inputs)
        theirs = tuple(x.to(before.device) for x in self.condition.of_labels(self.labels[chosen]))
        judge.eval()
        of_before, of_after, of_real = (
            float(judge(x.float(), *besides).mean()) for x, besides in ((before, given), (after, given), (real, theirs))
        )
        judge.train()
        self.gained += of_after - of_before
        self.distance += of_real - of_before

    @torch.no_grad()
    def grow(self, training: Training, share: float) -> None:
        """Give back ``share`` of all weights: those with the largest gradient. They start at zero, as in RigL."""
        layers = prunable_layers(training.discriminator)
        weights = {name: stored_weight(layers[name]) for name in self.masks}
        total = sum(mask.numel() for mask in self.masks.values())
        gone = total - sum(int(mask.sum()) for mask in self.masks.values())
        pull = {
            name: (torch.zeros_like(w) if w.grad is None else w.grad.abs()).masked_fill(
                self.masks[name].to(w.device), torch.inf
            )
            for name, w in weights.items()
        }
        back = smallest_gone(pull, gone - min(gone, round(share * total)))
        for name, weight in weights.items():
            grown = back[name] & ~self.masks[name].to(weight.device)
            for moment in training.opt_d.state[weight].values():
                if moment.shape == weight.shape:
                    moment.masked_fill_(grown, 0.0)
        self.masks = back

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"gained": self.gained, "distance": self.distance, "ratio": self.ratio}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.gained, self.distance, self.ratio = state["gained"], state["distance"], state["ratio"]
