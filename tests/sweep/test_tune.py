"""The highest sparsity within a tolerance, by cross-validation."""

from __future__ import annotations

import json
import math

import pytest
from typer.testing import CliRunner

from bench.base.errors import Mistakes
from bench.cli import app
from bench.sweep.tune import Loss, Tuned, _held_out, tune


def of(sparsity: float, *folds: float) -> Loss:
    return Loss(sparsity, sparsity, folds)


def test_noise_is_the_standard_error_over_the_folds() -> None:
    loss = of(0.5, 0.1, 0.2, 0.3, 0.4)
    assert loss.mean == pytest.approx(0.25)
    assert loss.noise == pytest.approx(math.sqrt((0.15**2 * 2 + 0.05**2 * 2) / 3) / 2)


def test_the_held_out_loss_is_that_of_the_fold_that_did_not_choose() -> None:
    """Fold 0 held out: the others lose .0 and .3, so .1 is chosen, and fold 0 loses .05 there. Fold 1 held out: the
    other loses .05 and .1, so .5 is chosen, where fold 1 loses .3."""
    found = [of(0.1, 0.05, 0.0), of(0.5, 0.1, 0.3)]
    assert _held_out(found, 0.2) == pytest.approx((0.05 + 0.3) / 2)


def test_where_no_fold_chooses_anything_there_is_no_held_out_loss() -> None:
    assert _held_out([of(0.1, 1.0, 1.0)], 0.2) is None


def one(strategy: str, tolerance: float) -> Tuned:
    (found,) = tune("mnist-mlp", [strategy], tolerance=tolerance, folds=3, num_images=200)
    return found


def test_a_tolerance_that_everything_meets_gives_the_highest_sparsity_of_the_grid() -> None:
    found = one("l1-weight-global", 1000.0)
    assert found.verdict == "found" and found.chosen is not None
    assert found.chosen.achieved == pytest.approx(0.95, abs=1e-4)


def test_the_chosen_sparsity_holds_and_the_next_one_does_not() -> None:
    found = one("random-weight-global", 0.5)
    assert found.verdict == "found" and found.chosen is not None
    assert found.chosen.mean <= 0.5
    above = [loss for loss in found.looked_at if loss.sparsity > found.chosen.sparsity]
    assert above[0].mean > 0.5
    assert above[0].sparsity - found.chosen.sparsity <= 0.0101
    assert found.held_out is not None


def test_a_tolerance_below_the_noise_cannot_be_resolved() -> None:
    found = one("random-weight-global", 1e-9)
    assert found.verdict == "cannot be resolved"
    assert "twice the folds' noise" in found.reason and found.chosen is None


def test_a_larger_tolerance_never_gives_less() -> None:
    chosen = [one("random-weight-global", tolerance).chosen for tolerance in (0.3, 0.6, 1.2)]
    assert all(chosen)
    achieved = [loss.achieved for loss in chosen if loss]
    assert achieved == sorted(achieved)


def test_folds_are_disjoint_in_reals_and_inputs() -> None:
    import torch

    from bench.sweep.settings import Settings
    from bench.sweep.workshop import Workshop
    from bench.tasks.generation.folds import GenerationFolds

    loaded = Workshop(Settings(num_images=100)).load("dummy", "shipped")
    folds = loaded.judge.folds(3, 100, 0, "fid")
    assert isinstance(folds, GenerationFolds)
    assert len(torch.unique(folds.inputs[0], dim=0)) == 300
    assert sum(real.count for real in folds.reals) == len(loaded.gan.data.train)


def test_what_cannot_be_asked_for_a_sparsity_or_does_not_fit_says_so() -> None:
    (found,) = tune("mnist-mlp", ["bnscale-channel-global"], tolerance=0.1, folds=2, num_images=100)
    assert (found.verdict, "no BatchNorm" in found.reason) == ("not applicable", True)


def test_every_mistake_is_named_at_once() -> None:
    with pytest.raises(Mistakes) as error:
        tune("mnist-dcgam", ["l1"], tolerance=-1, metric="fod", folds=1, num_images=0, recovery="rest")
    text = str(error.value)
    for part in ("mnist-dcgan", "--strategy", "--tolerance", "--metric", "--folds", "--num-images", "--recovery"):
        assert part in text


def test_the_command_prints_rows_or_json() -> None:
    arguments = ["tune", "dummy", "--strategy", "l1-weight-global", "--tolerance", "9", "--folds", "2"]
    answer = CliRunner().invoke(app, [*arguments, "--num-images", "100", "--json"])
    assert answer.exit_code == 0, answer.output
    (row,) = json.loads(answer.stdout)
    assert row["verdict"] == "found" and row["sparsity"] > 0.9
    table = CliRunner().invoke(app, [*arguments, "--num-images", "100"])
    assert "l1-weight-global" in table.stdout and "Highest sparsity" in table.stdout
