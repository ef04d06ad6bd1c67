"""The experiment file: what is read, what is refused and in which words, and which cells come out."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.base.errors import Mistakes
from bench.experiment import (
    METRICS,
    TABLES,
    Experiment,
    Known,
    StrategyChoice,
    Sweep,
    dump,
    expand,
    load_experiment,
    shipped_experiments,
)
from bench.experiments.gate import Gate, Margins
from strategies.base import Levels

GATED = "{workload = 'digits', strategy = 'l1-weight-global', level = 0.5}"
MANY_GATED = [GATED.replace("0.5", f"0.{i:02d}") for i in range(1, 14)]

HEAD = """
[experiment]
name = "mine"
workloads = ["digits"]
strategies = ["l1-channel-global", "l1-weight-global"]
"""


def parse_recovery(name: str) -> str:
    if name not in ("none", "bn-recalibrate"):
        raise ValueError(f"no recovery {name!r}.")
    return name


KNOWN = Known(
    workloads=("digits", "faces"),
    strategies={
        "l1-weight-global": Levels(),
        "l1-channel-global": Levels(),
        "rownorm": Levels(knob="threshold"),
        "l1-nm": Levels(continuous=False, fixed=(0.5, 0.75)),
        "quantised": Levels(continuous=False, knob="bits", fixed=(2.0, 4.0)),
        "shared": Levels(continuous=False, knob="distance"),
    },
    extractors=("lenet",),
    metrics=METRICS,
    backends=("eager",),
    parse_recovery=parse_recovery,
)

Load = Callable[..., Experiment]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Loads a text as the file `mine.toml` of the current folder."""
    monkeypatch.chdir(tmp_path)

    def load_text(text: str, *overrides: str) -> Experiment:
        Path("mine.toml").write_text(text)
        return load_experiment("mine.toml", overrides, known=KNOWN)

    return load_text


def mistakes(load: Load, text: str, *overrides: str) -> list[str]:
    with pytest.raises(Mistakes) as caught:
        load(text, *overrides)
    return caught.value.mistakes


# Reading


def test_a_minimal_file_gets_the_documented_defaults(load: Load) -> None:
    experiment = load(HEAD)
    assert experiment.name == "mine"
    assert experiment.sweep.checkpoints == ("shipped",)
    assert experiment.sweep.target == "params"
    assert experiment.sweep.sparsities == (0.3, 0.5, 0.7, 0.9)
    assert experiment.sweep.recovery == ("bn-recalibrate",)
    assert experiment.sweep.seeds == (0, 1, 2)
    assert (experiment.quality.metrics, experiment.quality.extractor) == (("fid", "is"), "workload")
    assert experiment.quality.num_images == 1000
    assert (experiment.latency.devices, experiment.latency.batches) == (("cpu",), (1, 16))
    assert (experiment.latency.backends, experiment.latency.enabled) == (("eager",), True)
    assert experiment.gate == Gate()
    assert experiment.report.reference == "l1-weight-global"


def test_quick_writes_out_every_default_as_it_is() -> None:
    quick = load_experiment("quick", known=Known.installed())
    sweep = Sweep(name="quick", workloads=quick.sweep.workloads, strategies=quick.sweep.strategies)
    assert quick == Experiment(experiment=sweep)


@pytest.mark.parametrize("name", shipped_experiments())
def test_a_shipped_experiment_loads_under_its_own_name(name: str) -> None:
    assert load_experiment(name).name == name


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    path = tmp_path / "bom.toml"
    path.write_bytes(b"\xef\xbb\xbf" + HEAD.encode())
    assert load_experiment(path, known=KNOWN).name == "mine"


def test_reading_the_module_imports_no_torch() -> None:
    code = "import bench.experiment, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_unknown_shipped_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(Mistakes, match=r"^quik: no such file, .*Did you mean 'quick'\?"):
        load_experiment("quik", known=KNOWN)


def test_a_folder_is_not_an_experiment(tmp_path: Path) -> None:
    with pytest.raises(Mistakes, match="cannot be read"):
        load_experiment(tmp_path, known=KNOWN)


def test_bytes_that_are_not_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_bytes(b"name = '\xff'")
    with pytest.raises(Mistakes, match=r"x\.toml: not a text in UTF-8 \(byte 8\)"):
        load_experiment(tmp_path / "x.toml", known=KNOWN)


def test_a_path_that_cannot_be_is_refused() -> None:
    with pytest.raises(Mistakes, match="not a path"):
        load_experiment("a\0b", known=KNOWN)


def test_a_syntax_error_names_the_line(load: Load) -> None:
    assert mistakes(load, "[experiment]\nname = \nseeds = [0]\n") == [
        "mine.toml, line 2, column 8: not valid TOML: Invalid value."
    ]


@pytest.mark.parametrize("text", ["a = " + "[" * 9000, HEAD + "seeds." + "a." * 9000 + "a = 1"])
def test_nesting_without_end_is_a_mistake_not_a_crash(load: Load, text: str) -> None:
    assert "nested too deeply" in mistakes(load, text)[0]


def test_a_number_too_long_to_read_is_a_mistake_not_a_crash(load: Load) -> None:
    assert "not valid TOML" in mistakes(load, f"a = {'9' * 5000}")[0]


# Mistakes


def test_all_mistakes_are_told_at_once_in_the_order_of_the_format(load: Load) -> None:
    text = """
    [experiment]
    sparsities = [1.2, 0.5]
    name = "mine"
    workloads = ["digits"]
    strategies = ["l1-weight-global", "rownorm", "l1-chanel-global"]
    """
    with pytest.raises(Mistakes) as caught:
        load(text)
    assert str(caught.value).splitlines() == [
        "mine.toml, experiment.strategies[2]: no strategy 'l1-chanel-global'. Did you mean 'l1-channel-global'?",
        "mine.toml, experiment.sparsities[0]: 1.2 is not in [0, 1).",
        "2 mistakes; nothing was run.",
    ]


UNSAFE = "is not usable in a path: at most 100 letters, digits and + . _ - (no ..), a letter or digit first."

ONE_MISTAKE = {
    "experiment.seeds=[]": "experiment.seeds: is empty; at least one is needed.",
    "experiment.seeds=[0, 1, 0]": "experiment.seeds[2]: 0 is listed twice.",
    "experiment.seeds=[-1]": "experiment.seeds[0]: -1 is not a whole number from 0 to 2^63 - 1.",
    "experiment.seeds=[1.0]": "experiment.seeds[0]: 1.0 is not a whole number.",
    "experiment.seeds=[true]": "experiment.seeds[0]: true is not a whole number.",
    "experiment.seeds=3": "experiment.seeds: 3 is not a list in [ ]. Write [3].",
    "experiment.seeds={a = 1}": "experiment.seeds: {a = 1} is not a list in [ ].",
    "experiment.sparsities=[nan]": "experiment.sparsities[0]: nan is not in [0, 1).",
    "experiment.sparsities=[1]": "experiment.sparsities[0]: 1.0 is not in [0, 1).",
    "experiment.sparsities=[-0.1]": "experiment.sparsities[0]: -0.1 is not in [0, 1).",
    "experiment.sparsities=[0.0]": (
        "experiment.sparsities[0]: only 'dense' has sparsity 0, and it is always in. Leave it out."
    ),
    "experiment.sparsities=['0.5']": "experiment.sparsities[0]: '0.5' is not a number.",
    "experiment.sparsities=[0.5, 0.50]": "experiment.sparsities[1]: 0.5 is listed twice.",
    "experiment.sparsities=[0.5, 0.50000001]": "experiment.sparsities[1]: 0.50000001 is listed twice.",
    "experiment.name='../up'": f"experiment.name: '../up' {UNSAFE}",
    "experiment.name=''": f"experiment.name: '' {UNSAFE}",
    "experiment.name='a..b'": f"experiment.name: 'a..b' {UNSAFE}",
    "experiment.name=3": "experiment.name: 3 is not a text in quotes.",
    "experiment.target=flops": "experiment.target: 'flops' is not 'params' or 'macs'.",
    "experiment.workloads=['digit']": "experiment.workloads[0]: no workload 'digit'. Did you mean 'digits'?",
    "experiment.recovery=['magic']": "experiment.recovery[0]: no recovery 'magic'.",
    "experiment.strategies=[5]": (
        "experiment.strategies[0]: 5 is neither a name nor a table {name = ..., levels = [...]}."
    ),
    "experiment.strategies=[{levels = [{threshold = 1}]}]": (
        "experiment.strategies[0].name: missing; this key has no default."
    ),
    "experiment.strategies=['rownorm', {name = 'rownorm', levels = [{threshold = 1}]}]": (
        "experiment.strategies[1]: 'rownorm' is listed twice. Put all its levels into one table."
    ),
    "experiment.strategies=[{name = 'rownorn'}]": (
        "experiment.strategies[0].name: no strategy 'rownorn'. Did you mean 'rownorm'?"
    ),
    "experiment.strategies=[{name = 'rownorm', level = []}]": (
        "experiment.strategies[0].level: no such key. Did you mean 'levels'?"
    ),
    "experiment.strategies=[{name = 'rownorm', levels = []}]": (
        "experiment.strategies[0].levels: is empty; at least one is needed."
    ),
    "experiment.strategies=[{name = 'rownorm', levels = [{treshold = 1}]}]": (
        "experiment.strategies[0].levels[0].treshold: 'rownorm' has no such knob. Did you mean 'threshold'?"
    ),
    "experiment.strategies=[{name = 'rownorm', levels = [{threshold = inf}]}]": (
        "experiment.strategies[0].levels[0].threshold: inf is not a finite number."
    ),
    "experiment.strategies=[{name = 'rownorm', levels = [{threshold = 1}, {threshold = 1.0}]}]": (
        "experiment.strategies[0].levels[1]: {threshold = 1.0} is listed twice."
    ),
    "experiment.strategies=[{name = 'rownorm', levels = [{}]}]": (
        "experiment.strategies[0].levels[0]: 0 knobs; a level is one knob and its value, {sparsity = 0.1}."
    ),
    "experiment.strategies=[{name = 'l1-weight-global', levels = [{sparsity = 1.5}]}]": (
        "experiment.strategies[0].levels[0].sparsity: 1.5 is not in [0, 1)."
    ),
    "experiment.strategies=[{name = 'l1-weight-global', levels = [{threshold = 1}]}]": (
        "experiment.strategies[0].levels[0].threshold: 'l1-weight-global' has no such knob. Known: sparsity."
    ),
    "experiment.strategies=[{name = 'l1-nm', levels = [{sparsity = 0.6}]}]": (
        "experiment.strategies[0].levels[0].sparsity: 'l1-nm' cannot reach 0.6, only 0.5, 0.75."
    ),
    "experiment.strategies=[{name = 'dense', levels = [{sparsity = 0.5}]}]": (
        "experiment.strategies[0].levels: 'dense' has no levels: it is the unpruned generator."
    ),
    "experiment.strategies=['shared']": (
        "experiment.strategies[0]: 'shared' has no sparsity to sweep, but a knob of its own. "
        "Write {name = 'shared', levels = [{distance = 0.1}]}."
    ),
    "quality.num_images=1": "quality.num_images: 1 is not a whole number from 2 to 2^63 - 1.",
    "quality.metrics=['fdi']": "quality.metrics[0]: no metric 'fdi'. Did you mean 'fid'?",
    "quality.extractor=vgg": "quality.extractor: no extractor 'vgg'. Known: workload, lenet.",
    "latency.devices=['gpu']": "latency.devices[0]: 'gpu' is not 'cpu' or 'cuda'.",
    "latency.batches=[0]": "latency.batches[0]: 0 is not a whole number from 1 to 2^63 - 1.",
    "latency.backends=['eagre']": "latency.backends[0]: no backend 'eagre'. Did you mean 'eager'?",
    "latency.enabled=1": "latency.enabled: 1 is not true or false.",
    "report.reference=l2-weight-global": (
        "report.reference: no strategy 'l2-weight-global'. Did you mean 'l1-weight-global'?"
    ),
    "gate=3": "gate: 3 is not a table.",
    "gate.since=2020-01-01": "gate.since: no such key. Known: cells, latency, metrics, margins, prior, error, "
    "processes, max_seconds.",
    "gate.error=nan": "gate.error: nan is not between 0 and 0.5.",
    "gate.error=0.5": "gate.error: 0.5 is not between 0 and 0.5.",
    "gate.margins.fdi=0.1": "gate.margins.fdi: no such key. Did you mean 'fid'?",
    "gate.margins.is=0": "gate.margins.is: 0.0 is not between 0 and 1.",
    "gate.metrics=['kid']": "gate.metrics[0]: 'kid' is not 'fid' or 'is'.",
    "gate.cells=[{workload = 'digits', strategy = 'dense', levl = 0.5}]": (
        "gate.cells[0].levl: no such key. Did you mean 'level'?"
    ),
    f"gate.cells=[{', '.join(MANY_GATED)}]": (
        "gate.cells: 13 cells; at most 12, because all of them share one error rate."
    ),
    f"gate.latency=[{', '.join(MANY_GATED[:7])}]": (
        "gate.latency: 7 latency ratios; at most 6, because all of them share one error rate."
    ),
    "experiment.sparsitys=[0.5]": "experiment.sparsitys: no such key. Did you mean 'sparsities'?",
    "quality.seeds=[0]": "quality.seeds: no such key. It belongs in [experiment].",
    "reports.reference=x": "reports: no such key. Did you mean 'report'?",
}


@pytest.mark.parametrize(("override", "expected"), ONE_MISTAKE.items(), ids=ONE_MISTAKE)
def test_a_mistake_is_told_once_with_its_place(load: Load, override: str, expected: str) -> None:
    assert mistakes(load, HEAD, override) == [f"--set {expected}"]


def test_keys_outside_their_table_are_sent_home(load: Load) -> None:
    assert mistakes(load, "seeds = [0]\n" + HEAD) == ["mine.toml, seeds: no such key. It belongs in [experiment]."]


@pytest.mark.parametrize("text", ["", "[experiment]"])
def test_an_empty_file_lists_what_is_needed(load: Load, text: str) -> None:
    assert mistakes(load, text) == [
        f"mine.toml, experiment.{key}: missing; this key has no default." for key in ("name", "workloads", "strategies")
    ]


def test_wrong_names_and_wrong_types_of_one_list_are_both_told(load: Load) -> None:
    assert mistakes(load, HEAD, "workloads=['digit', 3]") == [
        "--set experiment.workloads[0]: no workload 'digit'. Did you mean 'digits'?",
        "--set experiment.workloads[1]: 3 is not a text in quotes.",
    ]


def test_control_characters_in_names_are_shown_escaped(load: Load) -> None:
    (told,) = mistakes(load, HEAD + '"\\u001b[2J" = "\\u001b[2J"')
    assert "\x1b" not in told


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
toml_values = json_like.filter(lambda value: "None" not in repr(value))


def as_toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {as_toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(as_toml, value)) + "]"
    if isinstance(value, float):
        return repr(value)
    return json.dumps(value).replace("\x7f", "\\u007f")


@given(
    key=st.sampled_from([f"{table}.{key}" for table, model in TABLES.items() for key in model.model_fields]),
    value=toml_values,
)
def test_any_value_anywhere_is_understood_or_refused_in_words(key: str, value: object) -> None:
    try:
        experiment = load_experiment("quick", [f"{key}={as_toml(value)}"], known=QUICK_KNOWN)
    except Mistakes as caught:
        assert all(told.startswith("--set ") for told in caught.mistakes)
    else:
        assert Experiment.model_validate(dump(experiment)) == experiment


QUICK_KNOWN = Known(
    workloads=("mnist-dcgan", "mnist-mlp"),
    strategies=dict.fromkeys(
        [
            *("random-weight-global", "l1-weight-global", "l1-weight-uniform", "random-channel-uniform"),
            *("l1-channel-uniform", "l1-channel-global", "bnscale-channel-global"),
        ],
        Levels(),
    ),
    extractors=(),
    metrics=METRICS,
    backends=("eager",),
    parse_recovery=parse_recovery,
)


# Overrides


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
        "--set quality.num_images: 0 is not a whole number from 2 to 2^63 - 1.",
    ]


# Cells


def levels_of(experiment: Experiment, strategy: str) -> list[dict[str, float]]:
    return [cell.level for cell in expand(experiment, KNOWN) if cell.strategy == strategy]


def test_cells_come_in_a_stable_order_with_dense_first(load: Load) -> None:
    experiment = load(HEAD, "sparsities=[0.7, 0.5]", "seeds=[1, 0]", "strategies=['l1-weight-global']")
    assert [cell.label for cell in expand(experiment, KNOWN)] == [
        "digits dense @0 bn-recalibrate seed 1",
        "digits dense @0 bn-recalibrate seed 0",
        "digits l1-weight-global @0.7 bn-recalibrate seed 1",
        "digits l1-weight-global @0.7 bn-recalibrate seed 0",
        "digits l1-weight-global @0.5 bn-recalibrate seed 1",
        "digits l1-weight-global @0.5 bn-recalibrate seed 0",
    ]


def test_dense_goes_through_every_recovery_on_params_whatever_the_target(load: Load) -> None:
    experiment = load(HEAD, "target=macs", "recovery=['none', 'bn-recalibrate']", "seeds=[0]")
    dense = [cell for cell in expand(experiment, KNOWN) if cell.strategy == "dense"]
    assert [(cell.recovery, cell.target, cell.level) for cell in dense] == [
        ("none", "params", {"sparsity": 0.0}),
        ("bn-recalibrate", "params", {"sparsity": 0.0}),
    ]
    assert {cell.target for cell in expand(experiment, KNOWN) if cell.strategy != "dense"} == {"macs"}


def test_naming_dense_changes_nothing(load: Load) -> None:
    named = load(HEAD, "strategies=['l1-weight-global', 'dense']")
    assert named == load(HEAD, "strategies=['l1-weight-global']")


def test_dense_alone_is_an_experiment(load: Load) -> None:
    experiment = load(HEAD, "strategies=['dense']", "seeds=[0]")
    assert [cell.strategy for cell in expand(experiment, KNOWN)] == ["dense"]
    assert Experiment.model_validate(dump(experiment)) == experiment


def test_a_strategy_with_fixed_sparsities_has_one_cell_for_each(load: Load) -> None:
    experiment = load(HEAD, "strategies=['l1-nm']", "sparsities=[0.1, 0.2, 0.3]", "seeds=[0]")
    assert levels_of(experiment, "l1-nm") == [{"sparsity": 0.5}, {"sparsity": 0.75}]


def test_a_strategy_with_only_a_knob_has_one_cell_for_each_of_its_own_levels(load: Load) -> None:
    experiment = load(HEAD, "strategies=['quantised']", "seeds=[0]")
    assert levels_of(experiment, "quantised") == [{"bits": 2.0}, {"bits": 4.0}]


def test_a_strategy_with_knob_and_sparsity_sweeps_the_sparsities(load: Load) -> None:
    experiment = load(HEAD, "strategies=['rownorm']", "sparsities=[0.5]", "seeds=[0]")
    assert levels_of(experiment, "rownorm") == [{"sparsity": 0.5}]


def test_levels_of_a_table_replace_the_sweep_for_that_strategy_alone(load: Load) -> None:
    entry = "{name = 'rownorm', levels = [{threshold = 0.2}, {sparsity = 0.4}]}"
    experiment = load(HEAD, f"strategies=['l1-weight-global', {entry}]", "sparsities=[0.5]", "seeds=[0]")
    assert levels_of(experiment, "rownorm") == [{"threshold": 0.2}, {"sparsity": 0.4}]
    assert levels_of(experiment, "l1-weight-global") == [{"sparsity": 0.5}]


def unique(items: st.SearchStrategy[object], most: int = 3) -> st.SearchStrategy[tuple[object, ...]]:
    return st.lists(items, min_size=1, max_size=most, unique=True).map(tuple)


sweeps = st.builds(
    Sweep,
    name=st.just("x"),
    workloads=unique(st.sampled_from(list(KNOWN.workloads))),
    checkpoints=unique(st.sampled_from(["shipped", "mine"])),
    strategies=unique(st.sampled_from(sorted({*KNOWN.strategies, "dense"} - {"shared"})), 6),
    target=st.sampled_from(["params", "macs"]),
    sparsities=unique(st.floats(0.01, 0.99)),
    recovery=unique(st.sampled_from(["none", "bn-recalibrate"])),
    seeds=unique(st.integers(0, 2**63 - 1)),
)


@given(sweeps)
def test_every_combination_is_one_cell_and_none_is_twice(sweep: Sweep) -> None:
    cells = expand(Experiment(experiment=sweep), KNOWN)
    own = {"l1-nm": 2, "quantised": 2}
    pruning = [choice.name for choice in sweep.strategies if choice.name != "dense"]
    points = 1 + sum(own.get(name, len(sweep.sparsities)) for name in pruning)
    around = len(sweep.workloads) * len(sweep.checkpoints) * len(sweep.recovery) * len(sweep.seeds)
    assert len(cells) == points * around
    assert len({cell.model_dump_json() for cell in cells}) == len(cells)


def test_a_model_made_by_hand_with_repetitions_gives_no_cell_twice() -> None:
    choice = StrategyChoice(name="l1-weight-global")
    sweep = Sweep(name="x", workloads=("digits",), strategies=(choice, choice), seeds=(0, 0))
    assert len(expand(Experiment(experiment=sweep), KNOWN)) == 1 + len(sweep.sparsities)


# The manifest's copy


@given(sweeps)
def test_the_dump_survives_json_and_gives_the_same_experiment(sweep: Sweep) -> None:
    experiment = Experiment(
        experiment=sweep,
        gate={"error": 0.01, "margins": {"is": 0.1}, "cells": [{"workload": "digits", "strategy": "dense"}]},
    )
    text = json.dumps(dump(experiment), allow_nan=False)
    assert Experiment.model_validate(json.loads(text)) == experiment


def test_two_ways_to_write_the_same_experiment_have_the_same_dump(load: Load) -> None:
    short = load(HEAD)
    long = load(HEAD + "seeds = [0, 1, 2]\n[report]\nreference = 'l1-weight-global'\n[quality]\n[gate]")
    assert json.dumps(dump(short)) == json.dumps(dump(long))


def test_the_dump_keeps_the_levels_of_a_table(load: Load) -> None:
    experiment = load(HEAD, "strategies=['rownorm', {name = 'quantised', levels = [{bits = 3}]}]")
    assert dump(experiment)["experiment"]["strategies"] == [
        "rownorm",
        {"name": "quantised", "levels": [{"bits": 3.0}]},
    ]
