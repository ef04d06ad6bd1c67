"""Weights by what they read: by hand, and by looking up every use of every weight."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from strategies.base import Context, MissingData, NotApplicable
from strategies.criteria import ria, wanda
from strategies.criteria.read import read_norms
from tests.architectures.catalogue import build, example_inputs
from tests.strategies.criteria.hand import KINDS, Z1, Z2, Net, W, context, weights_of
from tests.strategies.nets import context as bare
from tests.strategies.nets import context_of
from tests.strategies.shared import shared

# Z1 = (1, 1) makes relu (5, 3, 0), Z2 = (2, 0) makes (2, 0, 6): of both in turn the mean squares are
READ_FIRST = torch.tensor([(1 + 4) / 2, (1 + 0) / 2])
READ_LAST = torch.tensor([(25 + 4) / 2, 9 / 2, 36 / 2])


@pytest.mark.parametrize("kind", KINDS)
def test_wanda_is_magnitude_times_the_norm_of_what_is_read(kind: str) -> None:
    scores = weights_of(wanda, context(Net(kind), Z1, Z2))
    torch.testing.assert_close(scores["first"], (W.abs() * READ_FIRST.sqrt()).double())
    torch.testing.assert_close(
        scores["last"], (torch.tensor([[0.5, 0.25, 0.125]]) * READ_LAST.sqrt()).double(), rtol=1e-6, atol=0
    )


@pytest.mark.parametrize("kind", KINDS)
def test_ria_is_the_share_in_row_and_column_times_the_root_of_the_norm(kind: str) -> None:
    """|W|: rows sum to 5, 7, 9, columns to 6 and 15; of what reads: row .875, each column its own weight."""
    scores = weights_of(ria, context(Net(kind), Z1, Z2))
    shares = W.abs() / torch.tensor([[5.0], [7.0], [9.0]]) + W.abs() / torch.tensor([6.0, 15.0])
    torch.testing.assert_close(scores["first"], (shares * READ_FIRST**0.25).double())
    last = torch.tensor([[0.5, 0.25, 0.125]]) / 0.875 + 1
    torch.testing.assert_close(scores["last"], (last * READ_LAST**0.25).double())


def test_what_reads_nothing_but_zeros_counts_for_nothing() -> None:
    """Z2 alone: the second hidden unit is off, the second input is zero."""
    scores = weights_of(wanda, context(Net(), Z2))
    assert scores["last"][0, 1] == 0 and (scores["first"][:, 1] == 0).all()


def test_ria_of_weights_of_a_row_of_zeros_is_their_share_in_the_column() -> None:
    model = Net("linear", w=torch.tensor([[0.0, 0.0], [1.0, 3.0], [1.0, 0.0]]))
    scores = weights_of(ria, context(model, Z1))
    assert scores["first"][0].tolist() == [0.0, 0.0]
    assert torch.isfinite(scores["first"]).all()


def test_both_need_latents() -> None:
    for criterion in (ria, wanda):
        assert criterion.needs == {"inputs"}
        with pytest.raises(MissingData):
            criterion(bare(Net(), (torch.tensor([Z1]),)))


def of(layer: nn.Module, x: Tensor) -> Context:
    """A generator of one layer, always given ``x``."""
    return Context(
        nn.Sequential(layer), (x,), torch.Generator().manual_seed(0), lambda n, rng: (x.expand(n, *x.shape[1:]),)
    )


def uses(layer: nn.Module, x: Tensor) -> Tensor:
    """For each weight the sum of squares of what it multiplies, found by setting all others to zero and one to one.

    Then each output is one input or zero, whatever the kind of layer.
    """
    found = torch.zeros_like(layer.weight, dtype=torch.float64)
    with torch.no_grad():
        for k in range(found.numel()):
            layer.weight.zero_()
            layer.weight.view(-1)[k] = 1.0
            found.view(-1)[k] = (layer(x).double() ** 2).sum()
    return found


LAYERS: dict[str, Callable[[], nn.Module]] = {
    "linear": lambda: nn.Linear(4, 3, bias=False),
    "conv": lambda: nn.Conv2d(4, 3, 3, stride=2, padding=1, dilation=2, bias=False),
    "same": lambda: nn.Conv2d(4, 3, 3, padding="same", padding_mode="reflect", bias=False),
    "grouped": lambda: nn.Conv2d(4, 6, (3, 1), groups=2, bias=False),
    "each": lambda: nn.Conv2d(4, 4, 3, padding=2, groups=4, bias=False),
    "transposed": lambda: nn.ConvTranspose2d(4, 3, 4, stride=2, padding=1, bias=False),
    "grouped-transposed": lambda: nn.ConvTranspose2d(4, 6, 3, 2, 2, output_padding=1, groups=2, bias=False),
    "line": lambda: nn.Conv1d(4, 2, 3, bias=False),
    "transposed-line": lambda: nn.ConvTranspose1d(4, 2, 3, stride=3, bias=False),
    "transposed-space": lambda: nn.ConvTranspose3d(4, 2, 2, bias=False),
}


def input_of(name: str) -> Tensor:
    shape = {"linear": (1, 4), "line": (1, 4, 7), "transposed-line": (1, 4, 3), "transposed-space": (1, 4, 2, 3, 2)}
    return torch.randn(shape.get(name, (1, 4, 5, 6)), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", list(LAYERS))
def test_what_a_weight_reads_is_every_value_that_it_multiplies(name: str) -> None:
    layer, x = LAYERS[name](), input_of(name)
    found = read_norms(of(layer, x))["0"]
    assert found.shape == layer.weight.shape and found.dtype == torch.float64
    torch.testing.assert_close(found**2, uses(layer, x), rtol=1e-5, atol=1e-6)


def rows_and_columns(layer: nn.Module, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Sums of magnitudes over the weights that reach the same output, and over those that read the same input.

    Found by asking the layer: which output channel does a weight reach, which input channel does it read.
    """
    places = list(range(weight.numel()))
    x = torch.ones(input_of("conv").shape) * torch.tensor([1.0, 10.0, 100.0, 1000.0]).view(1, 4, 1, 1)
    reached, read = [], []
    with torch.no_grad():
        for k in places:
            layer.weight.zero_()
            layer.weight.view(-1)[k] = 1.0
            out = layer(x)
            channel = int(out.abs().flatten(2).sum(2).argmax())
            reached.append(channel)
            read.append(round(math.log10(float(out.max()))))
    values = weight.flatten()
    groups, width = layer.groups, layer.out_channels // layer.groups  # type: ignore[operator]
    assert groups * width == layer.out_channels
    rows = torch.stack(
        [sum((values[j] for j in places if reached[j] == reached[k]), torch.tensor(0.0)) for k in places]
    )
    columns = torch.stack([sum((values[j] for j in places if read[j] == read[k]), torch.tensor(0.0)) for k in places])
    return rows.view(weight.shape), columns.view(weight.shape)


@pytest.mark.parametrize("name", ["conv", "grouped", "each", "transposed", "grouped-transposed"])
def test_rows_and_columns_of_ria_are_those_of_the_layers_outputs_and_inputs(name: str) -> None:
    layer, x = LAYERS[name](), input_of(name)
    found = of(layer, x)
    scores, norms = ria(found)["0"], read_norms(found)["0"]
    magnitudes = layer.weight.detach().abs().clone()
    rows, columns = rows_and_columns(layer, magnitudes)
    expected = (magnitudes / rows + magnitudes / columns).double() * norms.sqrt()
    torch.testing.assert_close(scores, expected, rtol=1e-5, atol=0)


def test_a_weight_that_is_used_twice_reads_all_of_it() -> None:
    """Once with each half of the input: the mean square is the sum of both."""

    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(1, 1, bias=False)

        def forward(self, z: Tensor) -> Tensor:
            return self.layer(z[:, :1]) + self.layer(input=z[:, 1:])

    assert read_norms(context(Twice(), (3.0, 4.0)))["layer"].item() == pytest.approx(5.0)


def test_a_weight_that_two_layers_share_reads_what_both_read() -> None:
    model = shared("tied")
    found = bare(model, (torch.randn(2, 16),))
    seen: dict[str, float] = {}

    def note(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def add(module: nn.Module, args: tuple[Tensor, ...]) -> None:
            inner = args[0].double()[:, :, :, :] ** 2
            seen[name] = seen.get(name, 0.0) + float(inner[:, 0].sum()) / 256

        return add

    latents = torch.randn(256, 16, generator=torch.Generator().manual_seed(3))
    norms = read_norms(replace(found, draw_inputs=lambda n, rng: (latents[:n],)))
    assert "second" not in norms
    handles = [getattr(model, name).register_forward_pre_hook(note(name)) for name in ("first", "second")]
    with torch.no_grad():
        model(latents)
    for handle in handles:
        handle.remove()
    # The middle tap of a padded convolution meets every position of its input channel.
    assert float(norms["first"][0, 0, 1, 1]) ** 2 == pytest.approx(seen["first"] + seen["second"], rel=1e-5)


@pytest.mark.parametrize("criterion", [ria, wanda])
def test_layers_with_code_of_their_own_are_not_guessed_at(criterion: object) -> None:
    found = replace(context_of("dummy"), generator=build("stylegan2"), example_inputs=example_inputs("stylegan2"))
    with pytest.raises(NotApplicable, match="by code of its own: what each weight reads is not known"):
        criterion(found)  # type: ignore[operator]
