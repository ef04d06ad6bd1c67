"""The adversarial loop: resumable bit by bit, the same images for everybody."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bench.training.loop import GanTraining, translate
from bench.workloads.networks import DummyDiscriminator, DummyGenerator, MlpDiscriminator, MlpGenerator
from bench.workloads.recipe import TrainingSpec
from strategies.base import Context, Kept, Level, Pruned
from strategies.builtin import STRATEGIES
from strategies.hooks import Hooks, NoHooks, Training
from strategies.schedules import PruningHooks
from strategies.slicing import cuts, shrink

IMAGES = torch.randint(0, 256, (40, 1, 4, 4), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
SPEC = TrainingSpec(loss="non-saturating", batch_size=8, lr=1e-2, ema_decay=0.9, lr_decay="linear", shift=1)


def latents(count: int, rng: torch.Generator) -> tuple[Tensor, ...]:
    return (torch.randn(count, 6, generator=rng),)


def networks() -> tuple[nn.Module, nn.Module]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return MlpGenerator(6, (7, 9, 5), 4), MlpDiscriminator((9, 7, 5), 4)


def training(spec: TrainingSpec = SPEC, *, seed: int = 3, steps: int = 12, **options: Any) -> GanTraining:
    return GanTraining(*networks(), spec, images=IMAGES, sample=latents, steps=steps, seed=seed, **options)


def tensors(state: Any) -> list[Tensor]:
    if isinstance(state, Tensor):
        return [state]
    if isinstance(state, dict):
        return [t for key in sorted(state, key=str) for t in tensors(state[key])]
    if isinstance(state, list | tuple):
        return [t for value in state for t in tensors(value)]
    return []


def equal(one: GanTraining, other: GanTraining) -> bool:
    pairs = list(zip(tensors(one.state_dict()), tensors(other.state_dict()), strict=True))
    assert len(pairs) > 30
    return all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("loss", ["non-saturating", "hinge"])
def test_a_training_resumed_in_the_middle_is_bit_identical_to_an_undisturbed_one(loss: Any) -> None:
    spec = TrainingSpec(loss=loss, batch_size=8, lr=1e-2, ema_decay=0.9, lr_decay="linear", shift=1)
    undisturbed, first = training(spec), training(spec)
    curve = [undisturbed.step() for _ in range(12)]
    seen = [first.step() for _ in range(5)]
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    torch.manual_seed(99)  # another process has another random state
    second = training(spec)
    second.load_state_dict(torch.load(io.BytesIO(file.getvalue()), weights_only=True))
    seen += [second.step() for _ in range(7)]
    assert equal(undisturbed, second)
    assert seen == curve


def test_a_training_with_batchnorm_resumes_bit_identically_too() -> None:
    def made() -> GanTraining:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            pair = DummyGenerator(), DummyDiscriminator()
        images = IMAGES.repeat(1, 1, 2, 2)
        spec = TrainingSpec(loss="hinge", batch_size=8, lr=1e-2)
        return GanTraining(
            *pair, spec, images=images, sample=lambda n, rng: (torch.randn(n, 8, generator=rng),), steps=6, seed=0
        )

    undisturbed, first, second = made(), made(), made()
    for _ in range(6):
        undisturbed.step()
    for _ in range(3):
        first.step()
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    for _ in range(3):
        second.step()
    assert equal(undisturbed, second)


def test_another_seed_trains_otherwise() -> None:
    one, other = training(), training(seed=4)
    one.step()
    other.step()
    assert not equal(one, other)


def test_dropout_draws_from_the_step_and_not_from_what_happened_before() -> None:
    one, other = training(), training()
    for step in range(4):
        one.step()
        torch.manual_seed(step)
        torch.rand(step + 1)
        other.step()
    assert equal(one, other)


def test_training_changes_both_networks_and_the_average_follows() -> None:
    start = networks()
    run = training()
    run.step()
    for before, after in zip(start, (run.generator, run.discriminator), strict=True):
        assert all(not torch.equal(a, b) for a, b in zip(before.parameters(), after.parameters(), strict=True))
    averages, weights = run.ema.model.parameters(), run.generator.parameters()
    for old, average, new in zip(start[0].parameters(), averages, weights, strict=True):
        torch.testing.assert_close(average, 0.1 * old + 0.9 * new)


def test_a_frozen_discriminator_judges_and_stays_as_it_is() -> None:
    run = training(train_discriminator=False)
    before = copy.deepcopy(run.discriminator.state_dict())
    start = copy.deepcopy(run.generator.state_dict())
    for _ in range(3):
        run.step()
    assert all(torch.equal(value, before[key]) for key, value in run.discriminator.state_dict().items())
    assert not torch.equal(start["net.0.weight"], run.generator.state_dict()["net.0.weight"])


def watched(run: GanTraining) -> tuple[list[Tensor], list[Tensor]]:
    """The real images and the latents of each step, as the networks get them."""
    judged: list[Tensor] = []
    drawn: list[Tensor] = []
    run.discriminator.register_forward_pre_hook(lambda m, args: judged.append(args[0].detach().clone()))
    sample = run.sample

    def sampling(count: int, rng: torch.Generator) -> tuple[Tensor, ...]:
        drawn.append(sample(count, rng)[0])
        return (drawn[-1],)

    run.sample = sampling
    return judged, drawn


def seen_by(make_hooks: Callable[[], Hooks | None], steps: int = 8) -> tuple[list[Tensor], list[Tensor]]:
    run = training(steps=steps, hooks=make_hooks())
    judged, drawn = watched(run)
    for _ in range(steps):
        run.step()
    return judged[::3], drawn  # D judges real images, generated ones, and those again for G


def everystep() -> Hooks:
    generator, _ = networks()
    context = Context(generator, latents(2, torch.Generator().manual_seed(0)), torch.Generator().manual_seed(0))
    return PruningHooks(STRATEGIES["rownorm-channel+everystep"], context, Level.sparsity(0.5), "params", 8)


def test_a_strategy_that_prunes_while_training_sees_the_same_images_and_latents_in_the_same_order() -> None:
    plain, pruned = seen_by(lambda: None), seen_by(everystep)
    for one, other in zip(plain, pruned, strict=True):
        assert len(one) == 8
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_each_epoch_is_every_training_image_once_in_another_order() -> None:
    run = training(TrainingSpec(loss="hinge", batch_size=8, lr=1e-3))
    judged, _ = watched(run)
    for _ in range(10):
        run.step()
    epochs = [torch.cat(judged[: 5 * 3 : 3]), torch.cat(judged[5 * 3 :: 3])]
    expected = sorted(map(str, (IMAGES / 127.5 - 1).flatten(1).tolist()))
    for epoch in epochs:
        assert sorted(map(str, ((epoch + 1) * 127.5).round().div(127.5).sub(1).flatten(1).tolist())) == expected
    assert not torch.equal(*epochs)


def test_fewer_images_than_a_batch_are_a_batch() -> None:
    run = GanTraining(*networks(), SPEC, images=IMAGES[:5], sample=latents, steps=3, seed=0)
    judged, drawn = watched(run)
    run.step()
    assert len(judged[0]) == len(drawn[0]) == 5


def test_the_learning_rate_falls_linearly_in_the_second_half_to_nearly_zero() -> None:
    spec = TrainingSpec(loss="hinge", batch_size=8, lr=0.5, lr_discriminator=0.25, lr_decay="linear")
    run = training(spec, steps=8)
    rates = []
    for _ in range(8):
        run.step()
        rates.append((run.opt_g.param_groups[0]["lr"], run.opt_d.param_groups[0]["lr"]))
    factors = [1, 1, 1, 1, 1, 0.75, 0.5, 0.25]
    assert rates == [(0.5 * f, 0.25 * f) for f in factors]


# Translation.


def test_translation_moves_each_image_by_its_own_pixels_and_lets_black_in() -> None:
    image = torch.arange(1.0, 10.0).view(1, 1, 3, 3)
    moves = torch.tensor([[1, 1], [0, 1], [2, 1], [1, 0], [2, 2]])
    moved = translate(image.expand(5, 1, 3, 3), moves, reach=1)[:, 0].tolist()
    assert moved == [
        [[1, 2, 3], [4, 5, 6], [7, 8, 9]],
        [[-1, -1, -1], [1, 2, 3], [4, 5, 6]],
        [[4, 5, 6], [7, 8, 9], [-1, -1, -1]],
        [[-1, 1, 2], [-1, 4, 5], [-1, 7, 8]],
        [[5, 6, -1], [8, 9, -1], [-1, -1, -1]],
    ]


def test_translation_moves_all_channels_of_an_image_together() -> None:
    images = torch.randn(4, 3, 5, 6)
    moves = torch.tensor([[0, 4], [1, 2], [4, 0], [3, 3]])
    moved = translate(images, moves, reach=2)
    assert moved.shape == images.shape
    for c in range(3):
        assert torch.equal(moved[:, c : c + 1], translate(images[:, c : c + 1], moves, reach=2))


def test_translation_passes_gradients_back_to_the_pixels_that_stay() -> None:
    images = torch.zeros(1, 1, 2, 2, requires_grad=True)
    translate(images, torch.tensor([[2, 1]]), reach=1).sum().backward()
    assert images.grad is not None and images.grad[0, 0].tolist() == [[0.0, 0.0], [1.0, 1.0]]


# Going on with a smaller network.

KEPT: Kept = {
    "net.0": {"out": torch.tensor([0, 2, 5])},
    "net.2": {"in": torch.tensor([0, 2, 5]), "out": torch.arange(1, 9)},
    "net.4": {"in": torch.arange(1, 9)},
}


class CutAfter(NoHooks):
    """Cuts after one step, and keeps what the optimizer and the average were just before."""

    def __init__(self, step: int) -> None:
        self.at = step
        self.moments: dict[str, dict[str, Tensor]] = {}
        self.average: dict[str, Tensor] = {}

    def after_step(self, step: int, training: Training) -> Pruned | None:
        if step != self.at:
            return None
        generator = training.generator
        self.moments = {n: copy.deepcopy(training.opt_g.state[p]) for n, p in generator.named_parameters()}
        self.average = copy.deepcopy(training.average.state_dict())
        self.select = cuts(generator, KEPT)
        return Pruned(shrink(generator, KEPT), (), kept=KEPT)


def test_a_smaller_network_keeps_its_part_of_adams_moments_and_of_the_average() -> None:
    hooks = CutAfter(2)
    run = training(hooks=hooks)
    for _ in range(3):
        run.step()
    for name, parameter in run.generator.named_parameters():
        select = hooks.select.get(name, lambda tensor: tensor)
        state = run.opt_g.state[parameter]
        assert state["step"].item() == 3
        for key in ("exp_avg", "exp_avg_sq"):
            assert state[key].shape == parameter.shape
            assert torch.equal(state[key], select(hooks.moments[name][key]))
            assert state[key].any()
    for name, average in run.ema.model.named_parameters():
        assert torch.equal(average, hooks.select.get(name, lambda tensor: tensor)(hooks.average[name]))
    assert run.ema.updates == 3


def test_a_smaller_network_goes_on_learning_with_its_average() -> None:
    hooks = CutAfter(0)
    run = training(hooks=hooks)
    run.step()
    before, average = copy.deepcopy(run.generator.state_dict()), copy.deepcopy(run.ema.model.state_dict())
    run.step()
    assert all(not torch.equal(value, before[key]) for key, value in run.generator.state_dict().items())
    assert all(not torch.equal(value, average[key]) for key, value in run.ema.model.state_dict().items())
    assert run.generator.get_parameter("net.2.weight").shape == (8, 3)


def test_an_extra_loss_is_added_to_the_generators() -> None:
    class Shrinking(NoHooks):
        def extra_loss(self, step: int, training: Training, inputs: tuple[Tensor, ...], fake: Tensor) -> Tensor | None:
            assert torch.equal(training.generator(*inputs), fake)
            return 1e6 * sum(p.square().sum() for p in training.generator.parameters())

    hooks = Shrinking()
    run = training(TrainingSpec(loss="hinge", batch_size=8, lr=1e-3), hooks=hooks)
    before = run.generator.get_parameter("net.0.weight").abs().clone()
    run.step()
    assert (run.generator.get_parameter("net.0.weight").abs() < before).float().mean() > 0.95
