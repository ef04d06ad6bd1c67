"""Public architectures: sizes as published, files as others write them, pruned and proven; NVIDIA's pickles refused.

The weights are made on the spot. Nothing is downloaded.
"""

from __future__ import annotations

import math
import pickle
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from bench.base.errors import Mistakes, UserError
from bench.check.workload import check
from bench.experiments import Quality
from bench.workloads.own import Own
from bench.workloads.public import biggan, dcgan, sngan, stylegan2
from bench.workloads.public.normalised import NormalisedConv
from strategies.baking import is_plain, plain
from strategies.layers import prunable_layers
from tests.own.conftest import Describe
from tests.own.test_own import record

HERE = "bench.workloads.public"


@dataclass(frozen=True)
class Public:
    """A small version of a public architecture: its table, and the file that its authors' code would write."""

    factory: Callable[..., nn.Module]
    table: dict[str, Any]
    entry: tuple[str, dict[str, Any]] | None
    """The place of the state dict in the file, and what else is in there; None: the file is the state dict."""


SMALL: dict[str, Public] = {
    "dcgan": Public(
        dcgan.generator,
        {
            "factory": f"{HERE}.dcgan:generator",
            "arguments": {"nz": 10, "ngf": 2},
            "inputs": [{"kind": "normal", "shape": [10, 1, 1]}],
        },
        None,
    ),
    "sngan": Public(
        sngan.Generator,
        {
            "factory": f"{HERE}.sngan:Generator",
            "arguments": {"nz": 8, "ngf": 8},
            "inputs": [{"kind": "normal", "shape": [8]}],
            "checkpoint": {"file": "weights.pt", "entry": "model_state_dict"},
        },
        ("model_state_dict", {"optimizer_state_dict": {"state": {0: {"step": torch.tensor(3.0)}}}, "global_step": 3}),
    ),
    "biggan": Public(
        biggan.Generator,
        {
            "factory": f"{HERE}.biggan:Generator",
            "arguments": {
                "resolution": 32,
                "ch": 4,
                "dim_z": 16,
                "n_classes": 5,
                "shared_dim": 6,
                "attention": [16],
            },
            "inputs": [
                {"kind": "truncated", "shape": [16], "bound": 2.0, "scale": 0.5},
                {"kind": "labels", "classes": 5},
            ],
        },
        None,
    ),
    "biggan-unshared": Public(
        biggan.Generator,
        {
            "factory": f"{HERE}.biggan:Generator",
            "arguments": {
                "resolution": 32,
                "ch": 2,
                "dim_z": 8,
                "n_classes": 5,
                "shared_dim": 0,
                "hier": False,
                "attention": [],
            },
            "inputs": [{"kind": "normal", "shape": [8]}, {"kind": "labels", "classes": 5}],
        },
        None,
    ),
    "stylegan2": Public(
        stylegan2.Generator,
        {
            "factory": f"{HERE}.stylegan2:Generator",
            "arguments": {"size": 16, "style_dim": 8, "n_mlp": 2, "widest": 12, "truncation": 0.7},
            "inputs": [{"kind": "normal", "shape": [8]}],
            "checkpoint": {"file": "weights.pt", "entry": "g_ema", "also": {"latent_avg": "latent_avg"}},
        },
        ("g_ema", {"g": {"input.input": torch.zeros(1)}, "latent_avg": torch.linspace(-1, 1, 8)}),
    ),
    "stylegan2-noise": Public(
        stylegan2.Generator,
        {
            "factory": f"{HERE}.stylegan2:Generator",
            "arguments": {"size": 8, "style_dim": 8, "n_mlp": 2, "widest": 12},
            "inputs": [
                {"kind": "normal", "shape": [8]},
                {"kind": "fixed", "shape": [1, 4, 4]},
                {"kind": "fixed", "shape": [1, 8, 8], "seed": 1},
                {"kind": "normal", "shape": [1, 8, 8]},
            ],
            "checkpoint": {"file": "weights.pt", "entry": "g_ema"},
        },
        ("g_ema", {}),
    ),
}
each = pytest.mark.parametrize("name", list(SMALL))


def trained(name: str, seed: int = 5) -> nn.Module:
    """A network whose every parameter and statistic says something, as after a training."""
    public = SMALL[name]
    torch.manual_seed(seed)
    model = public.factory(**public.table["arguments"])
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        for key, buffer in model.named_buffers():
            if key.endswith("mean"):
                buffer.normal_(0, 0.5)
            elif key.endswith("var"):
                buffer.uniform_(0.5, 2)
            elif key.endswith("latent_avg"):
                buffer.copy_(torch.linspace(-1, 1, len(buffer)))
    return model.eval()


def write(name: str, folder: Path) -> nn.Module:
    """``weights.pt`` as the public code writes it, from a network made on the spot, which is returned."""
    model, entry = trained(name), SMALL[name].entry
    state = {key: value for key, value in model.state_dict().items() if key != "latent_avg"}
    torch.save(state if entry is None else {entry[0]: state, **entry[1]}, folder / "weights.pt")
    return model


def table(name: str, **said: Any) -> dict[str, Any]:
    return {"checkpoint": "weights.pt", "reference": {"source": "photos", "resize": True}} | SMALL[name].table | said


def described(describe: Describe, name: str, **said: Any) -> Own:
    return Own(describe(**table(name, **said)))


# What the files hold.


SIZES = {
    "DCGAN 64, PyTorch's example: Radford et al. 2016, bias-free, counted by hand": (
        dcgan.generator,
        16 * (100 * 512 + 512 * 256 + 256 * 128 + 128 * 64 + 64 * 3) + 2 * (512 + 256 + 128 + 64),
    ),
    "SNGAN 32, Miyato et al. 2018, table 4, counted by hand": (
        sngan.Generator,
        129 * 16 * 256 + 3 * (2 * (9 * 256 * 256 + 256) + 257 * 256 + 4 * 256) + 2 * 256 + (9 * 256 + 1) * 3,
    ),
    "BigGAN 128: google/compare_gan, resnet_biggan_test.py": (biggan.Generator, 70_433_988),
    "StyleGAN2 256, config F": (lambda: stylegan2.Generator(256), 30_034_338),
    "StyleGAN2 1024, config F: the total that NVIDIA's training prints": (
        lambda: stylegan2.Generator(1024),
        30_370_060,
    ),
}


@pytest.mark.parametrize(("factory", "expected"), SIZES.values(), ids=list(SIZES))
def test_the_full_size_has_the_published_number_of_parameters(factory: Callable[..., nn.Module], expected: int) -> None:
    with torch.device("meta"):
        assert sum(p.numel() for p in factory().parameters()) == expected


def test_the_authors_biggan_for_cifar_has_4_3_million_parameters() -> None:
    """ajbrock/BigGAN-PyTorch, issue 78."""
    with torch.device("meta"):
        model = biggan.Generator(32, ch=64, dim_z=128, n_classes=10, shared_dim=0, hier=False, attention=())
    assert round(sum(p.numel() for p in model.parameters()) / 1e6, 1) == 4.3


def test_layers_of_stylegan2_have_the_sizes_that_nvidias_code_prints() -> None:
    """``G.print_layers()`` of NVlabs/stylegan2 for 1024 x 1024."""
    with torch.device("meta"):
        model = stylegan2.Generator(1024)
    sizes = {name: sum(p.numel() for p in module.parameters()) for name, module in model.named_modules()}
    printed = {"style.1": 262_656, "input": 8_192, "conv1": 2_622_465, "to_rgb1": 264_195, "convs.15": 25_665}
    assert {name: sizes[name] for name in printed} == printed


KEYS = {
    "sngan": {
        "l1.weight": (128, 8),
        "block2.c1.weight": (8, 8, 3, 3),
        "block4.c_sc.bias": (8,),
        "b5.running_var": (8,),
    },
    "dcgan": {"main.0.weight": (10, 16, 4, 4), "main.1.running_mean": (16,), "main.12.weight": (2, 3, 4, 4)},
    "biggan": {
        "shared.weight": (5, 6),
        "linear.u0": (1, 256),
        "linear.sv0": (1,),
        "blocks.0.0.bn1.gain.weight": (16, 10),
        "blocks.1.1.theta.weight": (2, 16, 1, 1),
        "blocks.1.1.gamma": (),
        "blocks.2.0.bn2.stored_var": (16,),
        "output_layer.0.gain": (16,),
        "output_layer.2.bias": (3,),
    },
    "stylegan2": {
        "style.2.bias": (8,),
        "input.input": (1, 12, 4, 4),
        "conv1.conv.weight": (1, 12, 12, 3, 3),
        "convs.0.conv.blur.kernel": (4, 4),
        "convs.1.noise.weight": (1,),
        "convs.3.activate.bias": (12,),
        "to_rgbs.0.upsample.kernel": (4, 4),
        "to_rgbs.1.conv.modulation.weight": (12, 8),
        "noises.noise_4": (1, 1, 16, 16),
    },
}


@pytest.mark.parametrize("name", list(KEYS))
def test_tensors_have_the_names_and_shapes_of_the_public_code(name: str) -> None:
    state = trained(name).state_dict()
    assert {key: tuple(state[key].shape) for key in KEYS[name]} == KEYS[name]


# What they compute.


def test_blur_and_upsampling_are_filters_on_an_image_with_zeros_in_between() -> None:
    """As StyleGAN2's ``upfirdn2d`` defines them: insert zeros, pad, convolve."""
    x = torch.randn(2, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0])
    kernel = torch.outer(taps, taps) / 64 * 4
    spread = torch.zeros(2, 3, 10, 10)
    spread[:, :, ::2, ::2] = x
    padded = F.pad(spread, (2, 1, 2, 1)).reshape(6, 1, 13, 13)
    expected = F.conv2d(padded, kernel[None, None]).view(2, 3, 10, 10)
    torch.testing.assert_close(stylegan2.Upsample()(x), expected)
    flat = torch.ones(1, 2, 9, 9)
    assert torch.allclose(stylegan2.Blur()(flat)[:, :, 2:-2, 2:-2], torch.tensor(4.0))


def test_a_modulated_convolution_is_one_convolution_for_each_image() -> None:
    """Karras et al. 2020, equations 1 and 3."""
    torch.manual_seed(0)
    layer = stylegan2.ModulatedConv(4, 5, 3, 6)
    x, w = torch.randn(3, 4, 8, 8), torch.randn(3, 6)
    for k in range(3):
        style = F.linear(w[k], layer.modulation.weight / math.sqrt(6), layer.modulation.bias)
        weight = layer.weight[0] / math.sqrt(4 * 9) * style[:, None, None]
        weight = weight / (weight.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()
        torch.testing.assert_close(layer(x, w)[k], F.conv2d(x[k : k + 1], weight, padding=1)[0])


def test_truncation_draws_styles_towards_their_mean() -> None:
    torch.manual_seed(0)
    said = {"size": 8, "style_dim": 8, "n_mlp": 2, "widest": 12}
    whole, none = (stylegan2.Generator(**said, truncation=psi) for psi in (1.0, 0.0))
    missing, _ = none.load_state_dict(whole.state_dict(), strict=False)
    assert missing == ["latent_avg"]
    z = torch.randn(2, 8)
    assert torch.equal(none(z)[0], none(z)[1])  # all images are the mean's
    assert not torch.allclose(whole(z)[0], whole(z)[1])


def test_normalised_layers_divide_by_the_largest_singular_value() -> None:
    torch.manual_seed(0)
    layer = NormalisedConv(6, 5, 3, 1e-12)
    for _ in range(200):
        layer.train()(torch.randn(1, 6, 4, 4))
    expected = torch.linalg.svdvals(layer.weight.detach().flatten(1))[0]
    torch.testing.assert_close(layer.sv0[0], expected)
    torch.testing.assert_close(layer.eval().W_(), layer.weight / expected)
    before = layer.u0.clone()
    layer(torch.randn(1, 6, 4, 4))
    assert torch.equal(layer.u0, before)


@pytest.mark.parametrize("count", [1, 4])
def test_too_few_or_too_many_noise_maps_are_refused(count: int) -> None:
    model = stylegan2.Generator(8, 8, 2, widest=12)
    with pytest.raises(ValueError, match=f"{count} noise maps; expected 3"):
        model(torch.randn(1, 8), *[torch.zeros(1, 1, 4, 4)] * count)


# Read, checked, pruned.


@each
@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
def test_weights_made_on_the_spot_are_loaded_and_compute_the_same(
    name: str, suffix: str, describe: Describe, folder: Path
) -> None:
    model = write(name, folder)
    said: dict[str, Any] = {}
    if suffix == "safetensors":
        save_file(model.state_dict(), folder / "weights.safetensors")
        said["checkpoint"] = "weights.safetensors"
    own = described(describe, name, **said)
    generator, _ = own.load()
    assert is_plain(generator)
    inputs = tuple(x[:2] for x in _inputs(own))
    with torch.no_grad():
        expected = model(*inputs)
        torch.testing.assert_close(generator(*inputs), expected)
    assert float((expected[0] - expected[1]).abs().max()) > 1e-3


def _inputs(own: Own) -> tuple[Tensor, ...]:
    return own.probe(2)


@each
def test_check_workload_finds_no_problem_and_prunes_a_little(name: str, describe: Describe, folder: Path) -> None:
    write(name, folder)
    found = list(check(described(describe, name).spec, Quality(metrics=("fid",))))
    assert not [f.text for f in found if f.kind == "problem"]
    assert any(f.kind == "ok" and "verified against the masked twin" in f.text for f in found)


@pytest.mark.parametrize(
    ("strategy", "name"),
    [
        *(("l1-channel-uniform", name) for name in SMALL),
        *(("l1-weight-global", name) for name in ("dcgan", "sngan", "biggan", "stylegan2")),
    ],
)
def test_small_versions_are_pruned_and_measured(name: str, strategy: str, describe: Describe, folder: Path) -> None:
    """A channel strategy raises where the compact network is not its masked twin."""
    write(name, folder)
    found = record(described(describe, name).spec, strategy, sparsity=0.4)
    assert found.status == "ok"
    assert found.achieved_params == pytest.approx(0.4, abs=0.06)
    kept = {layer.name: layer.kept for layer in found.layers}
    assert len(kept) == len(prunable_layers(plain(trained(name))))
    if strategy == "l1-channel-uniform":
        assert found.architecture is not None
        assert found.architecture.kept  # physically smaller, not masked


def test_channels_of_modulated_convolutions_take_their_styles_with_them(describe: Describe, folder: Path) -> None:
    write("stylegan2", folder)
    found = record(described(describe, "stylegan2").spec, "l1-channel-uniform", sparsity=0.4)
    assert found.architecture is not None
    widths = found.architecture.widths
    assert widths["convs.1.conv"][0] < 12
    assert widths["convs.1.conv"][0] == widths["convs.2.conv"][1] == widths["convs.2.conv.modulation"][0]
    assert widths["to_rgbs.1.conv"][0] == 3


DISCRIMINATORS = {
    "dcgan": (lambda: dcgan.discriminator(ndf=2), {"factory": f"{HERE}.dcgan:discriminator", "arguments": {"ndf": 2}}),
    "sngan": (lambda: sngan.Discriminator(4), {"factory": f"{HERE}.sngan:Discriminator", "arguments": {"ndf": 4}}),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", list(DISCRIMINATORS))
def test_with_its_discriminator_it_is_fine_tuned(name: str, describe: Describe, folder: Path) -> None:
    write(name, folder)
    make, said = DISCRIMINATORS[name]
    torch.save({"model_state_dict": make().state_dict()}, folder / "netD.pth")
    weights = {"file": "netD.pth", "entry": "model_state_dict"}
    own = described(describe, name, discriminator=said | {"checkpoint": weights}, training={"batch_size": 4})
    found = record(own.spec, "l1-channel-global+cubic", sparsity=0.4, recovery="finetune-2-d.sparse0.5")
    assert (found.status, found.cost.train_steps) == ("ok", 2)


def test_sngans_discriminator_has_the_public_names_and_sizes() -> None:
    """Miyato et al. 2018, table 4: counted by hand."""
    with torch.device("meta"):
        model = sngan.Discriminator()
    state = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    assert state["block1.c_sc.weight_orig"] == (128, 3, 1, 1) and state["block3.c1.weight_u"] == (128,)
    assert state["l5.weight_v"] == (128,) and not any(name.startswith("block3.c_sc") for name in state)
    first = (9 * 3 + 1) * 128 + (9 * 128 + 1) * 128 + 4 * 128
    rest = 3 * 2 * (9 * 128 + 1) * 128 + 129 * 128
    assert sum(p.numel() for p in model.parameters()) == first + rest + 129


# Wrong files.


@pytest.mark.parametrize(
    ("name", "said", "message"),
    [
        ("dcgan", {"arguments": {"nz": 10, "ngf": 3}}, "other arguments of the factory"),
        ("dcgan", SMALL["sngan"].table | {"checkpoint": "weights.pt"}, "l1.weight"),
        ("sngan", {"checkpoint": "weights.pt"}, "say which state dict is meant"),
        ("sngan", {"checkpoint": {"file": "weights.pt", "entry": "g_ema"}}, "no entry 'g_ema'"),
        ("biggan", {"arguments": SMALL["biggan"].table["arguments"] | {"attention": []}}, "blocks.1.1.gamma"),
        (
            "stylegan2",
            {"checkpoint": {"file": "weights.pt", "entry": "g_ema"}},
            "1 missing in the file: latent_avg",
        ),
        (
            "stylegan2-noise",
            {"checkpoint": SMALL["stylegan2"].table["checkpoint"]},
            "has no tensor 'latent_avg', which checkpoint.also asks for",
        ),
        ("biggan", {"arguments": {"resolution": 48}}, "resolution 48: expected one of 32, 64, 128, 256, 512"),
        ("stylegan2", {"arguments": {"size": 48}}, "size 48: expected 8, 16"),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 16 else "",
)
def test_what_does_not_fit_is_said(
    name: str, said: dict[str, Any], message: str, describe: Describe, folder: Path
) -> None:
    write(name, folder)
    with pytest.raises(UserError) as caught:
        described(describe, name, **said).load()
    assert message in str(caught.value)


def test_names_are_changed_by_regular_expressions(describe: Describe, folder: Path) -> None:
    """BigGAN's options for other norms keep the statistics one module deeper."""
    model = write("biggan", folder)
    state = {
        key.replace(".stored_", ".bn.stored_") if key.startswith("blocks") else key: value
        for key, value in model.state_dict().items()
    }
    torch.save(state, folder / "weights.pt")
    with pytest.raises(UserError, match=r"12 missing in the file: .*bn1\.stored_mean"):
        described(describe, "biggan").load()
    said = {"checkpoint": {"file": "weights.pt", "rename": {r"(bn\d)\.bn\.": r"\1."}}}
    generator, _ = described(describe, "biggan", **said).load()
    inputs = _inputs(described(describe, "biggan"))
    with torch.no_grad():
        torch.testing.assert_close(generator(*inputs), model(*inputs))


def test_two_tensors_under_one_name_are_refused(describe: Describe, folder: Path) -> None:
    write("dcgan", folder)
    said = {"checkpoint": {"file": "weights.pt", "rename": {r"main\.\d+": "main"}}}
    with pytest.raises(UserError, match=r"checkpoint\.rename gives two tensors one name"):
        described(describe, "dcgan", **said).load()


@pytest.mark.parametrize("pattern", [{"(": ""}, {"a": r"\1"}, {"a": r"\g<x>"}])
def test_what_is_no_regular_expression_is_a_mistake_in_the_table(describe: Describe, pattern: dict[str, str]) -> None:
    with pytest.raises(Mistakes, match="is not a regular expression"):
        described(describe, "dcgan", checkpoint={"file": "weights.pt", "rename": pattern})


@pytest.mark.parametrize(
    ("module", "advice"),
    [
        ("torch_utils.persistence", r"save the tensors of its 'G_ema'.*save_file.*entry 'g_ema'"),
        ("dnnlib.tflib.network", r"convert_weight\.py.*entry 'g_ema' fits the factory bench\.workloads\.public"),
    ],
)
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_pickles_of_nvidia_are_refused_with_the_way_to_convert_them(
    module: str, advice: str, protocol: int, describe: Describe, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file as NVIDIA's code writes it, with a function that would leave a trace if it were called."""
    kind = ModuleType(module)

    def rebuild() -> None:
        (folder / "run-by-loading").touch()

    class Network:
        def __reduce__(self) -> tuple[Any, ...]:
            return rebuild, ()

    rebuild.__module__, rebuild.__qualname__ = module, "rebuild"
    kind.rebuild = rebuild  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.split(".")[0], ModuleType(module.split(".")[0]))
    monkeypatch.setitem(sys.modules, module, kind)
    (folder / "ffhq.pkl").write_bytes(pickle.dumps({"G": None, "G_ema": Network()}, protocol=protocol))
    said = {"checkpoint": {"file": "ffhq.pkl", "entry": "g_ema"}}
    with pytest.raises(UserError, match=f"one of NVIDIA's pickles.*{advice}") as caught:
        described(describe, "stylegan2", **said).load()
    assert "ffhq.pkl" in str(caught.value)
    assert not (folder / "run-by-loading").exists()
