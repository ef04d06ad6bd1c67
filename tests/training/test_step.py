"""Three steps of the adversarial loop against a second implementation of them, from the formulas alone."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bench.base.seeds import derive, stream
from bench.training.loop import GanTraining, StepStats, translate
from bench.workloads.condition import Condition
from bench.workloads.recipe import TrainingSpec
from strategies.hooks import NoHooks, Training

IMAGES = torch.randint(0, 256, (7, 1, 3, 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
LABELS = torch.tensor([0, 1, 2, 0, 1, 2, 0])
STEPS, SEED = 6, 5


class G(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net, self.drop = nn.Linear(2, 9), nn.Dropout(0.3)
        self.embed = nn.Embedding(3, 9)

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        made = self.drop(self.net(z)) + (0 if y is None else self.embed(y))
        return torch.tanh(made).view(-1, 1, 3, 3)


class D(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net, self.embed = nn.Linear(9, 1), nn.Embedding(3, 1)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return (self.net(x.flatten(1)) + (0 if y is None else self.embed(y))).flatten()


def networks() -> tuple[G, D]:
    torch.manual_seed(1)
    return G(), D()


class Adam:
    """Kingma & Ba 2015, algorithm 1."""

    def __init__(self, model: nn.Module, betas: tuple[float, float]) -> None:
        self.parameters, self.betas, self.t = list(model.parameters()), betas, 0
        self.m = [torch.zeros_like(p) for p in self.parameters]
        self.v = [torch.zeros_like(p) for p in self.parameters]

    def step(self, gradients: list[Tensor], lr: float) -> None:
        self.t += 1
        one, two = self.betas
        for p, g, m, v in zip(self.parameters, gradients, self.m, self.v, strict=True):
            m.mul_(one).add_((1 - one) * g)
            v.mul_(two).add_((1 - two) * g * g)
            unbiased = m / (1 - one**self.t), v / (1 - two**self.t)
            p.data -= lr * unbiased[0] / (unbiased[1].sqrt() + 1e-8)


def losses(spec: TrainingSpec, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """D's, and G's from the logits of what it made."""
    if spec.loss == "hinge":
        return (1 - real).clamp_min(0).mean() + spec.fake_weight * (1 + fake).clamp_min(0).mean(), -fake.mean()
    log_real, log_fake = torch.log(torch.sigmoid(real)), torch.log(1 - torch.sigmoid(fake))
    return -log_real.mean() - spec.fake_weight * log_fake.mean(), -torch.log(torch.sigmoid(fake)).mean()


def second(spec: TrainingSpec, labelled: bool, frozen: bool) -> tuple[G, D, G, list[dict[str, float]]]:
    """G, D, the average of G and what each step measured."""
    g, d = networks()
    average = copy.deepcopy(g)
    adams = Adam(g, spec.betas), Adam(d, spec.betas)
    n = min(spec.batch_size, len(IMAGES))
    each, found = len(IMAGES) // n, []
    for step in range(3):
        torch.manual_seed(derive(SEED, "train", "dropout", step))
        order = torch.randperm(len(IMAGES), generator=stream(SEED, "train", "epoch", step // each))
        chosen = order[(step % each) * n : (step % each + 1) * n]
        inputs = sample(n, stream(SEED, "train", "inputs", step), labelled)
        theirs = (LABELS[chosen],) if labelled else ()
        given = inputs[1:] if labelled else ()

        def moved(x: Tensor, role: str, step: int = step) -> Tensor:
            rng = stream(SEED, "train", "shift", role, step)
            by = torch.randint(0, 2 * spec.shift + 1, (len(x), 2), generator=rng)
            return translate(x, by, spec.shift) if spec.shift else x

        falling = 1.0 if spec.lr_decay == "none" else min(1.0, 2 - 2 * step / STEPS)
        made = g(*inputs)
        real = d(moved(IMAGES[chosen] / 127.5 - 1, "real"), *theirs)
        fake = d(moved(made.detach(), "fake"), *given)
        loss_d, _ = losses(spec, real, fake)
        if not frozen:
            rate = spec.lr if spec.lr_discriminator is None else spec.lr_discriminator
            adams[1].step(gradients(loss_d, d), falling * rate)
        _, loss_g = losses(spec, real, d(moved(made, "generator"), *given))
        adams[0].step(gradients(loss_g, g), falling * spec.lr)
        decay = min(spec.ema_decay, (1 + step) / (10 + step))
        for a, p in zip(average.parameters(), g.parameters(), strict=True):
            a.data = decay * a.data + (1 - decay) * p.data
        found.append(
            {
                "step": step,
                "loss_d": loss_d.item(),
                "loss_g": loss_g.item(),
                "accuracy_real": sum(x > 0 for x in real.tolist()) / n,
                "accuracy_fake": sum(x < 0 for x in fake.tolist()) / n,
                "logit_real": real.mean().item(),
                "logit_fake": fake.mean().item(),
            }
        )
    return g, d, average, found


def gradients(loss: Tensor, model: nn.Module) -> list[Tensor]:
    parameters = list(model.parameters())
    made = torch.autograd.grad(loss, parameters, allow_unused=True)
    return [torch.zeros_like(p) if g is None else g for g, p in zip(made, parameters, strict=True)]


def sample(count: int, rng: torch.Generator, labelled: bool = False) -> tuple[Tensor, ...]:
    z = torch.randn(count, 2, generator=rng)
    return (z, torch.randint(0, 3, (count,), generator=rng)) if labelled else (z,)


def training(spec: TrainingSpec, labelled: bool = False, frozen: bool = False, **more: Any) -> GanTraining:
    return GanTraining(
        *networks(), spec, images=IMAGES, sample=lambda n, rng: sample(n, rng, labelled), steps=STEPS, seed=SEED,
        train_discriminator=not frozen, condition=Condition(place=1, classes=3) if labelled else Condition(),
        labels=LABELS if labelled else None, **more,
    )  # fmt: skip


SPECS = {
    "plain": (TrainingSpec("non-saturating", batch_size=3, lr=0.05), False, False),
    "hinge": (TrainingSpec("hinge", batch_size=2, lr=0.02, lr_discriminator=0.1, fake_weight=0.3), False, False),
    "moved": (TrainingSpec("non-saturating", 3, lr=0.05, shift=1, lr_decay="linear", ema_decay=0.15), False, False),
    "all of them": (TrainingSpec("hinge", batch_size=50, lr=0.05, channels_last=True), False, False),
    "labels": (TrainingSpec("non-saturating", batch_size=3, lr=0.05, betas=(0.9, 0.999)), True, False),
    "frozen": (TrainingSpec("hinge", batch_size=3, lr=0.05), False, True),
}


@pytest.mark.parametrize("name", SPECS)
def test_the_loop_does_what_the_formulas_say(name: str) -> None:
    spec, labelled, frozen = SPECS[name]
    run = training(spec, labelled, frozen)
    steps = [run.step() for _ in range(3)]
    g, d, average, expected = second(spec, labelled, frozen)
    for ours, theirs in zip(steps, expected, strict=True):
        assert {key: getattr(ours, key) for key in theirs} == pytest.approx(theirs, rel=1e-4, abs=1e-5)
    for mine, other in ((run.generator, g), (run.discriminator, d), (run.average, average)):
        for (key, found), wanted in zip(mine.named_parameters(), other.parameters(), strict=True):
            if frozen or "embed" not in key or labelled:  # what is not used has no gradient and stays
                torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-5)
    assert run.step_count == 3 and run.last == steps[-1]
    assert all(p.requires_grad for p in run.discriminator.parameters())


def test_without_d_the_hooks_give_the_loss_and_nothing_else_is_seen() -> None:
    class Pull(NoHooks):
        def extra_loss(self, step: int, training: Training, inputs: tuple[Tensor, ...], fake: Tensor) -> Tensor | None:
            return 2.5 * fake.square().mean()

    spec = TrainingSpec("hinge", batch_size=3, lr=0.05)
    g, _ = networks()
    run = GanTraining(copy.deepcopy(g), None, spec, images=IMAGES, sample=sample, steps=STEPS, seed=SEED, hooks=Pull())
    stats = run.step()
    torch.manual_seed(derive(SEED, "train", "dropout", 0))
    expected = 2.5 * g(*sample(3, stream(SEED, "train", "inputs", 0))).square().mean().item()
    assert stats.loss_extra == pytest.approx(expected) and not run.adversarial
    measured = (stats.loss_g, stats.loss_d, stats.accuracy_real, stats.accuracy_fake, stats.logit_real)
    assert all(math.isnan(value) for value in measured)
    with pytest.raises(ValueError, match="needs hooks that give G a loss"):
        GanTraining(g, None, spec, images=IMAGES, sample=sample, steps=STEPS, seed=SEED).step()


def test_an_extra_loss_is_told_beside_the_adversarial_one() -> None:
    class Constant(NoHooks):
        def extra_loss(self, step: int, training: Training, inputs: tuple[Tensor, ...], fake: Tensor) -> Tensor | None:
            return fake.sum() * 0 + 3.0

    spec = SPECS["plain"][0]
    with_it, without = training(spec, hooks=Constant()).step(), training(spec).step()
    assert (with_it.loss_extra, without.loss_extra) == (3.0, 0.0)
    assert with_it.loss_g == without.loss_g


def test_in_half_precision_networks_run_and_losses_stay_whole() -> None:
    seen: list[torch.dtype] = []
    run = training(TrainingSpec("hinge", batch_size=3, lr=0.05, precision="bf16"))
    run.generator.net.register_forward_hook(lambda module, given, made: seen.append(made.dtype))
    run.discriminator.net.register_forward_hook(lambda module, given, made: seen.append(made.dtype))
    stats = run.step()
    assert seen == [torch.bfloat16] * 4
    whole = training(TrainingSpec("hinge", batch_size=3, lr=0.05)).step()
    assert stats.loss_d == pytest.approx(whole.loss_d, rel=0.05) and stats.loss_d != whole.loss_d
    assert isinstance(stats, StepStats) and all(p.dtype == torch.float32 for p in run.generator.parameters())


def test_a_restart_forgets_moments_and_averages_and_keeps_the_networks() -> None:
    run = training(SPECS["plain"][0])
    run.step()
    before = copy.deepcopy(run.generator.state_dict())
    run.restart()
    assert not run.opt_g.state and not run.opt_d.state and run.ema.updates == 0
    assert all(torch.equal(value, before[key]) for key, value in run.generator.state_dict().items())
    assert all(torch.equal(value, before[key]) for key, value in run.average.state_dict().items())
