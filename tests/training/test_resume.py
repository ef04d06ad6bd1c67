"""A training that is interrupted anywhere goes on bit by bit as if it had not been."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bench.base.errors import UserError
from bench.base.seeds import stream
from bench.training.loop import GanTraining
from bench.training.resume import STATE_FILE, forget_training, load_training, save_training
from bench.workloads.networks import DummyDiscriminator, DummyGenerator
from bench.workloads.recipe import TrainingSpec
from strategies.allocation import global_, global_mean
from strategies.base import Context, Level, NotApplicable, Pruned, Snapshot
from strategies.composition import Strategy
from strategies.criteria import bnscale, l1, random
from strategies.granularity.channel import channel
from strategies.granularity.weight import weight
from strategies.hooks import Hooks
from strategies.keeping import KeepHooks
from strategies.schedules import SCHEDULES, PruningHooks

IMAGES = torch.randint(0, 256, (16, 1, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
SPEC = TrainingSpec(loss="non-saturating", batch_size=4, lr=1e-2, ema_decay=0.9, channels_last=True)
STEPS = 6


def latents(count: int, rng: torch.Generator) -> tuple[Tensor, ...]:
    return (torch.randn(count, 8, generator=rng),)


def networks(seed: int) -> tuple[nn.Module, nn.Module]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return DummyGenerator(), DummyDiscriminator()


def strategy(schedule: str, granularity: str) -> Strategy:
    if granularity == "weight":
        return Strategy("w", l1, weight, global_, SCHEDULES[schedule])
    return Strategy("c", bnscale if schedule == "bnprox" else l1, channel, global_mean, SCHEDULES[schedule])


def made(thing: Strategy | None = None, *, steps: int = STEPS, sparsity: float = 0.6, hooks: Any = None) -> GanTraining:
    """A training from scratch, as another process would make it."""
    generator, discriminator = networks(0)
    if thing is not None:
        assert thing.schedule is not None
        context = Context(
            networks(0)[0].eval(),
            latents(2, stream(0, "prune", "example")),
            stream(3, "prune"),
            rewind=Snapshot(*networks(2)),
            initialisation=Snapshot(*networks(1)),
        )
        hooks = thing.schedule.hooks(thing, context, Level.sparsity(sparsity), "params", steps)
    return GanTraining(generator, discriminator, SPEC, images=IMAGES, sample=latents, steps=steps, seed=3, hooks=hooks)


def leaves(value: Any, place: str = "") -> dict[str, Any]:
    """Place -> tensor or plain value."""
    if isinstance(value, dict):
        return {k: v for key, item in value.items() for k, v in leaves(item, f"{place}/{key}").items()}
    if isinstance(value, list | tuple):
        return {k: v for i, item in enumerate(value) for k, v in leaves(item, f"{place}/{i}").items()}
    return {place: value}


def assert_equal(one: Any, other: Any) -> None:
    first, second = leaves(one), leaves(other)
    assert first.keys() == second.keys()
    for place, value in first.items():
        if isinstance(value, Tensor):
            assert value.dtype == second[place].dtype, place
            assert torch.equal(value, second[place]), place
        else:
            assert value == second[place], place


def applicable() -> list[tuple[str, str]]:
    """Every schedule with both granularities, without what the schedule refuses."""
    found = []
    for name in SCHEDULES:
        for granularity in ("weight", "channel"):
            try:
                made(strategy(name, granularity))
            except NotApplicable:
                continue
            found.append((name, granularity))
    return found


APPLICABLE = applicable()


def test_only_what_cannot_work_is_refused() -> None:
    refused = {(s, g) for s in SCHEDULES for g in ("weight", "channel")} - set(APPLICABLE)
    channels_only = {("bnprox", "weight"), ("grouplasso", "weight"), ("svs", "weight")}
    assert refused == {("set", "channel"), ("rigl", "channel")} | channels_only


@pytest.mark.parametrize(("schedule", "granularity"), APPLICABLE)
def test_a_training_interrupted_after_any_step_goes_on_bit_by_bit(
    tmp_path: Path, schedule: str, granularity: str
) -> None:
    thing = strategy(schedule, granularity)
    undisturbed, watched = made(thing), made(thing)
    for _ in range(STEPS):
        undisturbed.step()
    for step in range(STEPS):
        save_training(tmp_path, watched)
        stats = watched.step()
        resumed = made(thing)
        torch.manual_seed(step)  # another process has another random state
        assert load_training(tmp_path, resumed) == (True, None)
        assert resumed.step() == stats
        assert_equal(resumed.state_dict(), watched.state_dict())
        watched = resumed  # so the last one was interrupted after every step
    assert_equal(watched.state_dict(), undisturbed.state_dict())
    one, other = watched.hooks, undisturbed.hooks
    assert isinstance(one, PruningHooks) and one.pruned is not None
    assert isinstance(other, PruningHooks) and other.pruned is not None
    assert one.pruned.layers == other.pruned.layers
    assert_equal(one.pruned.kept, other.pruned.kept)
    assert_equal(one.pruned.masks, other.pruned.masks)


def test_a_criterion_that_draws_goes_on_with_the_next_draw(tmp_path: Path) -> None:
    thing = replace(strategy("iterative", "weight"), criterion=random)
    undisturbed, first, second = made(thing), made(thing), made(thing)
    for _ in range(STEPS):
        undisturbed.step()
    for _ in range(3):
        first.step()
    save_training(tmp_path, first)
    load_training(tmp_path, second)
    for _ in range(3, STEPS):
        second.step()
    assert_equal(second.state_dict(), undisturbed.state_dict())


def test_masks_of_a_one_shot_strategy_are_kept_with_the_training(tmp_path: Path) -> None:
    mask = torch.rand(12, 10, generator=torch.Generator().manual_seed(0))[:, :, None, None] > 0.5
    masks = {"net.3": mask.transpose(0, 1).expand(10, 12, 3, 3)}  # not contiguous, memory shared
    removed = Pruned(nn.Identity(), (), masks=masks)
    run = made(hooks=KeepHooks(removed))
    run.step()
    save_training(tmp_path, run)
    resumed = made(hooks=KeepHooks(removed))
    load_training(tmp_path, resumed)
    run.step()
    resumed.step()
    assert_equal(resumed.state_dict(), run.state_dict())
    assert not resumed.generator.get_parameter("net.3.weight")[~masks["net.3"]].any()


def test_the_moments_of_a_channels_last_network_stay_with_their_weights_when_it_is_cut() -> None:
    run = made(strategy("bnprox", "channel"))
    while run.generator.get_parameter("net.3.weight").shape == (10, 12, 3, 3):
        run.step()
    for parameter, state in run.opt_g.state.items():
        assert state["exp_avg"].stride() == state["exp_avg_sq"].stride() == parameter.stride()
    laid_out = made()  # the same step by the textbook, entry by entry
    laid_out.step()
    weight = laid_out.generator.get_parameter("net.3.weight")
    before, state = weight.detach().clone(), {k: v.clone() for k, v in laid_out.opt_g.state[weight].items()}
    again = made()
    again.load_state_dict(laid_out.state_dict() | {"opt_g": contiguous(laid_out.opt_g.state_dict())})
    again.step()
    weight = again.generator.get_parameter("net.3.weight")
    assert weight.grad is not None
    first = 0.5 * state["exp_avg"] + 0.5 * weight.grad
    second = 0.99 * state["exp_avg_sq"] + 0.01 * weight.grad**2
    update = 1e-2 * (first / (1 - 0.5**2)) / ((second / (1 - 0.99**2)).sqrt() + 1e-8)
    torch.testing.assert_close(weight.detach(), before - update, rtol=1e-4, atol=1e-6)


def contiguous(value: Any) -> Any:
    """As a file gives tensors back: in the default layout."""
    if isinstance(value, dict):
        return {key: contiguous(item) for key, item in value.items()}
    return value.contiguous() if isinstance(value, Tensor) else value


# The file.


def test_nothing_kept_is_no_error(tmp_path: Path) -> None:
    run = made()
    before = run.state_dict()
    assert load_training(tmp_path / "nothing", run) == (False, None)
    assert_equal(run.state_dict(), before)


def test_notes_come_back_as_they_were(tmp_path: Path) -> None:
    notes = {"curve": [(1, 0.1), (2, -math.inf)], 3: {"none": None, "yes": True}, "images": torch.arange(3)}
    save_training(tmp_path, made(), notes)
    _, found = load_training(tmp_path, made())
    assert_equal(found, notes)
    assert found["curve"][0] == (1, 0.1)
    assert type(found["curve"]) is list


def test_not_a_number_comes_back(tmp_path: Path) -> None:
    save_training(tmp_path, made(), [math.nan])
    _, (found,) = load_training(tmp_path, made())
    assert math.isnan(found)


def test_something_that_is_not_plain_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="Path cannot be kept: expected tensors"):
        save_training(tmp_path, made(), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_later_state_takes_the_place_of_an_earlier_one_and_goes_when_the_training_is_done(tmp_path: Path) -> None:
    run, later = made(), made()
    save_training(tmp_path, run)
    run.step()
    save_training(tmp_path, run)
    load_training(tmp_path, later)
    assert later.step_count == 1
    assert [path.name for path in tmp_path.iterdir()] == [STATE_FILE]
    forget_training(tmp_path)
    forget_training(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lambda content: content[:-100], "cannot be read"),
        (lambda content: b"", "cannot be read"),
        (lambda content: b"\x80\x04N." + content, "cannot be read"),
        (lambda content: content[:-5] + bytes([content[-5] ^ 1]) + content[-4:], "its hash differs"),
        (lambda content: content.replace(b'\\"ema_updates\\", 1', b'\\"ema_updates\\", 2'), "its hash differs"),
        (lambda content: content.replace(b'"version":"1"', b'"version":"2"'), "has version '2', expected 1"),
    ],
    ids=["half", "empty", "pickle", "bit", "number", "version"],
)
def test_a_damaged_file_is_refused_with_its_place(
    tmp_path: Path, damage: Callable[[bytes], bytes], problem: str
) -> None:
    run = made()
    run.step()
    save_training(tmp_path, run)
    path = tmp_path / STATE_FILE
    changed = damage(path.read_bytes())
    assert changed != path.read_bytes()
    path.write_bytes(changed)
    with pytest.raises(UserError, match=problem) as error:
        load_training(tmp_path, made())
    assert str(path) in str(error.value)


def test_the_state_of_another_training_is_refused(tmp_path: Path) -> None:
    run = made(strategy("iterative", "channel"))
    for _ in range(STEPS):
        run.step()
    save_training(tmp_path, run)
    hooks: Hooks | None = None
    other = GanTraining(
        nn.Linear(2, 2), nn.Linear(2, 2), SPEC, images=IMAGES, sample=latents, steps=1, seed=0, hooks=hooks
    )
    with pytest.raises(UserError, match="is the state of another training"):
        load_training(tmp_path, other)
