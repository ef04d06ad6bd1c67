"""What pruning may do inside somebody else's training loop, and what of the training it may see."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
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
