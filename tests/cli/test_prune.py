"""`ganprune prune` and `train`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import bench
import bench.cli
import bench.cli.terminal
from tests.helpers.cells import write_experiment
from tests.helpers.command import Command


def test_prune_makes_an_artefact_that_loads(ganprune: Command, tmp_path: Path) -> None:
    answer = ganprune("prune", "dummy", "--strategy", "l1-channel-global", "--sparsity", "0.5", "--out", "out")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.splitlines()[-1] == "out"
    assert "of 2,776 weights removed." in answer.out
    images = bench.load("out")(torch.randn(2, 8))
    assert images.shape == (2, 1, 8, 8)


def test_prune_while_training_by_a_strategys_own_knob(ganprune: Command, tmp_path: Path) -> None:
    answer = ganprune(
        "prune", "dummy", "--strategy", "rownorm-channel+everystep", "--level", "threshold=0.5",
        "--recovery", "finetune-4", "--out", "out",
    )  # fmt: skip
    assert (answer.code, answer.err) == (0, "")
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["made_by"]["level"] == {"threshold": 0.5}
    assert isinstance(bench.load(tmp_path / "out"), torch.nn.Module)


def test_all_mistakes_of_prune_are_told_at_once(ganprune: Command, tmp_path: Path) -> None:
    ganprune(
        "prune", "dummi", "--strategy", "l1-chanel-global", "--sparsity", "1.5", "--recovery", "sleep",
        "--target", "watts", "--out", "out",
    ).refused(
        "no workload 'dummi'. Did you mean 'dummy'?",
        "no strategy 'l1-chanel-global'. Did you mean 'l1-channel-global'?",
        "--sparsity 1.5 is not in (0, 1).",
        "no recovery 'sleep'",
        "--target watts: expected params or macs.",
        "5 mistakes; nothing was pruned.",
    )  # fmt: skip
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("strategy", "options", "part"),
    [
        ("l1-weight-global", [], "one of --sparsity X and --level KNOB=VALUE is needed"),
        ("l1-weight-global", ["--sparsity", "0.5", "--level", "a=1"], "one of --sparsity X and --level"),
        ("l1-weight-global", ["--sparsity", "nan"], "--sparsity nan is not in (0, 1)"),
        ("l1-weight-global", ["--level", "threshold=1"], "it has no knob of its own, use --sparsity"),
        ("rownorm-channel+everystep", ["--level", "treshold=1"], "its knob is 'threshold'"),
        ("rownorm-channel+everystep", ["--level", "threshold=much"], "expected KNOB=VALUE with a number"),
        ("rownorm-channel+everystep", ["--level", "threshold=1"], "prunes while training"),
        ("l1-channel-global", ["--sparsity", "0.9999"], "the maximum is 0.9"),
        ("dense", ["--sparsity", "0.5"], "--strategy dense: that is the unpruned generator"),
    ],
)
def test_what_cannot_be_pruned_is_one_message(
    strategy: str, options: list[str], part: str, ganprune: Command, tmp_path: Path
) -> None:
    ganprune("prune", "dummy", "--strategy", strategy, *options, "--out", "out").refused(part)
    assert list(tmp_path.iterdir()) == []


PRUNE = ["prune", "dummy", "--strategy", "l1-weight-global", "--sparsity", "0.5", "--out"]


def test_prune_does_not_write_over_an_artefact(ganprune: Command, tmp_path: Path) -> None:
    ganprune(*PRUNE, "out")
    before = (tmp_path / "out" / "generator.safetensors").read_bytes()
    ganprune(*PRUNE, "out", "--seed", "1").refused("--out out: holds an artefact already")
    assert (tmp_path / "out" / "generator.safetensors").read_bytes() == before


def test_prune_into_a_file_is_one_message(ganprune: Command, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file is in the way")
    ganprune(*PRUNE, "out").refused("--out out: cannot be written")


def test_prune_with_a_damaged_checkpoint_is_one_message(ganprune: Command, tmp_path: Path) -> None:
    (tmp_path / "trained").mkdir()
    (tmp_path / "trained" / "card.json").write_text("{")
    ganprune(*PRUNE, "out", "--checkpoint", "trained").refused("trained/card.json: damaged, not JSON")


def test_train_makes_a_checkpoint_that_can_be_pruned(ganprune: Command, tmp_path: Path) -> None:
    answer = ganprune("train", "dummy", "--steps", "4", "--out", "trained")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.splitlines()[-1] == "trained"
    assert json.loads((tmp_path / "trained" / "card.json").read_text())["steps"] == 4
    assert ganprune(*PRUNE, "out", "--checkpoint", "trained").code == 0
    write_experiment(tmp_path)
    assert "2 cells: 0 done" in ganprune("plan", "mini.toml", "--set", 'checkpoints=["trained"]').out
