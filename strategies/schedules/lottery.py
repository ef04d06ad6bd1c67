"""Lottery tickets: after each round of pruning the surviving weights go back to where they once were."""

from __future__ import annotations

from strategies.base import Context, Level, NotApplicable, Snapshot, Target
from strategies.composition import Strategy
from strategies.hooks import Training
from strategies.schedule import Schedule, whole_share
from strategies.schedules.gradual import iterative
from strategies.schedules.pruning import PruningHooks


class LotteryHooks(PruningHooks):
    """Each event prunes by the weights as trained, then G, and D where there is one, go back to the snapshot.

    The optimizers and the moving average start afresh. The trained checkpoint counts as the first round's training.
    """

    def __init__(self, strategy: Strategy, context: Context, level: Level, target: Target, steps: int) -> None:
        found = self.snapshot(context)
        if found is None:
            raise NotApplicable(f"{strategy.name} goes back to an earlier state of the training, which is not known")
        self.start = found
        super().__init__(strategy, context, level, target, steps)

    def snapshot(self, context: Context) -> Snapshot | None:
        """Where the weights go back to."""
        raise NotImplementedError

    def prune(self, step: int, training: Training) -> None:
        super().prune(step, training)
        assert self.removal is not None
        training.generator.load_state_dict(self.start.generator.state_dict())
        if self.start.discriminator is not None:
            training.discriminator.load_state_dict(self.start.discriminator.state_dict())
        self.removal.hold(training.generator)
        training.restart()


class FromInitialisation(LotteryHooks):
    """Back to before the first step."""

    def snapshot(self, context: Context) -> Snapshot | None:
        return context.initialisation


class FromRewind(LotteryHooks):
    """Back to early in the training."""

    def snapshot(self, context: Context) -> Snapshot | None:
        return context.rewind


def first_step(steps: int) -> tuple[int, ...]:
    """The first step alone."""
    return (0,)


scratch = Schedule(
    "scratch",
    first_step,
    whole_share,
    "control: the same size trained from scratch (Liu et al. 2019, Rethinking the Value of Network Pruning)",
    needs=frozenset({"training", "initialisation"}),
    hooks=FromInitialisation,
)
"""Everything goes at the first step, and what is left starts from the initialisation."""
lottery_init = Schedule(
    "lottery-init",
    iterative.events,
    iterative.share,
    "Frankle & Carbin 2019; GANs: Chen et al. 2021",
    needs=frozenset({"training", "initialisation"}),
    amount=iterative.amount,
    hooks=FromInitialisation,
)
lottery_rewind = Schedule(
    "lottery-rewind",
    iterative.events,
    iterative.share,
    "Frankle et al. 2020 (rewinding to early training); GANs: Chen et al. 2021",
    needs=frozenset({"training", "rewind"}),
    amount=iterative.amount,
    hooks=FromRewind,
)
