"""Which channels may go, which stay dense and why, and how they are scored."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from strategies.allocation import global_, uniform
from strategies.base import (
    Context,
    Criterion,
    NotApplicable,
    Scores,
    square_of_sum,
    squared,
)
from strategies.composition import Strategy
from strategies.criteria import bnscale, l1
from strategies.granularity.channel import ChannelRanking, channel, channel_scores
from strategies.granularity.coupling import couple
from strategies.layers import prunable_layers, widths
from tests.strategies.nets import FACTORIES, Flattened, Residual, context, context_of, generator, latents


def test_channels_that_are_added_go_together() -> None:
    groups = couple(Residual().eval(), latents("residual")).groups
    members = [{(m.module, m.side) for m in group.members} for group in groups]
    assert len(members) == 2
    assert {("stem", "out"), ("norm", "out"), ("up", "out"), ("down", "in"), ("image", "in")} in members
    assert {("down", "out"), ("up", "in")} in members


def test_a_channel_that_is_flattened_owns_its_pixels() -> None:
    group = couple(Flattened().eval(), latents("flattened")).groups[0]
    (reader,) = [m for m in group.members if m.module == "net.4"]
    for c in range(6):
        assert reader.indices[reader.channels == c].tolist() == list(range(9 * c, 9 * c + 9))


@pytest.mark.parametrize("name", list(FACTORIES))
def test_the_output_is_never_offered_whatever_it_is_called(name: str) -> None:
    found = couple(generator(name), latents(name))
    last = list(prunable_layers(generator(name)))[-1]
    assert found.dense == {last: "makes the network's output"}
    assert last not in {group.name for group in found.groups}


@pytest.mark.parametrize(
    ("between", "size"),
    [(nn.GroupNorm(2, 4), 2), (nn.PReLU(4), 4), (nn.Conv2d(4, 4, 3, groups=4), 4), (nn.Conv2d(4, 4, 3, groups=2), 2)],
    ids=["group-norm", "prelu", "depthwise", "grouped"],
)
def test_what_the_library_cannot_cut_is_found_by_following_the_channels(between: nn.Module, size: int) -> None:
    model = nn.Sequential(
        nn.Conv2d(2, 6, 3), nn.ReLU(), nn.Conv2d(6, 4, 3), between, nn.ReLU(), nn.Conv2d(4, 1, 1)
    ).eval()
    found = couple(model, (torch.randn(2, 2, 9, 9),))
    groups = {group.name: group for group in found.groups}
    assert (groups["0"].size, groups["2"].size) == (6, size)
    assert "3" in {m.module for m in groups["2"].members}
    assert found.dense == {"5": "makes the network's output"}


def test_channels_normalised_together_stay_dense_and_say_why() -> None:
    model = nn.Sequential(nn.Linear(3, 6), nn.ReLU(), nn.Linear(6, 4), nn.LayerNorm(4), nn.Linear(4, 2)).eval()
    found = couple(model, (torch.randn(2, 3),))
    assert [group.name for group in found.groups] == ["0"]
    assert found.dense == {
        "2": "is normalised together with the other channels",
        "4": "makes the network's output",
    }


def test_groups_without_a_score_stay_dense_and_say_why() -> None:
    model = generator("flattened")
    ranking = channel.rank(context(model, latents("flattened")), bnscale, global_)
    assert [group.name for group in ranking.coupling.groups] == ["net.0"]
    assert ranking.coupling.dense["net.4"] == "has no score by bnscale"
    pruned = ranking.cut(float(ranking.shares["params"][-1]), "params").apply(model)
    assert widths(pruned.generator) == {"net.0": (1, 5), "net.4": (7, 9), "net.6": (16, 7)}
    assert {c.name: c.note for c in pruned.layers}["net.4"] == "has no score by bnscale"


def test_bnscale_is_not_applicable_to_a_network_without_batchnorm() -> None:
    with pytest.raises(NotApplicable, match="no BatchNorm"):
        channel.rank(context_of("mlp"), bnscale, global_)


def test_a_network_of_one_layer_has_nothing_to_prune() -> None:
    with pytest.raises(NotApplicable, match="no group of channels"):
        channel.rank(context(nn.Sequential(nn.Linear(2, 3)).eval(), (torch.randn(2, 2),)), l1, global_)


def test_tracing_leaves_the_model_as_it_was() -> None:
    model = generator("dcgan").train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    couple(model, latents("dcgan"))
    assert model.training
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


class _ViewStem(nn.Module):
    """A linear stem whose outputs are reshaped to a fixed width: single neurons of it cannot go."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Linear(5, 8 * 4)
        self.hidden = nn.Conv2d(8, 6, 3, padding=1)
        self.image = nn.Conv2d(6, 1, 3, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        x = torch.relu(self.stem(z).view(-1, 8, 2, 2))
        return torch.tanh(self.image(torch.relu(self.hidden(x))))


def test_a_stem_that_is_reshaped_to_a_fixed_width_stays_dense_and_says_why() -> None:
    coupling = couple(_ViewStem().eval(), (torch.randn(1, 5),))
    assert [group.name for group in coupling.groups] == ["hidden"]
    assert "shape" in coupling.dense["stem"]


@pytest.mark.parametrize("wrap", [nn.utils.spectral_norm, nn.utils.parametrizations.spectral_norm])
def test_a_spectrally_normalised_layer_is_pruned_with_its_normalised_weight(
    wrap: Callable[[nn.Module], nn.Module],
) -> None:
    model = _ViewStem()
    model.hidden = wrap(model.hidden)  # type: ignore[assignment]
    model.eval()
    inputs = (torch.randn(1, 5),)
    assert [group.name for group in couple(model, inputs).groups] == ["hidden"]
    model(*inputs)
    normalised = model.hidden.weight.detach()
    ranking = Strategy("test", l1, channel, uniform).rank(context(model, inputs))
    pruned = ranking.cut(0.4, "params").apply(model)
    assert torch.equal(pruned.generator.hidden.weight, normalised[pruned.kept["hidden"]["out"]])
    assert type(pruned.generator.hidden) is nn.Conv2d


def test_a_criterion_that_reads_scores_what_the_output_loses_without_the_channel() -> None:
    """Behind a BatchNorm the filter says nothing of its shift; the weights that read the channel do.

    ``L = mean output`` is linear in the last layer's weights, so its first-order change is exact: the square of
    what the mean output loses when the channel is silenced.
    """
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 1, 1))
    with torch.no_grad():
        model[1].weight.copy_(torch.tensor([1.0, 0.5, 0.0]))
        model[1].bias.copy_(torch.tensor([0.1, 0.2, 5.0]))  # the third channel is its shift alone
    model.eval()
    x = torch.randn(4, 2, 5, 5)

    def score(context: Context) -> Scores:
        live = copy.deepcopy(context.generator)
        live(x).mean().backward()
        return {name: layer.weight.detach() * layer.weight.grad for name, layer in prunable_layers(live).items()}

    gated = Criterion("gate", score, "test", "(sum w g)^2", unit=squared, reduce=square_of_sum, reads=True)
    found = Strategy("own", gated, channel, global_).rank(context(model, (x,)))
    assert isinstance(found, ChannelRanking)
    scores = channel_scores(found.coupling.groups[0], model, score(context(model, (x,))), gated)
    assert scores is not None
    for c in range(3):
        silent = copy.deepcopy(model)
        with torch.no_grad():
            silent[3].weight[:, c] = 0.0
            lost = (model(x).mean() - silent(x).mean()).item()
        assert scores[c].item() == pytest.approx(lost**2, rel=1e-4)


def test_a_channel_that_several_layers_read_has_the_square_of_the_sum_over_all() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.a, self.b = nn.Linear(2, 3), nn.Linear(3, 2, bias=False), nn.Linear(3, 2, bias=False)

        def forward(self, x: Tensor) -> Tensor:
            h = self.first(x)
            y: Tensor = self.a(h) + self.b(h)
            return y

    raw = {"first": torch.zeros(3, 2), "a": torch.tensor([[1.0, 2, 3], [1, 1, 1]]), "b": torch.full((2, 3), -1.0)}
    gated = Criterion("gate", lambda ctx: raw, "test", "", unit=squared, reduce=square_of_sum, reads=True)
    model = Two()
    (group,) = couple(model, (torch.randn(2, 2),)).groups
    scores = channel_scores(group, model, raw, gated)
    assert scores is not None and scores.tolist() == [0.0, 1.0, 4.0]
