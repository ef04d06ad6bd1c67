"""What holds for every registered criterion."""

from __future__ import annotations

import copy
import itertools

import pytest
import torch
from torch import Tensor, nn

from bench.base.precision import tf32
from bench.workloads.networks import DummyDiscriminator
from strategies.base import Context, Criterion, Scores
from strategies.criteria import CRITERIA
from strategies.granularity.channel import channel_scores
from strategies.granularity.coupling import couple
from strategies.granularity.weight import weight_scores
from strategies.layers import prunable_layers, widths
from tests.strategies.nets import generator, latents

OF_STRUCTURE = {"removal", "unlike"}
"""They score blocks and pairs of layers, not weights or channels; see test_block.py and test_merged.py."""
NAMES = [name for name in CRITERIA if name not in OF_STRUCTURE]
CHANNELS_ONLY = {"bnscale", "fpgm", "activation", "actvar", "diversity", "shuffledfilters", "osscar"}
AT_INITIALISATION = {"snip", "grasp", "synflow"}


def made(seed: int = 0, model: nn.Module | None = None, device: str = "cpu") -> Context:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        judge = nn.Sequential(DummyDiscriminator(), nn.Dropout(0.5)).train()

    def draw(count: int, rng: torch.Generator) -> tuple[Tensor, ...]:
        return (torch.randn(count, 8, generator=rng),)

    return Context(
        (model or generator("dummy")).to(device),
        (torch.ones(2, 8),),
        torch.Generator().manual_seed(seed),
        draw,
        discriminator=judge.to(device),
        device=torch.device(device),
    )


def equal(first: Scores, second: Scores) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_the_registered_criteria_are_these() -> None:
    assert set(NAMES) == {
        "random", "l1", "l2", "rownorm", "bnscale", "grad", "snip", "taylor", "fisher", "grasp", "synflow", "fpgm",
        "activation", "actvar", "dguided", "reconstruct", "diversity", "content", "hybrid", "sensitivity", "shuffled",
        "shuffledfilters", "ria", "wanda", "obc", "osscar",
    }  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_scoring_changes_nothing_that_it_was_given(name: str) -> None:
    found = made()
    assert found.discriminator is not None
    networks = (found.generator, found.discriminator)
    before = copy.deepcopy([network.state_dict() for network in networks])
    modes = [[module.training for module in network.modules()] for network in networks]
    wants = [[p.requires_grad for p in network.parameters()] for network in networks]
    state = torch.get_rng_state()
    for values in CRITERIA[name](found).values():
        values.add_(1.0)
    for network, was, mode, want in zip(networks, before, modes, wants, strict=True):
        assert all(torch.equal(value, was[key]) for key, value in network.state_dict().items())
        assert [module.training for module in network.modules()] == mode
        assert [p.requires_grad for p in network.parameters()] == want
        assert all(p.grad is None for p in network.parameters())
        assert not any(module._forward_hooks for module in network.modules())
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("name", NAMES)
def test_a_seed_gives_the_same_scores_again(name: str) -> None:
    assert equal(CRITERIA[name](made(1)), CRITERIA[name](made(1)))


@pytest.mark.parametrize("name", NAMES)
def test_whoever_says_random_or_inputs_depends_on_the_seed_and_nobody_else(name: str) -> None:
    depends = CRITERIA[name].random or "inputs" in CRITERIA[name].needs
    assert equal(CRITERIA[name](made(1)), CRITERIA[name](made(2))) is not depends


@pytest.mark.parametrize("name", NAMES)
def test_a_criterion_gets_by_with_what_it_says_it_needs(name: str) -> None:
    whole = made()
    needs = CRITERIA[name].needs
    bare = Context(
        whole.generator,
        whole.example_inputs,
        whole.rng,
        whole.draw_inputs if "inputs" in needs else None,
        discriminator=whole.discriminator if "discriminator" in needs else None,
    )
    assert equal(CRITERIA[name](bare), CRITERIA[name](made()))


@pytest.mark.parametrize("name", NAMES)
def test_the_mode_of_the_networks_and_of_autograd_is_no_matter(name: str) -> None:
    other = made(model=generator("dummy").train())
    assert other.discriminator is not None
    other.discriminator.eval()
    with torch.no_grad():
        assert equal(CRITERIA[name](other), CRITERIA[name](made()))


@pytest.mark.parametrize("name", NAMES)
def test_every_layer_has_finite_scores(name: str) -> None:
    found, criterion = made(), CRITERIA[name]
    if name not in CHANNELS_ONLY:
        scores = weight_scores(found, criterion)
        assert all(torch.isfinite(values).all() for values in scores.values())
    elif name != "bnscale":
        scores = criterion(found)
        assert {layer: len(values) for layer, values in scores.items()} == {
            layer: width for layer, (width, _) in widths(found.generator).items()
        }


@pytest.mark.parametrize("network", ["residual", "flattened"])
@pytest.mark.parametrize("name", sorted(set(NAMES) - {"shuffled"}))
def test_every_group_of_channels_has_finite_scores(name: str, network: str) -> None:
    model = generator(network)
    latent = latents(network)[0].shape[1]
    found = made(model=model)
    examples = (torch.ones(2, latent),)
    judge = nn.Sequential(nn.Flatten(), nn.LazyLinear(1), nn.Flatten(0)).train()
    judge(model(*examples))
    found = Context(
        model, examples, found.rng, lambda n, rng: (torch.randn(n, latent, generator=rng),), discriminator=judge
    )
    scores = CRITERIA[name](found)
    for group in couple(model, examples).groups:
        values = channel_scores(group, model, scores, CRITERIA[name])
        if name == "bnscale" and values is None:
            continue
        assert values is not None and torch.isfinite(values).all() and len(values) == group.size


class Conditional(nn.Module):
    """A latent and a label, in that order or the other; one layer that the output does not depend on."""

    def __init__(self, first: str) -> None:
        super().__init__()
        self.first = first
        self.embed, self.a, self.b = nn.Embedding(3, 4), nn.Linear(8, 6), nn.Linear(6, 64)
        self.idle = nn.Linear(2, 2)

    def forward(self, *inputs: Tensor) -> Tensor:
        z, y = inputs if self.first == "latent" else inputs[::-1]
        x: Tensor = torch.tanh(self.b(torch.relu(self.a(torch.cat([z, self.embed(y)], 1)))))
        return x.view(-1, 1, 8, 8)


@pytest.mark.parametrize("first", ["latent", "label"])
@pytest.mark.parametrize("name", sorted(set(NAMES) - {"bnscale"}))
def test_generators_with_labels_and_idle_layers_can_be_scored(name: str, first: str) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = Conditional(first)

    def draw(count: int, rng: torch.Generator) -> tuple[Tensor, ...]:
        pair = (torch.randn(count, 4, generator=rng), torch.randint(0, 3, (count,), generator=rng))
        return pair if first == "latent" else pair[::-1]

    rng = torch.Generator().manual_seed(0)
    found = Context(model, draw(2, rng), rng, draw, discriminator=made().discriminator)
    scores = CRITERIA[name](found)
    assert {"a", "b"} <= set(scores)
    assert all(torch.isfinite(values).all() for values in scores.values())


@pytest.mark.parametrize("name", sorted(set(NAMES) - CHANNELS_ONLY - {"random", "shuffled", "synflow"}))
def test_scores_follow_a_permutation_of_hidden_units(name: str) -> None:
    """Renumbering the units of a hidden layer renumbers their scores: no criterion looks at positions."""
    order = torch.tensor([3, 0, 2, 1, 4, 5, 9, 8, 7, 6])
    model = generator("dummy")
    other = copy.deepcopy(model)
    with torch.no_grad():
        layers = prunable_layers(other)
        layers["net.3"].weight.copy_(layers["net.3"].weight[order])
        layers["net.6"].weight.copy_(layers["net.6"].weight[order])
        norm = other.get_submodule("net.4")
        for value in itertools.chain(norm.parameters(), (norm.running_mean, norm.running_var)):
            assert isinstance(value, Tensor)
            value.copy_(value[order])
    criterion: Criterion = CRITERIA[name]
    first = criterion.of_channels(criterion(made(model=model))["net.3"], 0)
    second = criterion.of_channels(criterion(made(model=other))["net.3"], 0)
    torch.testing.assert_close(second, first[order], rtol=2e-3, atol=float(first.abs().max()) * 1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_each_states_its_source_formula_and_needs(name: str) -> None:
    criterion = CRITERIA[name]
    text = criterion.score.__doc__ or ""
    assert criterion.source and criterion.formula and text
    for need in criterion.needs:
        assert need in text, need
    assert ("applied after training" in criterion.source) == (name in AT_INITIALISATION)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("name", NAMES)
def test_scores_on_a_gpu_are_those_of_the_cpu(name: str) -> None:
    with tf32(False):
        here, there = CRITERIA[name](made()), CRITERIA[name](made(device="cuda"))
    for layer, values in here.items():
        scale = float(values.double().abs().max())
        torch.testing.assert_close(there[layer].cpu(), values, rtol=1e-2, atol=1e-3 * scale)
