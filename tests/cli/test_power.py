"""`ganprune power`, and what `ganprune plan` says of the run to come."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

import ganprune as public
from bench.cli.outlook import print_outlook
from bench.sweep.foresight import Outlook
from bench.tables.foresight import PlannedFamily, PlannedStrategy
from bench.tasks import quantity_of
from tests.helpers.cells import write_experiment
from tests.helpers.command import Command
from tests.helpers.executor import InProcess


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an experiment `mini.toml` and a finished run of it, without a report."""
    folder = tmp_path_factory.mktemp("measured")
    write_experiment(folder, strategies=["l1-weight-global", "l1-channel-global"])
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr("bench.sweep.run.LocalExecutor", InProcess)
        public.run("mini.toml", reports=None)
    return folder


def test_it_says_what_each_family_can_tell_and_what_to_add(ganprune: Command, run: Path) -> None:
    answer = ganprune("power", "mini", "--difference", "1e-6")
    assert (answer.code, answer.err) == (0, "")
    assert "dummy, none, against l1-weight-global" in answer.out and "1 seed, about this one network" in answer.out
    assert "To tell a difference of 1e-06:" in answer.out and "CPU minutes" in answer.out
    assert "The training of a checkpoint is not counted." in " ".join(answer.out.split())


def test_a_difference_that_is_told_already_needs_nothing(ganprune: Command, run: Path) -> None:
    answer = ganprune("power", "mini", "--difference", "1e9", "--reference", "dense")
    assert "To tell a difference of 1e+09: nothing; every comparison" in answer.out
    assert "CPU minutes" not in answer.out


def test_as_json_it_is_what_python_gives(ganprune: Command, run: Path) -> None:
    (family,) = json.loads(ganprune("power", "mini", "--difference", "5%", "--reference", "dense", "--json").out)
    (found,) = public.power(run, "5%", reference="dense")
    assert (family["workload"], family["reference"], family["wanted"]) == ("dummy", "dense", "5% of dense")
    assert [one["told_from"] for one in family["comparisons"]] == [one.smallest for one in found.family.members]
    assert [one["strategy"] for one in family["comparisons"]] == ["l1-weight-global", "l1-channel-global"]
    ways = [way for added in family["additions"] for way in added["ways"]]
    assert all(way["reason"] for way in ways if way["then"] is None)


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--difference", "2x"], ["--difference: '2x' is no difference", "such as 10%", "such as 1.5"]),
        (["--difference", "-5%"], ["--difference: '-5%' is no difference"]),
        (["--reference", "l1"], ["reference: no strategy 'l1' in this run", "expected dense, best, or one of"]),
    ],
    ids=["word", "negative", "reference"],
)
def test_what_is_wrong_is_named(arguments: list[str], parts: list[str], ganprune: Command, run: Path) -> None:
    ganprune("power", "mini", *arguments).refused(*parts)


def test_without_a_run_it_says_how_to_make_one(ganprune: Command, tmp_path: Path) -> None:
    ganprune("power", "quick").refused("ganprune run quick")


def test_without_anything_to_compare_it_says_so(ganprune: Command, run: Path) -> None:
    for record in (run / "cells").glob("*l1-*"):
        record.unlink()
    answer = ganprune("power", "mini", "--reference", "best")
    assert (answer.code, answer.out) == (0, "Nothing is compared in this run.\n")


def test_a_plan_of_a_workload_that_was_never_measured_says_shares_of_dense(
    ganprune: Command, run: Path, tmp_path: Path
) -> None:
    answer = ganprune("plan", "mini.toml", "--results", "elsewhere", "--set", "seeds=[0, 1, 2]")
    assert "What it will be able to tell, from dense, with probability .8:" in answer.out
    assert "dummy, none, N = 50, 3 seeds, 2 comparisons: differences of FID∞ from " in answer.out
    assert " of dense's FID∞ where the network is not drawn." in answer.out
    assert "dummy: by what is known of the shipped workloads" in answer.out
    assert not Path("elsewhere").exists()


def test_a_plan_goes_by_the_newest_run_of_the_workload(ganprune: Command, run: Path) -> None:
    answer = ganprune("plan", "mini.toml", "--set", "seeds=[0, 1]")
    assert f"dummy: by the run in {run}." in answer.out
    for contents in (run / "cells").glob("*.json"):
        contents.write_text("{")
    assert "dummy: by what is known of the shipped workloads" in ganprune("plan", "mini.toml").out


def test_a_plan_says_what_it_cannot_know(ganprune: Command, run: Path) -> None:
    trained = ganprune("plan", "mini.toml", "--set", 'recovery=["finetune-1"]', "--set", "seeds=[0]").out
    assert "nothing of networks that are drawn: one seed says nothing of the others" in trained


def outlook(**changes: object) -> Outlook:
    """Of three trainings: one strategy that draws, one that does not, two levels each."""
    strategies = (PlannedStrategy("a", 2, frozenset()), PlannedStrategy("b", 2, frozenset({"prune"})))
    known = {
        "workload": "mine", "recovery": "none", "quantity": quantity_of("fid-inf"),
        "family": PlannedFamily(strategies, 1000, 3), "checkpoints": 3, "mild": (0.9, 0.9), "harsh": None,
        "relative": False, "fixed_by": "the shipped prior", "ratio": (1.5, 2.14), "drawn_by": "the run in r",
        "trainings": {0.2: 1.61, 0.4: math.inf},
    }  # fmt: skip
    return Outlook(**(known | changes))  # type: ignore[arg-type]


def test_a_plan_of_several_trainings_says_what_their_spread_would_allow(capsys: pytest.CaptureFixture[str]) -> None:
    print_outlook([outlook()])
    out = capsys.readouterr().out
    assert (
        "mine, none, N = 1,000, 3 seeds, each of 3 checkpoints, 4 comparisons: differences of FID∞ from 0.9 (mildly "
        "pruned) where the network is not drawn; ratios to dense from 1.5 to 2.1 where networks are drawn."
    ) in out
    assert "ratios from 1.6 (of 0.2) or any size (of 0.4)." in out
    assert "mine: by the shipped prior." in out and "mine: by the run in r." in out


def test_a_plan_says_where_nothing_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    trained = PlannedFamily((PlannedStrategy("a", 1, frozenset({"train"})),), 1000, 3)
    print_outlook([outlook(family=trained, ratio=None, drawn_by="", fixed_by="", checkpoints=1, trainings={})])
    assert (
        "mine, none, N = 1,000, 3 seeds, 1 comparison: not known where networks are trained." in capsys.readouterr().out
    )
    print_outlook([])
    assert capsys.readouterr().out == ""
