"""MACs against closed forms, and nothing silently 0."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.measure.complexity import (
    Macs,
    _traced_attention,
    count_macs,
    count_macs_fvcore,
    count_products_fvcore,
    skipping_zeros,
)
from bench.measure.footprint import LayerSize, footprint
from bench.workloads.networks import DcganGenerator, MlpGenerator
from strategies.layers import prunable_layers


def closed_form_macs(layer: nn.Module, positions: int) -> int:
    """MACs of a layer applied at so many positions: output pixels, input pixels where it is transposed."""
    if isinstance(layer, nn.Linear):
        return positions * layer.in_features * layer.out_features
    assert isinstance(layer, nn.modules.conv._ConvNd)
    return positions * layer.in_channels * layer.out_channels // layer.groups * math.prod(layer.kernel_size)


@pytest.mark.parametrize(
    ("layer", "input_shape", "positions"),
    [
        (nn.ConvTranspose2d(64, 32, 4, 2, 1, bias=False), (64, 7, 7), 7 * 7),
        (nn.ConvTranspose2d(8, 12, 4, 2, 1, groups=4), (8, 5, 3), 5 * 3),
        (nn.Conv2d(3, 16, 3, padding=1), (3, 8, 6), 8 * 6),
        (nn.Conv2d(8, 16, 3, stride=2, padding=1, groups=4), (8, 9, 9), 5 * 5),
        (nn.Conv2d(6, 6, 5, padding=4, dilation=2, groups=6), (6, 7, 7), 7 * 7),
        (nn.Conv1d(4, 6, 3), (4, 10), 8),
        (nn.Linear(20, 30), (20,), 1),
        (nn.Linear(20, 30), (7, 20), 7),
    ],
    ids=[
        "transposed",
        "transposed-groups",
        "conv",
        "conv-groups",
        "depthwise-dilated",
        "conv1d",
        "linear",
        "tokens",
    ],
)
def test_macs_of_one_layer_are_the_closed_form(layer: nn.Module, input_shape: tuple[int, ...], positions: int) -> None:
    macs = count_macs(layer, (torch.zeros(1, *input_shape),))
    expected = closed_form_macs(layer, positions)
    assert (macs.dense, macs.by_module, macs.outside, macs.uncounted) == (expected, {"": expected}, 0, ())


def test_macs_of_the_dcgan_are_those_counted_by_hand() -> None:
    generator = DcganGenerator(64, 192)
    for weight in generator.parameters():
        nn.init.ones_(weight)  # a draw from N(0, .02) can be exactly 0, and would not count as effective
    macs = count_macs(generator, (torch.zeros(1, 64),))
    assert macs.by_module == {
        "net.0": 1 * 64 * 192 * 7 * 7,
        "net.3": 7 * 7 * 192 * 96 * 4 * 4,
        "net.6": 14 * 14 * 96 * 48 * 4 * 4,
        "net.9": 28 * 28 * 48 * 1 * 3 * 3,
    }
    assert macs.dense == macs.effective == 29_842_176
    assert macs.uncounted == ()


def test_macs_of_the_mlp_are_its_weights() -> None:
    generator = MlpGenerator()
    weights = sum(p.numel() for p in generator.parameters() if p.dim() == 2)
    assert count_macs(generator, (torch.zeros(1, 100),)).dense == weights


def test_macs_are_of_one_image_whatever_the_batch() -> None:
    layer = nn.Linear(4, 5)
    assert count_macs(layer, (torch.zeros(9, 4),)).dense == 20


def test_macs_need_an_input() -> None:
    with pytest.raises(ValueError, match="at least one image"):
        count_macs(nn.Linear(4, 5), (torch.zeros(0, 4),))


def test_effective_macs_skip_zeroed_weights() -> None:
    first, second = nn.ConvTranspose2d(2, 4, 4, 2, 1, bias=False), nn.Conv2d(4, 1, 3, 1, 1, bias=False)
    with torch.no_grad():
        first.weight.fill_(1.0)
        first.weight[0, :, 0, 0] = 0  # 4 of 128
        second.weight.fill_(1.0)
        second.weight[:, :2] = 0  # 18 of 36
    macs = count_macs(nn.Sequential(first, second), (torch.zeros(1, 2, 5, 5),))
    assert macs.dense == 25 * 128 + 100 * 36
    assert macs.effective == 25 * 124 + 100 * 18


def test_effective_macs_keep_what_happens_outside_of_modules() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4)
            nn.init.zeros_(self.layer.weight)

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.layer(x)
            return y @ y.T

    macs = count_macs(Net(), (torch.zeros(1, 4),))
    assert (macs.dense, macs.outside, macs.effective) == (16 + 4, 4, 4)


def test_a_module_that_is_called_twice_counts_twice() -> None:
    layer = nn.Linear(4, 4)
    macs = count_macs(nn.Sequential(layer, nn.ReLU(), layer), (torch.zeros(1, 4),))
    assert (macs.dense, macs.by_module) == (32, {"0": 32})


def test_functional_convolutions_with_weights_that_want_gradients_are_counted() -> None:
    class Modulated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(6, 3, 3, 3))

        def forward(self, x: Tensor) -> Tensor:
            return functional.conv2d(x, self.weight * x.mean(), padding=1)

    macs = count_macs(Modulated(), (torch.zeros(1, 3, 8, 8),))
    assert (macs.dense, macs.by_module, macs.uncounted) == (64 * 6 * 3 * 9, {"": 64 * 6 * 3 * 9}, ())


def test_attention_products_are_counted_on_a_cpu() -> None:
    class Attention(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return functional.scaled_dot_product_attention(x, x, x)

    macs = count_macs(Attention(), (torch.zeros(1, 2, 5, 8),))
    assert (macs.dense, macs.uncounted) == (2 * (2 * 5 * 5 * 8), ())


def test_inputs_may_be_labels_but_not_single_numbers_or_none() -> None:
    model = nn.Sequential(nn.Embedding(4, 3), nn.Linear(3, 2, bias=False))
    assert count_macs(model, (torch.zeros(5, dtype=torch.int64),)).dense == 6
    for wrong in ((), (torch.tensor(1),), (torch.zeros(0, 3),)):
        with pytest.raises(ValueError, match="at least one image"):
            count_macs(model, wrong)


def test_a_traced_attention_is_counted_from_its_shapes() -> None:
    def traced(*sizes: int) -> Any:
        return SimpleNamespace(type=lambda: SimpleNamespace(sizes=lambda: list(sizes)))

    # 2 x 3 heads, 5 queries of 8 numbers, 7 keys, values of 4: each pair takes 8 and 4 products.
    inputs = [traced(2, 3, 5, 8), traced(2, 3, 7, 8), traced(2, 3, 7, 4)]
    assert dict(_traced_attention(inputs, [])) == {"scaled_dot_product_attention": 2 * 3 * 5 * 7 * (8 + 4)}
    inputs = [traced(2, 5, 8), traced(2, 7, 8), traced(2, 7, 4), None, None]  # one head, and arguments that are none
    assert dict(_traced_attention(inputs, [])) == {"scaled_dot_product_attention": 2 * 5 * 7 * (8 + 4)}


def test_the_fused_transformer_layer_is_counted_unfused() -> None:
    layer = nn.TransformerEncoderLayer(8, 2, dim_feedforward=16, batch_first=True)
    macs = count_macs(layer, (torch.zeros(1, 5, 8),))
    assert macs.dense == 5 * (8 * 24 + 8 * 8 + 2 * 8 * 16) + 2 * (5 * 5 * 8)
    assert macs.uncounted == ()


def test_einsum_is_counted_as_the_matrix_product_that_it_becomes() -> None:
    class Net(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.einsum("bi,ij->bj", x, torch.ones(3, 4))

    macs = count_macs(Net(), (torch.zeros(1, 3),))
    assert (macs.dense, macs.uncounted) == (12, ())


def test_an_operator_without_a_formula_is_listed() -> None:
    class Net(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = torch.fft.fft(x).real
            return y

    assert count_macs(Net(), (torch.zeros(1, 8),)).uncounted == ("aten._fft_r2c",)


def test_an_operator_of_the_users_own_is_listed() -> None:
    @torch.library.custom_op("ganprune_tests::mystery", mutates_args=())
    def mystery(x: Tensor) -> Tensor:
        return x + 1

    class Net(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.relu(mystery(x))

    assert count_macs(Net(), (torch.zeros(1, 8),)).uncounted == ("ganprune_tests.mystery",)


def test_norms_activations_pooling_and_interpolation_are_free_by_convention() -> None:
    model = nn.Sequential(
        *(nn.BatchNorm2d(4), nn.InstanceNorm2d(4), nn.GroupNorm(2, 4), nn.LayerNorm([4, 8, 8])),
        *(nn.ReLU(), nn.LeakyReLU(0.2), nn.PReLU(), nn.SiLU(), nn.Dropout(), nn.Softmax(1)),
        *(nn.ReflectionPad2d(2), nn.MaxPool2d(2), nn.AvgPool2d(2), nn.Upsample(scale_factor=2)),
        *(nn.Upsample(scale_factor=2, mode="bilinear"), nn.PixelShuffle(2), nn.AdaptiveAvgPool2d(1)),
        *(nn.Flatten(), nn.Tanh()),
    )
    macs = count_macs(model, (torch.rand(1, 4, 8, 8),))
    assert (macs.dense, macs.uncounted) == (0, ())


def test_counting_leaves_the_model_and_the_random_state_as_they_were() -> None:
    class Noisy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2).eval(), nn.Dropout())
            self.net[0].weight.requires_grad_(False)

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.net(x + torch.randn_like(x))
            return y

    def snapshot() -> tuple[list[bool], list[bool], list[int]]:
        hooks = [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules()]
        return [m.training for m in model.modules()], [p.requires_grad for p in model.parameters()], hooks

    model = Noisy()
    before, random_state, state = snapshot(), torch.get_rng_state(), model.state_dict()
    kept = {name: tensor.clone() for name, tensor in state.items()}
    count_macs(model, (torch.zeros(1, 1, 5, 5),))
    count_macs_fvcore(model, (torch.zeros(1, 1, 5, 5),))
    assert snapshot() == before
    assert torch.equal(torch.get_rng_state(), random_state)
    assert all(torch.equal(tensor, kept[name]) for name, tensor in model.state_dict().items())


def test_a_model_that_raises_is_left_as_it_was() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(5, 5))
    with pytest.raises(RuntimeError):
        count_macs(model, (torch.zeros(1, 4),))
    assert all(m.training and not m._forward_hooks for m in model.modules())
    assert all(p.requires_grad for p in model.parameters())


def test_fvcore_agrees_up_to_the_norms_that_it_counts() -> None:
    pytest.importorskip("fvcore")
    model, inputs = DcganGenerator(), (torch.zeros(1, 64),)
    normed = 49 * 192 + 196 * 96 + 784 * 48
    total, unsupported = count_macs_fvcore(model, inputs)
    assert total == count_macs(model, inputs).dense + 2 * normed  # a scale and a shift an entry
    assert unsupported == ("aten::tanh",)


def test_fvcore_agrees_exactly_on_a_network_without_norms() -> None:
    pytest.importorskip("fvcore")
    model, inputs = MlpGenerator(), (torch.zeros(1, 100),)
    assert count_macs_fvcore(model, inputs)[0] == count_macs(model, inputs).dense


def test_fvcore_lists_attention_as_unsupported() -> None:
    pytest.importorskip("fvcore")

    class Attention(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return functional.scaled_dot_product_attention(x, x, x)

    assert count_macs_fvcore(Attention(), (torch.zeros(1, 2, 5, 8),)) == (
        0,
        ("aten::scaled_dot_product_attention",),
    )


def test_fvcore_says_nothing(caplog: pytest.LogCaptureFixture, recwarn: pytest.WarningsRecorder) -> None:
    pytest.importorskip("fvcore")
    count_macs_fvcore(DcganGenerator(8, 8), (torch.zeros(1, 8),))
    assert caplog.records == []
    assert list(recwarn) == []


def test_effective_macs_of_an_architecture_follow_from_the_weights() -> None:
    dense = DcganGenerator(8, 8)
    counted = count_macs(dense, (torch.zeros(1, 8),))
    with torch.no_grad():
        for number, layer in enumerate(prunable_layers(dense).values()):
            layer.weight.view(-1)[:: number + 2] = 0
    pruned = count_macs(dense, (torch.zeros(1, 8),))
    assert skipping_zeros(counted, footprint(dense).layers) == pruned
    assert pruned.effective < counted.effective == counted.dense


@pytest.mark.parametrize(
    ("size", "effective"),
    [((1, 1), 30), ((1, 0), 20), ((4, 3), 27), ((4, 1), 22), ((0, 0), 20)],
)
def test_effective_macs_are_the_share_of_what_is_not_zero_and_what_is_outside_of_layers(
    size: tuple[int, int], effective: int
) -> None:
    macs = Macs(30, 30, {"a": 10}, ())
    assert skipping_zeros(macs, {"a": LayerSize(*size)}).effective == effective


def test_fvcore_counts_products_as_we_do_beside_norms_and_with_attention() -> None:
    pytest.importorskip("fvcore")

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4)

        def forward(self, x: Tensor) -> Tensor:
            y = self.norm(self.conv(x)).flatten(2)
            return functional.scaled_dot_product_attention(y, y, y)

    products = 4 * 4 * 2 * 4 * 9 + 2 * 4 * 4 * 16
    assert count_products_fvcore(Net(), (torch.zeros(1, 2, 6, 6),)) == products
    assert count_macs(Net(), (torch.zeros(1, 2, 6, 6),)).dense == products
