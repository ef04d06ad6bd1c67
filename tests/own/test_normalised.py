"""Spectral norm: baked into a generator when it is loaded, left in a discriminator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.utils import parametrize

import bench
from bench.sweep.cell import make
from bench.workloads.checkpoints import load_checkpoint
from bench.workloads.described import workload_of
from bench.workloads.spec import WorkloadSpec
from strategies.baking import is_plain
from strategies.layers import named_weights
from tests.helpers.cells import cell
from tests.own.conftest import Describe
from tests.own.gans import Normalised
from tests.own.test_own import record, shop_of

forms = pytest.mark.parametrize("form", ["old", "new"])


def spec_of(describe: Describe, folder: Path, form: str, **said: Any) -> WorkloadSpec:
    """With a checkpoint under the names of the normalised network: ``weight_orig`` or ``parametrizations``."""
    torch.manual_seed(3)
    model = Normalised(form)
    for _ in range(20):
        model(torch.randn(4, 12))  # the estimates of the norms settle
    torch.save(model.eval().state_dict(), folder / f"{form}.pth")
    table = {
        "factory": "gans.py:Normalised",
        "arguments": {"form": form},
        "checkpoint": f"{form}.pth",
        "inputs": [{"kind": "normal", "shape": [12]}],
        "discriminator": {"factory": "gans.py:NormalisedDiscriminator"},
        "training": {"batch_size": 8},
    }
    return describe(**table | said)


@forms
def test_the_generator_is_plain_and_computes_the_same(describe: Describe, folder: Path, form: str) -> None:
    loaded = load_checkpoint(workload_of(spec_of(describe, folder, form)))
    normalised = Normalised(form)
    normalised.load_state_dict(torch.load(folder / f"{form}.pth", weights_only=True))
    assert not is_plain(normalised.eval())
    assert is_plain(loaded.generator)
    assert {"stem.weight", "up.weight", "image.weight"} <= dict(loaded.generator.named_parameters()).keys()
    z = torch.randn(3, 12)
    with torch.no_grad():
        torch.testing.assert_close(loaded.generator(z), normalised(z))


@forms
def test_the_discriminator_keeps_its_norm(describe: Describe, folder: Path, form: str) -> None:
    found = load_checkpoint(workload_of(spec_of(describe, folder, form))).discriminator
    assert found is not None
    assert sum(parametrize.is_parametrized(module, "weight") for module in found.modules()) == 2


@forms
@pytest.mark.parametrize(
    "strategy", ["l1-weight-global+cubic", "l1-channel-global+cubic", "l1-weight-global+soft", "l1-weight-erk+rigl"]
)
def test_schedules_hold_what_they_remove(describe: Describe, folder: Path, form: str, strategy: str) -> None:
    found = record(spec_of(describe, folder, form), strategy, recovery="finetune-2")
    assert (found.status, found.cost.train_steps) == ("ok", 2)
    assert found.achieved_params == pytest.approx(0.5, abs=0.06)


@pytest.mark.parametrize("recovery", ["finetune-2-d.sparse0.5", "finetune-2-d.frozen"])
def test_masks_of_a_normalised_discriminator_and_of_the_generator_hold_in_one_training(
    describe: Describe, folder: Path, recovery: str
) -> None:
    shop = shop_of(spec_of(describe, folder, "new"))
    made = make(shop.resolve(cell("l1-weight-global", workload="mine", recovery=recovery)), shop)
    assert made.recovered.pruned is not None
    weights = dict(named_weights(made.recovered.generator))
    masks = made.recovered.pruned.masks
    assert masks
    assert all(not weights[name][~mask].any() for name, mask in masks.items())
    dense = dict(named_weights(shop.load("mine", "shipped").gan.checkpoint.generator))
    assert any(not torch.equal(weights[name][mask], dense[name][mask]) for name, mask in masks.items())  # it trained


@forms
def test_dense_and_pruned_start_from_the_same_weights(describe: Describe, folder: Path, form: str) -> None:
    shop = shop_of(spec_of(describe, folder, form))
    dense = dict(named_weights(make(shop.resolve(cell("dense", workload="mine")), shop).recovered.generator))
    made = make(shop.resolve(cell("l1-weight-global", workload="mine")), shop).recovered
    assert made.pruned is not None
    for name, weight in named_weights(made.generator):
        mask = made.pruned.masks[name]
        assert torch.equal(weight, dense[name] * mask)


@forms
@pytest.mark.parametrize("strategy", ["l1-weight-global", "l1-channel-uniform"])
def test_an_artefact_is_loaded_into_the_users_normalised_network(
    describe: Describe, folder: Path, form: str, strategy: str, tmp_path: Path
) -> None:
    from bench.artifact.folder import save_artifact

    shop = shop_of(spec_of(describe, folder, form))
    recovered = make(shop.resolve(cell(strategy, workload="mine", recovery="finetune-2")), shop).recovered
    save_artifact(tmp_path, recovered, workload="mine", made_by={}, provenance={})
    z = torch.randn(2, 12)
    with torch.no_grad():
        assert torch.equal(bench.load(tmp_path, lambda: Normalised(form))(z), recovered.generator(z))
