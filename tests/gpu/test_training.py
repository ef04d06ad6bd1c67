"""The adversarial loop and what is built on it, on a GPU."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from bench.artifact.folder import load_artifact, save_artifact
from bench.base.seeds import stream
from bench.training.loop import GanTraining, TrainingSpec
from bench.training.recovery import Recovered, Scheduled, Start, parse_recovery, recover
from bench.training.resume import load_training, save_training
from bench.workloads.builtin import BUILT_IN
from bench.workloads.checkpoints import load_checkpoint, load_initialisation, load_rewind
from bench.workloads.cifar10 import CifarDiscriminator, CifarGenerator
from bench.workloads.condition import Condition
from bench.workloads.data import DATA_SOURCES
from bench.workloads.generate import generate
from bench.workloads.loaded import Gan
from strategies.base import Context, Level, Snapshot
from strategies.builtin import STRATEGIES
from strategies.layers import prunable_layers

SPEC = TrainingSpec(loss="hinge", batch_size=16, lr=2e-4, ema_decay=0.9, shift=2, channels_last=True)
CONDITIONAL = TrainingSpec(loss="hinge", batch_size=8, lr=2e-4, betas=(0.0, 0.99), ema_decay=0.9, channels_last=True)


def training(name: str, device: str, spec: TrainingSpec = SPEC) -> GanTraining:
    found, workload = load_checkpoint(BUILT_IN[name]), BUILT_IN[name]
    discriminator = copy.deepcopy(found.discriminator)
    assert discriminator is not None
    for module in discriminator.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0  # it draws from the device's own generator
    return GanTraining(
        copy.deepcopy(found.generator).requires_grad_(True),
        discriminator.requires_grad_(True),
        spec,
        images=DATA_SOURCES[workload.data]().train,
        sample=workload.inputs.sample,
        steps=10,
        seed=0,
        device=device,
    )


def labelled(count: int, rng: torch.Generator) -> tuple[Tensor, ...]:
    return torch.randn(count, 128, generator=rng), torch.randint(0, 10, (count,), generator=rng)


def conditional(device: str, precision: str = "fp32") -> GanTraining:
    torch.manual_seed(0)
    return GanTraining(
        CifarGenerator((32, 24, 16, 8)),
        CifarDiscriminator((8, 12, 16, 16)),
        replace(CONDITIONAL, precision=precision),  # type: ignore[arg-type]
        images=torch.randint(0, 256, (64, 3, 32, 32), generator=torch.Generator().manual_seed(1), dtype=torch.uint8),
        sample=labelled,
        steps=4,
        seed=0,
        device=device,
        condition=Condition(1, 10),
        labels=torch.arange(64) % 10,
    )


def losses(thing: GanTraining, steps: int) -> list[tuple[float, float]]:
    return [(stats.loss_g, stats.loss_d) for stats in (thing.step() for _ in range(steps))]


@pytest.mark.parametrize("name", ["mnist-dcgan", "mnist-mlp"])
def test_the_first_losses_are_those_of_the_cpu(name: str, device: str) -> None:
    here, there = (losses(training(name, place), 3) for place in ("cpu", device))
    for a, b in zip(here, there, strict=True):
        assert b == pytest.approx(a, rel=2e-3, abs=2e-3)


@pytest.mark.parametrize("name", ["mnist-dcgan", "mnist-mlp"])
def test_bfloat16_under_spectral_norm_stays_near_float32(name: str, device: str) -> None:
    full, rounded = (training(name, device, replace(SPEC, precision=p)) for p in ("fp32", "bf16"))  # type: ignore[arg-type]
    for a, b in zip(losses(full, 3), losses(rounded, 3), strict=True):
        assert b == pytest.approx(a, rel=0.1, abs=0.1)
    assert all(p.dtype == torch.float32 for p in rounded.generator.parameters())


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_conditional_gan_trains(precision: str, device: str) -> None:
    there = losses(conditional(device, precision), 3)
    assert all(math.isfinite(x) for pair in there for x in pair)
    if precision == "fp32":
        for a, b in zip(losses(conditional("cpu"), 3), there, strict=True):
            assert b == pytest.approx(a, rel=1e-2, abs=1e-2)


def test_images_may_lie_on_the_device(device: str) -> None:
    one, other = conditional(device), conditional(device)
    other.images = other.images.to(device)
    for a, b in zip(losses(one, 2), losses(other, 2), strict=True):
        assert b == pytest.approx(a, rel=1e-3, abs=1e-3)


def test_a_saved_training_goes_on_on_the_device(device: str, tmp_path: Path) -> None:
    """Kernels of a GPU add up in no fixed order, so the next losses are near and not the same."""
    first, second = training("mnist-dcgan", device), training("mnist-dcgan", device)
    losses(first, 3)
    save_training(tmp_path, first, {"step": 3})
    assert load_training(tmp_path, second) == (True, {"step": 3})
    assert second.step_count == 3
    assert {x.device.type for state in second.opt_g.state.values() for x in state.values()} == {
        torch.device(device).type
    }
    for a, b in zip(losses(first, 2), losses(second, 2), strict=True):
        assert b == pytest.approx(a, rel=1e-2, abs=1e-2)


def gan(name: str, device: str) -> Gan:
    workload = BUILT_IN[name]
    return Gan(workload, load_checkpoint(workload), DATA_SOURCES[workload.data](), device)


def context(name: str) -> Context:
    workload = BUILT_IN[name]
    found = load_checkpoint(workload)
    return Context(
        found.generator,
        workload.inputs.sample(2, stream(0, "prune", "example")),
        stream(0, "prune"),
        workload.inputs.sample,
        images=DATA_SOURCES[workload.data]().train,
        discriminator=found.discriminator,
        rewind=Snapshot(*load_rewind(workload)),
        initialisation=Snapshot(*load_initialisation(workload)),
    )


def recovered(
    name: str, recovery: str, device: str, *, strategy: str = "l1-channel-global", level: Level | None = None
) -> Recovered:
    thing, made, given = STRATEGIES[strategy], gan(name, device), context(name)
    level = level or Level("sparsity", 0.5)
    start: Start = Scheduled(thing, given, level, "params")
    if thing.schedule is None:
        start = thing.decide(thing.rank(given), level, "params").apply(made.checkpoint.generator)
    return recover(parse_recovery(recovery), made, start, seed=0)


def weights(model: nn.Module) -> int:
    return sum(layer.weight.numel() for layer in prunable_layers(model).values())


RECOVERIES = [
    "bn-recalibrate", "finetune-3", "finetune-3-d.frozen", "finetune-3-d.reset", "finetune-3-d.pruned",
    "finetune-4-d.adapt", "finetune-3-d.sparse0.5", "finetune-3-distil.output", "distil-3-feature",
    "finetune-3-distil.dfeature",
]  # fmt: skip


@pytest.mark.parametrize("recovery", RECOVERIES)
def test_every_recovery_ends_with_a_finite_network_on_the_device(recovery: str, device: str) -> None:
    found = recovered("mnist-dcgan", recovery, device)
    assert {p.device.type for p in found.generator.parameters()} == {torch.device(device).type}
    images = BUILT_IN["mnist-dcgan"].inputs.sample(8, stream(0, "eval"))
    assert generate(found.generator, images, device=device)[1]
    dense = weights(load_checkpoint(BUILT_IN["mnist-dcgan"]).generator)
    assert weights(found.generator) == pytest.approx(0.5 * dense, rel=0.02)


@pytest.mark.parametrize("strategy", ["l1-weight-global", "l1-quantised-4", "unlike-share-d", "l1-nm-2-4"])
def test_what_a_mask_a_level_or_a_tie_holds_is_held_on_the_device(strategy: str, device: str) -> None:
    name = "mnist-mlp"
    level = {"l1-nm-2-4": Level("n", 2.0)}.get(strategy, Level("sparsity", 0.3))
    found = recovered(name, "finetune-3", device, strategy=strategy, level=level)
    assert found.pruned is not None
    layers = prunable_layers(found.generator)
    for layer, mask in found.pruned.masks.items():
        assert not bool((layers[layer].weight != 0)[~mask.to(device)].any())
    for layer, codes in found.pruned.codes.items():
        assert len(layers[layer].weight.unique()) <= len(codes.unique())


SCHEDULED = [name for name, thing in ((n, STRATEGIES[n]) for n in STRATEGIES) if thing.schedule is not None]


@pytest.mark.parametrize("strategy", SCHEDULED)
def test_every_schedule_prunes_in_a_training_on_the_device(strategy: str, device: str) -> None:
    """Masks and physical cuts, at steps 0 to 5; a smaller network is proven against its masked twin where it is."""
    knob = Level("threshold", 0.5) if strategy == "rownorm-channel+everystep" else None
    found = recovered("mnist-dcgan", "finetune-8", device, strategy=strategy, level=knob)
    assert found.pruned is not None and len(found.curve) == 8
    dense = weights(load_checkpoint(BUILT_IN["mnist-dcgan"]).generator)
    left = sum(int(layer.weight.count_nonzero()) for layer in prunable_layers(found.generator).values())
    if knob is None:
        assert left == pytest.approx(0.5 * dense, rel=0.02)
    else:
        assert left <= dense


@pytest.mark.parametrize("schedule", ["cubic", "iterative"])
@pytest.mark.parametrize("criterion", ["taylor", "fisher", "dguided", "sensitivity", "reconstruct"])
def test_a_criterion_that_takes_gradients_scores_a_network_on_the_device(
    criterion: str, schedule: str, device: str
) -> None:
    base, timing = STRATEGIES[f"{criterion}-weight-global"], STRATEGIES[f"l1-weight-global+{schedule}"].schedule
    thing, name = replace(base, schedule=timing), "mnist-mlp"
    start = Scheduled(thing, context(name), Level("sparsity", 0.5), "params")
    found = recover(parse_recovery("finetune-4"), gan(name, device), start, seed=0)
    assert found.pruned is not None and found.pruned.masks


@pytest.mark.parametrize("strategy", ["l1-channel-global", "l1-weight-global", "l1-channel-global+cubic"])
def test_an_artefact_saved_from_the_device_is_the_network(strategy: str, device: str, tmp_path: Path) -> None:
    found = recovered("mnist-dcgan", "finetune-4", device, strategy=strategy)
    save_artifact(tmp_path, found, workload="mnist-dcgan", made_by={"strategy": strategy}, provenance={})
    again = load_artifact(tmp_path).to(device)
    drawn = BUILT_IN["mnist-dcgan"].inputs.sample(20, stream(0, "eval"))
    one, other = (generate(model, drawn, device=device)[0] for model in (found.generator, again))
    assert int((one.int() - other.int()).abs().max()) <= 1  # the same weights in another layout: other kernels


def test_half_precision_weights_go_to_disk_from_the_device(device: str, tmp_path: Path) -> None:
    from bench.workloads.store import half, load_into, read_weights, write_weights

    model = CifarGenerator((32, 24, 16, 8)).to(device).eval()
    write_weights(tmp_path / "g.safetensors", half(model.state_dict()))
    again = load_into(CifarGenerator((32, 24, 16, 8)), read_weights(tmp_path / "g.safetensors"), "g").eval()
    drawn = labelled(4, torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = model(*(x.to(device) for x in drawn)).cpu()
        torch.testing.assert_close(again(*drawn), expected, rtol=0.02, atol=0.02)
