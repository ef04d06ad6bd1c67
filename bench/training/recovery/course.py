"""The training of a recovery: who plays, what acts in it, at its first step."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import nn

from bench.base.layout import channels_last
from bench.base.seeds import derive
from bench.training.balance import BalancedDiscriminator
from bench.training.distil import Distillation
from bench.training.loop import GanTraining, StepStats
from bench.training.recovery.spec import Recovery
from bench.training.recovery.start import Scheduled, Start
from bench.training.sparse_d import EqualSparsity, FixedSparsity, SparseDiscriminator
from bench.workloads.loaded import Gan
from strategies.base import Kept, NotApplicable, Pruned
from strategies.hooks import Hooks, Pruning, together
from strategies.keeping import KeepHooks
from strategies.layers import named_weights


@dataclass(frozen=True)
class Course:
    """A training and those of its hooks that are asked for what they did."""

    training: GanTraining
    pruning: Pruning | None
    sparse: SparseDiscriminator | None

    def step(self) -> StepStats:
        """One step, and how sparse D is after it."""
        stats = self.training.step()
        if self.sparse is None:
            return stats
        ratio = self.sparse.ratio if isinstance(self.sparse, BalancedDiscriminator) else None
        return replace(stats, d_density=self.sparse.density, balance=ratio)


def begin(recovery: Recovery, gan: Gan, start: Start, seed: int) -> Course:
    """The training at its first step."""
    pruned = start if isinstance(start, Pruned) else None
    pruning = start.hooks(recovery.steps) if isinstance(start, Scheduled) else None
    sparse = _sparse_discriminator(recovery, gan, seed)

    def kept() -> Kept:
        now = pruning.pruned if pruning else pruned
        return now.kept if now else {}

    holding: Hooks | None = pruning
    if pruned and (pruned.masks or pruned.tied):
        holding = KeepHooks(pruned)
    training = GanTraining(
        copy.deepcopy(pruned.generator if pruned else gan.checkpoint.generator).requires_grad_(True),
        _discriminator(recovery, gan, seed) if recovery.adversarial else None,
        replace(gan.workload.recipe.spec, lr_decay="none"),
        images=gan.data.train,
        sample=gan.workload.inputs.sample,
        steps=recovery.steps,
        seed=seed,
        device=gan.device,
        hooks=together(holding, sparse, _distillation(recovery, gan, kept)),
        train_discriminator=recovery.discriminator != "frozen",
        condition=gan.workload.condition,
        labels=gan.data.train_labels,
    )
    return Course(training, pruning, sparse)


def _distillation(recovery: Recovery, gan: Gan, kept: Callable[[], Kept]) -> Distillation | None:
    """What G learns from the dense generator; None: nothing."""
    if recovery.distil is None:
        return None
    judge = gan.checkpoint.discriminator if recovery.distil == "dfeature" else None
    return Distillation(
        recovery.distil,
        _placed(gan.checkpoint.generator, gan.device),
        judge=_placed(judge, gan.device) if judge else None,
        condition=gan.workload.condition,
        kept=kept,
    )


def _placed(model: nn.Module, device: torch.device | str) -> nn.Module:
    """A copy on the device. Convolutions run a fifth faster in this layout; the values are the same."""
    return channels_last(copy.deepcopy(model).to(device))


def _discriminator(recovery: Recovery, gan: Gan, seed: int) -> nn.Module:
    """The D that the training starts with: a copy of the shipped one, or a fresh one of the seed's `train` stream."""
    if recovery.discriminator != "reset":
        return copy.deepcopy(gan.checkpoint.discriminator).requires_grad_(True)  # type: ignore[union-attr]
    if gan.workload.discriminator is None:
        raise NotApplicable(
            f"recovery {recovery.name!r} makes a new discriminator, {gan.workload.name} cannot make one"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, "train", "d-reset"))
        return gan.workload.discriminator()


def _sparse_discriminator(recovery: Recovery, gan: Gan, seed: int) -> SparseDiscriminator | None:
    if recovery.discriminator == "sparse":
        return FixedSparsity(recovery.d_sparsity)
    if recovery.discriminator == "pruned":
        return EqualSparsity(sum(weight.numel() for _, weight in named_weights(gan.checkpoint.generator)))
    if recovery.discriminator == "adapt":
        data, condition = gan.data, gan.workload.condition
        return BalancedDiscriminator(data.train, recovery.steps, seed, condition=condition, labels=data.train_labels)
    return None
