"""What pruning may do inside somebody else's training loop, and what of the training it may see."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor, nn

from strategies.base import Pruned


class Balance(Protocol):
    """What one step measured of the game between G and D."""

    @property
    def accuracy_real(self) -> float: ...
    @property
    def accuracy_fake(self) -> float: ...
    @property
    def logit_real(self) -> float: ...
    @property
    def logit_fake(self) -> float: ...


class Training(Protocol):
    """The training that hooks act in. Networks may be changed in place; gradients are those of the step just done."""

    generator: nn.Module
    discriminator: nn.Module
    """Something without weights where nothing is ``adversarial``."""
    adversarial: bool
    """Whether G plays against D; else it only learns from what hooks add to its loss."""
    steps: int

    @property
    def opt_g(self) -> torch.optim.Optimizer: ...

    @property
    def opt_d(self) -> torch.optim.Optimizer: ...

    @property
    def average(self) -> nn.Module:
        """The moving average of the generator: what will be measured."""

    @property
    def last(self) -> Balance | None:
        """What the step just done measured; None before the first."""

    def restart(self) -> None:
        """Fresh optimizers and a fresh moving average, from the networks as they are now."""


class Hooks(Protocol):
    """What a schedule, or a recovery, does inside the loop. Steps count from 0."""

    def before_step(self, step: int, training: Training) -> None: ...

    def extra_loss(self, step: int, training: Training, inputs: tuple[Tensor, ...], fake: Tensor) -> Tensor | None:
        """Added to the generator's loss; ``fake`` is what it made of ``inputs`` in this step, with its graph."""

    def after_step(self, step: int, training: Training) -> Pruned | None:
        """May change the networks in place; returns a physically smaller generator for the loop to continue with."""

    def state_dict(self) -> dict[str, Any]:
        """Plain tensors, numbers, texts, lists and dicts: what a bit-identical continuation needs."""

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class Pruning(Hooks, Protocol):
    """The hooks of a schedule: they prune on the way."""

    pruned: Pruned | None
    """What they have made of the generator; None until the last event."""


class NoHooks:
    """The hooks of a training without pruning; a base for hooks that do one thing."""

    def before_step(self, step: int, training: Training) -> None:
        """Nothing to do."""

    def extra_loss(self, step: int, training: Training, inputs: tuple[Tensor, ...], fake: Tensor) -> Tensor | None:
        return None

    def after_step(self, step: int, training: Training) -> Pruned | None:
        return None

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing was kept."""


class Together:
    """Several hooks that act in one training, in the order in which they are given.

    Their losses add up. At most one of them may return a physically smaller generator in the same step.
    """

    def __init__(self, *hooks: Hooks) -> None:
        self.hooks = hooks

    def before_step(self, step: int, training: Training) -> None:
        for hooks in self.hooks:
            hooks.before_step(step, training)

    def extra_loss(self, step: int, training: Training, inputs: tuple[Tensor, ...], fake: Tensor) -> Tensor | None:
        """The sum of all losses; None where none of the hooks has one."""
        found = [hooks.extra_loss(step, training, inputs, fake) for hooks in self.hooks]
        losses = [loss for loss in found if loss is not None]
        return torch.stack(losses).sum() if losses else None

    def after_step(self, step: int, training: Training) -> Pruned | None:
        """Raises RuntimeError where two of the hooks prune in one step."""
        found = [pruned for hooks in self.hooks if (pruned := hooks.after_step(step, training)) is not None]
        if len(found) > 1:
            raise RuntimeError(
                f"{len(found)} hooks pruned the generator after step {step}; one training has one schedule"
            )
        return found[0] if found else None

    def state_dict(self) -> dict[str, Any]:
        return {str(i): hooks.state_dict() for i, hooks in enumerate(self.hooks)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for i, hooks in enumerate(self.hooks):
            hooks.load_state_dict(state[str(i)])


def together(*hooks: Hooks | None) -> Hooks:
    """One hooks object for all that are given; None stands for nothing to do."""
    given = [each for each in hooks if each is not None]
    if not given:
        return NoHooks()
    return given[0] if len(given) == 1 else Together(*given)
