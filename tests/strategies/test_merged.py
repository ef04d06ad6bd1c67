"""Quantised weights, shared layers, removed connections."""

from __future__ import annotations

import copy
from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bench.measure.coded import pack, unpack
from bench.measure.footprint import footprint
from bench.workloads.networks import MlpDiscriminator, MlpGenerator
from strategies.allocation import Layout, global_, uniform
from strategies.base import Infeasible, Level, NotApplicable
from strategies.composition import Strategy
from strategies.criteria import l1
from strategies.criteria.structure import unlike
from strategies.granularity.connection import ConnectionGranularity, concatenated
from strategies.granularity.quantised import QuantisedGranularity, QuantisedRemoval, nearest_levels
from strategies.granularity.share import ShareGranularity, ShareRanking, shareable, tie
from strategies.hooks import Training
from strategies.keeping import KeepHooks
from strategies.layers import named_weights
from tests.strategies.nets import context, context_of, generator, latents

FOUR = Strategy("l1-quantised-4", l1, QuantisedGranularity(4), global_)


def linear(*rows: list[float]) -> nn.Sequential:
    layer = nn.Linear(len(rows[0]), len(rows), bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(rows))
    return nn.Sequential(layer)


ROWS = ([-1.0, -0.9, -0.1, 0.0], [0.1, 0.9, 1.0, 1.1])
"""k-means to 4 levels, from -1, -.3, .4 and 1.1: {-1, -.9}, {-.1, 0}, {.1}, {.9, 1, 1.1}, and there it stays."""


def test_k_means_ends_after_25_rounds_where_it_has_not_settled() -> None:
    weight = np.logspace(-3, 0, 2000)
    centres = np.linspace(weight.min(), weight.max(), 16)
    for _ in range(25):
        chosen = np.searchsorted((centres[1:] + centres[:-1]) / 2, weight)
        centres = np.array([weight[chosen == k].mean() if (chosen == k).any() else c for k, c in enumerate(centres)])
    chosen = np.searchsorted((centres[1:] + centres[:-1]) / 2, weight)
    expected = np.unique(chosen, return_inverse=True)[1]
    assert nearest_levels(torch.from_numpy(weight), 16).tolist() == expected.tolist()


def test_weights_go_to_the_levels_of_k_means() -> None:
    assert nearest_levels(torch.tensor(ROWS), 4).tolist() == [[0, 0, 1, 1], [2, 3, 3, 3]]


def test_the_small_level_is_removed_and_the_others_are_rebuilt_from_their_members() -> None:
    model = linear(*ROWS)
    ranking = FOUR.rank(context(model, (torch.randn(2, 4),)))
    pruned = FOUR.decide(ranking, Level.sparsity(0.4), "params").apply(model)
    kept = pruned.generator.get_parameter("0.weight").detach()
    assert kept.tolist() == [pytest.approx([-0.95, -0.95, 0, 0]), pytest.approx([0, 1.0, 1.0, 1.0])]
    assert pruned.masks["0"].tolist() == [[True, True, False, False], [False, True, True, True]]
    assert pruned.layers[0].kept == 5


def test_a_level_is_the_unit_of_the_target_and_one_always_stays() -> None:
    ranking = FOUR.rank(context(linear(*ROWS), (torch.randn(2, 4),)))
    reached = [ranking.cut(s, "params").sparsity("params") for s in (0.05, 0.3, 0.45, 0.6)]
    assert reached == [0.0, 2 / 8, 3 / 8, 5 / 8]
    with pytest.raises(Infeasible) as error:
        ranking.cut(0.7, "params")
    assert error.value.maximum == 5 / 8


@pytest.mark.parametrize("allocation", [global_, uniform], ids=lambda a: a.name)
@pytest.mark.parametrize("name", ["dummy", "mlp", "residual"])
def test_a_real_generator_has_no_more_values_than_levels(name: str, allocation: object) -> None:
    strategy = Strategy("own", l1, QuantisedGranularity(8), allocation)  # type: ignore[arg-type]
    found = context_of(name)
    pruned = strategy.decide(strategy.rank(found), Level.sparsity(0.5), "params").apply(found.generator)
    for layer, weight in named_weights(pruned.generator):
        assert len(weight.unique()) <= 8
        assert torch.equal(weight != 0, pruned.masks[layer])


def test_what_an_earlier_pruning_removed_goes_first_whatever_its_size() -> None:
    model = linear(*ROWS)
    found = context(model, (torch.randn(2, 4),))
    gone = torch.tensor([[1, 1, 1, 1], [1, 0, 0, 0]], dtype=torch.uint8)
    before = QuantisedRemoval({"0": gone}, FOUR.rank(found).work)
    ranking = FOUR.granularity.rank(found, FOUR.criterion, FOUR.allocation, after=before)
    pruned = FOUR.decide(ranking, Level.sparsity(0.375), "params").apply(model)
    assert torch.equal(pruned.masks["0"], gone > 0)


@pytest.mark.parametrize("levels", [0, 1, 256])
def test_codes_fit_into_a_byte(levels: int) -> None:
    with pytest.raises(ValueError, match="from 2 to 255"):
        QuantisedGranularity(levels)


def training(model: nn.Module, discriminator: nn.Module | None = None) -> Training:
    return cast(
        Training,
        SimpleNamespace(
            generator=model,
            average=copy.deepcopy(model),
            discriminator=discriminator,
            adversarial=discriminator is not None,
        ),
    )


def test_fine_tuning_moves_whole_levels_by_the_mean_step_of_their_members() -> None:
    model = linear(*ROWS)
    ranking = FOUR.rank(context(model, (torch.randn(2, 4),)))
    pruned = FOUR.decide(ranking, Level.sparsity(0.4), "params").apply(model)
    trained = copy.deepcopy(pruned.generator)
    with torch.no_grad():
        trained.get_parameter("0.weight").add_(torch.tensor([[0.1, 0.3, 5.0, 5.0], [5.0, 0.0, 0.3, 0.6]]))
    state = training(trained)
    KeepHooks(pruned).after_step(0, state)
    for held in (state.generator, state.average):
        values = held.get_parameter("0.weight").tolist()
        assert values == [pytest.approx([-0.75, -0.75, 0, 0]), pytest.approx([0, 1.3, 1.3, 1.3])]


def test_the_stored_form_gives_back_every_weight() -> None:
    found = context_of("dummy")
    strategy = Strategy("own", l1, QuantisedGranularity(8), global_)
    pruned = strategy.decide(strategy.rank(found), Level.sparsity(0.5), "params").apply(found.generator)
    content = pack(pruned.generator, pruned.codes)
    state = pruned.generator.state_dict()
    back = unpack(content)
    assert back.keys() == state.keys()
    assert all(torch.equal(back[key], state[key]) for key in state)


def test_the_stored_form_takes_the_bits_of_its_codes() -> None:
    """8 weights on 3 codes: 2 bits each, 2 bytes; 3 values of 4 bytes; 2 sizes of 8 bytes. A header comes on top."""
    model = linear(*ROWS)
    pruned = FOUR.decide(FOUR.rank(context(model, (torch.randn(2, 4),))), Level.sparsity(0.4), "params").apply(model)
    content = pack(pruned.generator, pruned.codes)
    header = int.from_bytes(content[:8], "little")
    assert len(content) - 8 - header == 2 + 12 + 16


class Siblings(nn.Module):
    """Three layers of one shape; b is nearer to a than c is."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = (nn.Linear(2, 2, bias=False) for _ in range(3))
        self.head = nn.Linear(2, 1, bias=False)
        with torch.no_grad():
            self.a.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
            self.b.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 0.0]]))
            self.c.weight.copy_(torch.tensor([[-1.0, 0.0], [0.0, -1.0]]))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.head(self.c(self.b(self.a(x))))
        return y


SHARE = Strategy("unlike-share", unlike, ShareGranularity(), global_)
X = (torch.randn(2, 2, generator=torch.Generator().manual_seed(0)),)


def test_pairs_of_equal_kind_and_shape_can_share() -> None:
    assert shareable(Siblings(), None) == ("b<-a", "c<-a", "c<-b")


def test_pairs_are_scored_by_their_distance() -> None:
    """b, a: 1 / (2 + 1); c, a: 8 / 4; c, b: (4 + 1) / (2 + 1)."""
    scores = unlike(context(Siblings(), X))
    assert {k: float(v) for k, v in scores.items()} == pytest.approx({"b<-a": 1 / 3, "c<-a": 2.0, "c<-b": 5 / 3})


def test_shared_layers_are_one_parameter_the_mean_of_both_and_count_once() -> None:
    model = Siblings()
    pruned = SHARE.decide(SHARE.rank(context(model, X)), Level.sparsity(0.3), "params").apply(model)
    assert pruned.tied == {"b": "a"}
    small = pruned.generator
    assert small.b.weight is small.a.weight
    assert small.a.weight.tolist() == [[1.0, 0.0], [0.0, 0.5]]
    assert footprint(small).params == footprint(model).params - 4
    assert {cut.name: cut.kept for cut in pruned.layers} == {"a": 4, "b": 0, "c": 4, "head": 2}
    assert copy.deepcopy(small).b.weight.tolist() == small.b.weight.tolist()


def test_sharing_reaches_whole_layers_and_no_multiplications() -> None:
    ranking = SHARE.rank(context(Siblings(), X))
    assert ranking.cut(0.3, "params").sparsity("params") == 4 / 14
    assert ranking.cut(0.55, "params").sparsity("params") == 8 / 14
    assert ranking.cut(0.3, "params").sparsity("macs") == 0.0
    with pytest.raises(Infeasible):
        ranking.cut(0.9, "params")
    with pytest.raises(NotApplicable, match="not multiplications"):
        ranking.cut(0.3, "macs")


def test_where_no_two_layers_have_one_shape_it_is_not_applicable() -> None:
    with pytest.raises(NotApplicable, match="has the shape of another"):
        SHARE.rank(context_of("dummy"))


def with_discriminator() -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(0)
    return MlpGenerator(latent=6, widths=(5, 7, 9), side=4), MlpDiscriminator(widths=(9, 7, 5), side=4)


def test_a_layer_of_g_takes_the_transpose_of_ds_and_follows_it_in_training() -> None:
    mine, theirs = with_discriminator()
    strategy = Strategy("unlike-share-d", unlike, ShareGranularity(with_d=True), global_)
    assert "discriminator" in strategy.needs
    found = replace(context(mine, latents("mlp")), discriminator=theirs)
    pruned = strategy.decide(strategy.rank(found), Level.sparsity(0.88), "params").apply(mine)
    assert len(pruned.tied) == 3
    for name, owner in pruned.tied.items():
        other = theirs.get_submodule(owner.removeprefix("discriminator:")).weight
        assert torch.equal(pruned.generator.get_submodule(name).weight, other.T)
    trained = training(copy.deepcopy(pruned.generator), theirs)
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.add_(1.0)
    KeepHooks(pruned).after_step(0, trained)
    for name, owner in pruned.tied.items():
        other = theirs.get_submodule(owner.removeprefix("discriminator:")).weight
        assert torch.equal(trained.average.get_submodule(name).weight, other.T)


def test_without_a_game_what_was_taken_from_d_stays_as_it_was() -> None:
    mine, theirs = with_discriminator()
    strategy = Strategy("unlike-share-d", unlike, ShareGranularity(with_d=True), global_)
    found = replace(context(mine, latents("mlp")), discriminator=theirs)
    pruned = strategy.decide(strategy.rank(found), Level.sparsity(0.88), "params").apply(mine)
    trained = training(copy.deepcopy(pruned.generator))
    with torch.no_grad():
        for parameter in trained.generator.parameters():
            parameter.add_(1.0)
    KeepHooks(pruned).after_step(0, trained)
    for name, kept in named_weights(pruned.generator):
        assert torch.equal(trained.generator.get_submodule(name).weight, kept) == (name in pruned.tied)


class Unet(nn.Module):
    """Two skips: `up` reads (middle 3, skip 2), `out` reads (up 4, image 1)."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Conv2d(1, 2, 3, padding=1)
        self.middle = nn.Conv2d(2, 3, 3, padding=1)
        self.norm = nn.BatchNorm2d(5)
        self.up = nn.Conv2d(5, 4, 3, padding=1)
        self.out = nn.Conv2d(5, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        skip = torch.relu(self.down(x))
        inner = nn.functional.interpolate(self.middle(nn.functional.avg_pool2d(skip, 2)), scale_factor=2.0)
        joined = torch.relu(self.norm(torch.cat([inner, skip], 1)))
        y: Tensor = self.out(torch.cat((self.up(joined), x), dim=1))
        return y


IMAGE = (torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0)),)
CONNECTION = Strategy("l1-connection-global", l1, ConnectionGranularity(), global_)


def test_connections_are_the_ranges_of_a_concatenation_as_layers_read_them() -> None:
    assert concatenated(Unet(), IMAGE) == {"up": ((0, 3), (3, 5)), "out": ((0, 4), (4, 5))}


def test_the_connections_of_a_dense_block_are_those_to_each_earlier_layer() -> None:
    class Dense(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList([nn.Conv2d(2 + 3 * k, 3, 1) for k in range(3)])

        def forward(self, x: Tensor) -> Tensor:
            for layer in self.layers:
                x = torch.cat([x, torch.relu(layer(x))], 1)
            return x

    found = concatenated(Dense(), (torch.randn(2, 2, 4, 4),))
    assert found == {"layers.1": ((0, 2), (2, 5)), "layers.2": ((0, 2), (2, 5), (5, 8))}


def test_the_weights_that_read_a_removed_connection_are_zero_and_one_stays_for_each_layer() -> None:
    torch.manual_seed(0)
    model = Unet()
    with torch.no_grad():
        model.up.weight[:, 3:].mul_(0.01)
    pruned = CONNECTION.decide(CONNECTION.rank(context(model, IMAGE)), Level.sparsity(0.2), "params").apply(model)
    assert not pruned.masks["up"][:, 3:].any()
    assert pruned.masks["up"][:, :3].all()
    silent = copy.deepcopy(model)
    with torch.no_grad():
        silent.up.weight[:, 3:] = 0.0
    assert torch.equal(pruned.generator.eval()(*IMAGE), silent.eval()(*IMAGE))
    order = CONNECTION.rank(context(model, IMAGE)).order  # type: ignore[attr-defined]
    assert sorted(part[0] for part in order) == ["out", "up"]


@pytest.mark.parametrize("name", ["dummy", "mlp", "residual"])
def test_without_a_concatenation_there_is_no_connection(name: str) -> None:
    with pytest.raises(NotApplicable, match="no layer reads a concatenation"):
        CONNECTION.rank(context_of(name))
    assert generator(name) is not None


# Which pairs are tied, and which levels go.


def ties_of(*pairs: str) -> ShareRanking:
    sizes = {"a": 4, "b": 4, "c": 6, "d": 2}
    return ShareRanking(pairs, np.arange(len(pairs), dtype=np.float64), sizes, 20, None)


def test_a_layer_that_takes_or_gives_a_weight_already_is_left_out() -> None:
    ranking = ties_of("b<-a", "c<-b", "b<-d", "d<-c", "c<-a", "a<-d")
    tied = [ranking.at(value).tied for value in (0, 0.4, 1, 1.6, 3, 6)]
    both = {"b": "a", "d": "c"}
    assert tied == [{}, {}, {"b": "a"}, both, both, both]
    assert ranking.shares["params"].tolist() == [0.0, 4 / 20, *[6 / 20] * 5]


@pytest.mark.parametrize(("asked", "tied"), [(0.0, 0), (0.09, 0), (0.11, 1), (0.24, 1), (0.26, 2), (0.3, 2)])
def test_the_number_of_ties_is_that_whose_share_is_nearest(asked: float, tied: int) -> None:
    assert len(ties_of("b<-a", "d<-c").cut(asked, "params").tied) == tied


def test_only_layers_of_one_kind_share_and_d_is_asked_only_where_it_is_meant() -> None:
    class Mixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Conv2d(2, 2, 1), nn.ConvTranspose2d(2, 2, 1)
            self.c, self.d = nn.Conv2d(2, 2, 1), nn.Linear(3, 2)

    assert shareable(Mixed(), None) == ("c<-a",)
    theirs = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 2), nn.Conv2d(2, 2, 1))
    assert shareable(Mixed(), theirs) == ("d<-discriminator:0",)
    assert not ShareGranularity().with_d and ShareGranularity().needs == frozenset()
    assert ShareGranularity(with_d=True).needs == {"discriminator"}
    with pytest.raises(NotApplicable, match="the shape of the transpose of a linear layer of D"):
        ShareGranularity(with_d=True).rank(replace(context(Siblings(), X), discriminator=theirs), unlike, global_)


def test_several_layers_become_the_mean_of_all_and_of_their_owner() -> None:
    model = Siblings()
    tie(model, {"b": "a", "c": "a"}, None)
    assert model.a.weight.detach().flatten().tolist() == pytest.approx([1 / 3, 0, 0, 0])
    assert model.a.weight is model.b.weight is model.c.weight


@pytest.mark.parametrize("levels", [2, 255])
def test_two_levels_and_255_are_allowed(levels: int) -> None:
    assert QuantisedGranularity(levels).levels == levels


def test_a_level_goes_by_the_mean_score_of_its_weights() -> None:
    """Levels {-1, -.9}, {-.1, 0}, {.1}, {.9, 1, 1.1}: mean sizes .95, .05, .1 and 1, the last of which stays."""
    ranking = FOUR.rank(context(linear(*ROWS), (torch.randn(2, 4),)))
    assert ranking.order == (("0", 1), ("0", 2), ("0", 0))
    assert ranking.priorities.tolist() == pytest.approx([0.05, 0.1, 0.95])
    assert ranking.shares["params"].tolist() == ranking.shares["macs"].tolist() == [0, 2 / 8, 3 / 8, 5 / 8]
    exact = float(ranking.priorities[1])
    assert [ranking.at(value).sparsity("params") for value in (exact, exact + 1e-6, 9.0)] == [2 / 8, 3 / 8, 5 / 8]
    assert ranking.at(exact).codes["0"].tolist() == [[1, 1, 0, 0], [3, 4, 4, 4]]


def test_levels_of_two_layers_are_compared_and_each_weight_costs_its_products() -> None:
    class Two(nn.Module):
        """``a`` is used three times an image, ``b`` once."""

        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(2, 1, bias=False), nn.Linear(1, 4, bias=False)
            with torch.no_grad():
                self.a.weight.copy_(torch.tensor([[2.0, -1.0]]))
                self.b.weight.copy_(torch.tensor([[1.5], [0.5], [0.5], [1.5]]))

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.b(self.a(x).sum(1))
            return y

    seen: dict[str, list[float]] = {}

    def noted(scores: dict[str, Tensor], layout: Layout) -> dict[str, Tensor]:
        assert layout.shapes == {"a": (1, 2), "b": (4, 1)}
        model = layout.without("b", torch.tensor([1]))
        seen["b"] = model.get_parameter("b.weight").detach().flatten().tolist()
        seen["a"] = model.get_parameter("a.weight").detach().flatten().tolist()
        return dict(scores)

    found = context(Two(), (torch.ones(1, 3, 2),))
    ranking = QuantisedGranularity(2).rank(found, l1, replace(global_, prioritise=noted))
    assert seen == {"a": [2.0, -1.0], "b": [0.0, 0.5, 0.5, 0.0]}
    assert ranking.order == (("b", 0), ("a", 0))
    assert ranking.shares["params"].tolist() == pytest.approx([0, 2 / 6, 3 / 6])
    assert ranking.shares["macs"].tolist() == pytest.approx([0, 2 / 10, 5 / 10])
    assert ranking.cut(0.5, "macs").sparsity("macs") == pytest.approx(0.5)
