"""Constraints in an experiment's strategies table: what they make, what is refused, and in which words."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bench.base.errors import Mistakes
from bench.experiments import Experiment, Known, dump, expand, load_experiment
from strategies.constraints import Constraints
from tests.experiments.known import HEAD, KNOWN, Load, mistakes

TWICE = """strategies=["l1-channel-global", {name = "l1-channel-global", multiple = 8, exclude = ["main.0"]}]"""
LABEL = "l1-channel-global+not-main.0+x8"


def test_a_strategy_may_stand_beside_itself_under_constraints(load: Load) -> None:
    cells = expand(load(HEAD, TWICE, "seeds=[0]", "sparsities=[0.5]"), KNOWN)
    assert [(cell.strategy, cell.base, cell.constraints) for cell in cells] == [
        ("dense", "dense", {}),
        ("l1-channel-global", "l1-channel-global", {}),
        (LABEL, "l1-channel-global", {"exclude": ["main.0"], "multiple": 8}),
    ]
    assert cells[-1].label == f"digits {LABEL} @0.5 bn-recalibrate seed 0"


def test_levels_and_constraints_go_together(load: Load) -> None:
    experiment = load(HEAD, "strategies=[{name = 'l1-channel-global', levels = [{sparsity = 0.4}], cap = 0.9}]")
    assert {cell.level["sparsity"] for cell in expand(experiment, KNOWN)} == {0.0, 0.4}


@pytest.mark.parametrize("table", ["{name = 'l1-channel-global'}", TWICE.partition("=")[2], "'l1-channel-global'"])
def test_the_manifest_holds_them_and_gives_an_equal_experiment(load: Load, table: str) -> None:
    experiment = load(HEAD, f"strategies={table if table.startswith('[') else f'[{table}]'}")
    assert Experiment.model_validate(dump(experiment)) == experiment
    first = dump(experiment)["experiment"]["strategies"][0]
    assert first == "l1-channel-global"  # as before where there are none


def test_the_label_names_it_in_the_gate_and_as_the_reference(load: Load) -> None:
    rule = f"{{workload = 'digits', strategy = '{LABEL}', level = 0.5}}"
    strategies = TWICE.replace("strategies=", "strategies = ")
    text = HEAD.replace('strategies = ["l1-channel-global", "l1-weight-global"]', strategies)
    found = load(f'{text}\n[gate]\ncells = [{rule}]\n[report]\nreference = "{LABEL}"')
    assert found.report.reference == LABEL


ONE_MISTAKE = {
    "{name = 'l1-channel-global', multiple = 1}": (
        "experiment.strategies[0].multiple: 1 is not a whole number from 2 to 1,000,000: what every width is a "
        "multiple of."
    ),
    "{name = 'l1-channel-global', multiple = 8.0}": "experiment.strategies[0].multiple: 8.0 is not a whole number.",
    "{name = 'l1-channel-global', cap = 1.0}": (
        "experiment.strategies[0].cap: 1.0 is not in (0, 1): the share that any layer loses at most."
    ),
    "{name = 'l1-channel-global', at_least = 0}": (
        "experiment.strategies[0].at_least: 0 is not a whole number from 1 to 1,000,000: the channels that stay "
        "anywhere."
    ),
    "{name = 'l1-channel-global', exclude = 'main.0'}": (
        "experiment.strategies[0].exclude: 'main.0' is not a list in [ ]. Write ['main.0']."
    ),
    "{name = 'l1-channel-global', exclude = []}": (
        "experiment.strategies[0].exclude: is empty; at least one is needed."
    ),
    "{name = 'l1-channel-global', ratios = {'main.0' = 1.5}}": (
        "experiment.strategies[0].ratios.'main.0': 1.5 is not in [0, 1): the share that goes from the layer."
    ),
    "{name = 'l1-channel-global', ratios = ['main.0']}": (
        "experiment.strategies[0].ratios: ['main.0'] is not a table."
    ),
    "{name = 'l1-channel-global', multiples = 8}": (
        "experiment.strategies[0].multiples: no such key. Did you mean 'multiple'?"
    ),
    "{name = 'l1-channel-global', exclude = ['a'], ratios = {a = 0.5}}": (
        "experiment.strategies[0]: 'a' is in exclude, and ratios take 0.5 of it."
    ),
    "{name = 'dense', cap = 0.5}": (
        "experiment.strategies[0]: 'dense' has no constraints: it is the unpruned generator."
    ),
    "{name = 'l1-channel-global', cap = 0.5}, {name = 'l1-channel-global', cap = 0.50}": (
        "experiment.strategies[1]: 'l1-channel-global' is listed twice. Put all its levels into one table."
    ),
    "{name = 'l1-channel-global', cap = 0.5}, {name = 'l1-channel-global', cap = 0.5000000001}": (
        "experiment.strategies[1]: 'l1-channel-global' is listed twice. Put all its levels into one table."
    ),
}


@pytest.mark.parametrize("table", ONE_MISTAKE)
def test_one_mistake_is_one_line(load: Load, table: str) -> None:
    assert mistakes(load, HEAD, f"strategies=[{table}]") == [f"--set {ONE_MISTAKE[table]}"]


def test_two_that_would_be_called_alike_are_refused(load: Load) -> None:
    pair = "{name = 'l1-channel-global', exclude = ['a', 'b']}, {name = 'l1-channel-global', exclude = ['b', 'a']}"
    (found,) = mistakes(load, HEAD, f"strategies=[{pair}]")
    assert 'is called \'l1-channel-global+not-a+b\', as with exclude = ["a", "b"]' in found


def test_a_label_that_is_another_strategys_name_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.toml").write_text(HEAD)
    known = replace(KNOWN, strategies={**KNOWN.strategies, "l1-channel-global+x8": KNOWN.strategies["rownorm"]})
    with pytest.raises(Mistakes, match=r"it is called 'l1-channel-global\+x8', as another strategy is"):
        load_experiment("mine.toml", ["strategies=[{name = 'l1-channel-global', multiple = 8}]"], known=known)


@pytest.mark.parametrize(
    ("table", "part"),
    [
        ("{name = 'l1-weight-global', multiple = 8}", "multiple is for channels."),
        ("{name = 'l1-nm-2-4', cap = 0.5}", "'l1-nm-2-4' removes units of nm: constraints are for strategies"),
    ],
)
def test_strategies_that_constraints_do_not_fit_are_refused_on_reading(
    table: str, part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.toml").write_text(HEAD.replace("digits", "mnist-mlp"))
    with pytest.raises(Mistakes, match=part):
        load_experiment("mine.toml", [f"strategies=[{table}]"], known=Known.ours())


def test_cells_of_before_there_were_constraints_read_as_without(load: Load) -> None:
    cell = expand(load(HEAD), KNOWN)[-1]
    old = cell.model_dump(mode="json")
    del old["constraints"]
    assert type(cell).model_validate(old) == cell
    assert Constraints.of(cell.constraints) == Constraints()
