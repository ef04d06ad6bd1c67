"""What is fed to a user's generator, and how images are read out of what it returns."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from scipy import stats
from torch import Tensor, nn

from bench.base.errors import Mistakes, UserError
from bench.base.seeds import stream
from bench.workloads.outputs import FromImages, ToImages, ToLogits, adapt_discriminator, adapt_generator
from bench.workloads.sampling import Inputs
from bench.workloads.spec import DiscriminatorSpec, OutputSpec
from tests.helpers.pictures import pictures, write_pictures
from tests.own.conftest import NOISE, Describe

Part = dict[str, Any]


def drawn(describe: Describe, *parts: Part, n: int = 4000, seed: int = 0) -> tuple[Tensor, ...]:
    return Inputs(describe(inputs=list(parts))).sample(n, stream(seed, "eval"))


def test_one_tensor_for_each_part_in_its_shape_and_type(describe: Describe) -> None:
    parts = [
        {"kind": "normal", "shape": [5, 1, 1]},
        {"kind": "labels", "classes": 7},
        {"kind": "labels", "classes": 7, "form": "one-hot"},
        {"kind": "fixed", "shape": [1, 4, 6]},
    ]
    found = drawn(describe, *parts, n=3)
    assert [tuple(x.shape) for x in found] == [(3, 5, 1, 1), (3,), (3, 7), (3, 1, 4, 6)]
    assert [x.dtype for x in found] == [torch.float32, torch.int64, torch.float32, torch.float32]


def test_the_same_stream_draws_the_same_and_another_seed_does_not(describe: Describe) -> None:
    one, again, other = (drawn(describe, NOISE, {"kind": "labels", "classes": 9}, seed=seed) for seed in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(one, again, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize(
    ("part", "distribution"),
    [
        ({"kind": "normal", "scale": 0.5}, stats.norm(scale=0.5)),
        ({"kind": "uniform"}, stats.uniform(-1, 2)),
        ({"kind": "uniform", "range": [0, 4]}, stats.uniform(0, 4)),
        ({"kind": "truncated"}, stats.truncnorm(-2, 2)),
        ({"kind": "truncated", "bound": 0.7, "scale": 3.0}, stats.truncnorm(-0.7, 0.7, scale=3)),
    ],
)
def test_noise_has_the_distribution_that_was_asked_for(describe: Describe, part: Part, distribution: Any) -> None:
    (noise,) = drawn(describe, part | {"shape": [3]})
    assert stats.kstest(noise.flatten().numpy(), distribution.cdf).pvalue > 0.01
    assert torch.isfinite(noise).all()


def test_truncated_noise_stays_within_its_bound_times_its_scale(describe: Describe) -> None:
    (noise,) = drawn(describe, {"kind": "truncated", "shape": [50], "bound": 0.5, "scale": 2.0})
    assert 0.99 < float(noise.abs().max()) <= 1.0


def test_labels_are_drawn_equally_often_and_one_hot_says_the_same_as_the_index(describe: Describe) -> None:
    (index,) = drawn(describe, {"kind": "labels", "classes": 4})
    (one_hot,) = drawn(describe, {"kind": "labels", "classes": 4, "form": "one-hot"})
    assert torch.equal(one_hot.argmax(1), index)
    assert torch.equal(one_hot.sum(1), torch.ones(4000))
    assert stats.chisquare(torch.bincount(index).numpy()).pvalue > 0.01


def test_a_fixed_map_is_the_same_for_every_image_and_every_stream(describe: Describe) -> None:
    (one,), (other,) = (drawn(describe, {"kind": "fixed", "shape": [1, 8, 8]}, n=3, seed=seed) for seed in (0, 1))
    assert torch.equal(one, other)
    assert torch.equal(one[0], one[2])
    (another,) = drawn(describe, {"kind": "fixed", "shape": [1, 8, 8], "seed": 1}, n=3)
    assert not torch.equal(one, another)
    (constant,) = drawn(describe, {"kind": "fixed", "shape": [2], "value": 0.7}, n=3)
    assert torch.equal(constant, torch.full((3, 2), 0.7))
    constant[0] = 0  # what a generator does to its input in place reaches no other image
    assert torch.equal(constant[1], torch.full((2,), 0.7))


def test_images_as_inputs_come_from_the_folder_each_once_before_any_twice(describe: Describe, tmp_path: Path) -> None:
    made = pictures(5, colours=1)
    write_pictures(tmp_path / "edges", made)
    part = {"kind": "images", "source": str(tmp_path / "edges"), "shape": [1, 16, 16], "range": [0, 1]}
    (found,) = drawn(describe, part, n=12)
    assert found.shape == (12, 1, 16, 16)
    known = {image.tobytes(): i for i, image in enumerate(made)}
    order = [known[(image * 255).round().byte().permute(1, 2, 0).numpy().tobytes()] for image in found]
    assert sorted(order[:5]) == sorted(order[5:10]) == [0, 1, 2, 3, 4]


def test_images_as_inputs_are_part_of_the_identity_by_their_pixels(describe: Describe, tmp_path: Path) -> None:
    part = {"kind": "images", "source": str(tmp_path), "shape": [1, 16, 16]}
    identities = []
    for seed in (0, 1):
        write_pictures(tmp_path, pictures(3, colours=1, seed=seed), labelled=False)
        identities.append(Inputs(describe(inputs=[part])).identity)
    assert identities[0] != identities[1]
    assert str(tmp_path) not in repr(Inputs(describe(inputs=[part])))
    with pytest.raises(UserError, match="no folder"):
        drawn(describe, part | {"source": "nowhere"})


@pytest.mark.parametrize(
    ("part", "sentence"),
    [
        ({"kind": "normal"}, r"inputs\[0\]: kind 'normal' needs shape"),
        ({"kind": "labels", "shape": [1]}, "kind 'labels' needs classes"),
        ({"kind": "images", "source": "x", "shape": [16, 16]}, r"expected \[channels, height, width\]"),
        ({"kind": "fixed", "shape": [1], "classes": 3}, "kind 'fixed' has no 'classes'"),
        ({"kind": "norml", "shape": [1]}, "'norml' is not 'normal', 'uniform'"),
        ({"kind": "uniform", "shape": [1], "range": [1, 0]}, "is not a range"),
        ({"kind": "normal", "shape": [0]}, "is not a shape"),
    ],
)
def test_what_makes_no_input_is_said(describe: Describe, part: Part, sentence: str) -> None:
    with pytest.raises(Mistakes, match=sentence):
        describe(inputs=[part])


# Outputs.


def read(output: Any, **said: Any) -> Tensor:
    return ToImages(OutputSpec.model_validate(said))(nn.Identity(), (), output)


def test_ranges_become_minus_one_to_one() -> None:
    black_and_white = torch.tensor([0.0, 255.0]).view(1, 1, 1, 2)
    assert read(black_and_white, range=(0, 255)).flatten().tolist() == [-1, 1]
    assert read(black_and_white / 255, range=(0, 1)).flatten().tolist() == [-1, 1]
    assert read(black_and_white, range=(-255, 255)).flatten().tolist() == [0, 1]


def test_layout_shape_channels_and_pick() -> None:
    images = torch.arange(2 * 3 * 4 * 5.0).view(2, 3, 4, 5)
    assert torch.equal(read(images.permute(0, 2, 3, 1), layout="nhwc"), images)
    assert torch.equal(read(images.flatten(1), shape=(3, 4, 5)), images)
    assert torch.equal(read(images.permute(0, 2, 3, 1).flatten(1), shape=(3, 4, 5), layout="nhwc"), images)
    assert torch.equal(read(images, channels=1), images[:, :1])
    assert torch.equal(read((None, images), pick=1), images)
    assert torch.equal(read({"image": images}, pick="image"), images)
    assert torch.equal(read(argless(sample=images), pick="sample"), images)


def argless(**values: Any) -> Any:
    return type("Output", (), values)()


@pytest.mark.parametrize(
    ("output", "said", "message"),
    [
        ((torch.zeros(1), None), {}, r"a tuple of 2: a tensor \(1,\), NoneType.*output\.pick"),
        ({"x": torch.zeros(1)}, {"pick": "image"}, "a dict with 'x'.*output.pick = 'image' is not in it"),
        (torch.zeros(2, 9), {"range": (0, 1)}, r"2 dimensions.*output\.shape"),
    ],
)
def test_what_is_no_image_is_described(output: Any, said: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        read(output, **said)


def test_what_a_generator_returns_as_it_should_be_stays_and_copies_keep_their_hooks() -> None:
    images = torch.rand(2, 3, 4, 4)
    assert torch.equal(adapt_generator(nn.Identity(), OutputSpec())(images), images)
    module = adapt_generator(nn.Identity(), OutputSpec(range=(0, 1)))
    copied = copy.deepcopy(module)
    assert torch.equal(copied(torch.ones(1, 1, 1, 1)), torch.ones(1, 1, 1, 1))
    assert torch.equal(copied(torch.zeros(1, 1, 1, 1)), -torch.ones(1, 1, 1, 1))


def test_a_discriminator_sees_its_own_range_and_layout_and_gives_one_logit_an_image() -> None:
    class Judge(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            assert x.shape == (2, 4, 5, 3)
            return x.mean((1, 2, 3), keepdim=True)

    spec = DiscriminatorSpec(factory="a:b", output="probability")
    module = adapt_discriminator(Judge(), spec, OutputSpec(range=(0, 1), layout="nhwc"))
    logits = module(torch.full((2, 3, 4, 5), 0.5))
    assert logits.shape == (2,)
    torch.testing.assert_close(logits, torch.full((2,), math.log(3)))  # probability .75


def test_patches_are_averaged_and_certain_probabilities_stay_finite() -> None:
    assert ToLogits(None, False)(nn.Identity(), (), torch.tensor([[[1.0, 3.0]]])).tolist() == [2]
    assert torch.isfinite(ToLogits(None, True)(nn.Identity(), (), torch.tensor([0.0, 1.0]))).all()
    assert FromImages(0, 255, "nchw")(nn.Identity(), (torch.tensor([-1.0, 1.0]),))[0].tolist() == [0, 255]
