"""`--set`: what it changes, adds and refuses."""

from __future__ import annotations

import pytest

from bench.experiments.gate import Margins
from bench.experiments.schema import TABLES
from tests.experiments.known import GATED, HEAD, Load, mistakes


@pytest.mark.parametrize("override", ["experiment.seeds=[7, 8]", "seeds=[7, 8]", " seeds = [7, 8] "])
def test_an_override_replaces_the_value_of_the_file(load: Load, override: str) -> None:
    assert load(HEAD + "seeds = [0]", override).sweep.seeds == (7, 8)


@pytest.mark.parametrize("table", [table for table in TABLES if table != "gate"])
def test_the_short_form_of_every_key_is_unambiguous(table: str) -> None:
    for key in TABLES[table].model_fields:
        homes = [other for other, model in TABLES.items() if key in model.model_fields]
        assert [home for home in homes if home != "gate"] == [table]  # the gate's keys are named in full


def test_a_bare_word_is_a_text(load: Load) -> None:
    assert load(HEAD, "reference=l1-channel-global").report.reference == "l1-channel-global"


def test_a_bare_word_for_a_list_is_answered_with_the_list(load: Load) -> None:
    assert mistakes(load, HEAD, "workloads=faces") == [
        "--set experiment.workloads: 'faces' is not a list in [ ]. Write ['faces']."
    ]


def test_an_override_reaches_into_a_table_of_a_table(load: Load) -> None:
    assert load(HEAD, "gate.margins.time=0.02").gate.margins == Margins(time=0.02)


GATED_ALSO = GATED.replace("}", ", checkpoint = 'shipped'}")
GATED_TWICE = f"""
[gate]
cells = [{GATED}, {GATED_ALSO}, {{workload = "digits", strategy = "l1-weight-global", level = 0.6}}]
latency = [{GATED}]
metrics = ["is"]
[quality]
metrics = ["fid"]
"""


def test_what_is_gated_must_be_measured_and_named_once(load: Load) -> None:
    assert set(mistakes(load, HEAD + "recovery = ['none', 'bn-recalibrate']\n" + GATED_TWICE)) == {
        f"mine.toml, {sentence}"
        for sentence in (
            "gate.cells[0].recovery: missing: the experiment has 2 of them.",
            "gate.cells[1]: digits l1-weight-global @0.5 none is gated twice.",
            "gate.cells[1].recovery: missing: the experiment has 2 of them.",
            "gate.cells[2]: the experiment has no such cell: digits l1-weight-global @0.6 none.",
            "gate.cells[2].recovery: missing: the experiment has 2 of them.",
            "gate.latency[0].recovery: missing: the experiment has 2 of them.",
            "gate.metrics[0]: 'is' is not measured: it is not in quality.metrics.",
        )
    }


def test_an_override_may_take_away_what_is_gated(load: Load) -> None:
    cells = HEAD + f"[gate]\ncells = [{GATED}]\n"
    assert load(cells, "sparsities=[0.9]").gate.cells == load(cells).gate.cells


def test_an_override_may_add_to_a_list(load: Load) -> None:
    assert load(HEAD + "seeds = [3]", "seeds+=[7, 8]", "seeds+=[9]").sweep.seeds == (3, 7, 8, 9)
    assert load(HEAD, "plugins+=[]").sweep.plugins == ()  # a key that the file does not have
    (told,) = mistakes(load, HEAD + "seeds = [3]", "seeds+=['x']")
    assert told.startswith("--set experiment.seeds[1]: ")  # the first is the file's


def test_the_last_override_of_a_key_wins(load: Load) -> None:
    assert load(HEAD, "seeds=[1]", "experiment.seeds=[2]").sweep.seeds == (2,)


@pytest.mark.parametrize(
    ("override", "expected"),
    {
        "seeds": "--set 'seeds': no value. Write key=value.",
        "sede=[0]": "--set sede: no such key. Did you mean 'seeds'?",
        "=3": "--set '': not a key. Write experiment.seeds=[0], or seeds=[0].",
        "experiment..seeds=3": "--set 'experiment..seeds': not a key.",
        "seeds=[0": "--set seeds: '[0' is not a TOML value",
        "workloads=[faces]": "--set workloads: '[faces]' is not a TOML value",
        "seeds=[1]\nname='x'": "--set seeds: \"[1]\\nname='x'\" is not a TOML value (more than one line).",
        "experiment.name.x=2": "--set experiment.name.x: 'experiment.name' is not a table.",
        "seeds+=3": "--set seeds+: '3' is not a list, and only a list can be added to.",
        "experiment.name+=['x']": "--set experiment.name+: 'experiment.name' is not a list, and only a list",
    }.items(),
)
def test_a_malformed_override_is_told_as_it_was_typed(load: Load, override: str, expected: str) -> None:
    (told,) = mistakes(load, HEAD, override)
    assert told.startswith(expected)


def test_mistakes_of_overrides_and_of_the_file_are_told_together(load: Load) -> None:
    assert mistakes(load, HEAD + "seeds = []", "sede=[0]", "num_images=0") == [
        "--set sede: no such key. Did you mean 'seeds'?",
        "mine.toml, experiment.seeds: is empty; at least one is needed.",
        "--set quality.num_images: 0 is not a whole number from 2 to 1,000,000: features are kept in memory.",
    ]
