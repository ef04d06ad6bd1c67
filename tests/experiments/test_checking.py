"""What is refused in an experiment file, and in which words."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.base.errors import Mistakes
from bench.experiments import Experiment, Known, dump, load_experiment
from bench.experiments.schema import METRICS, TABLES
from strategies.base import Levels
from tests.experiments.known import HEAD, MANY_GATED, Load, mistakes, parse_recovery

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
        "experiment.strategies[0].levels[0].threshold: inf is not from -1e+06 to 1e+06: a strategy's knob."
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
    "quality.num_images=1": (
        "quality.num_images: 1 is not a whole number from 2 to 1,000,000: features are kept in memory."
    ),
    "quality.metrics=['fdi']": "quality.metrics[0]: no metric 'fdi'. Did you mean 'fid'?",
    "quality.extractor=vgg": "quality.extractor: no extractor 'vgg'. Known: workload, lenet.",
    "latency.devices=['gpu']": "latency.devices[0]: 'gpu' is not 'cpu' or 'cuda'.",
    "latency.batches=[0]": "latency.batches[0]: 0 is not a whole number from 1 to 65,536: inputs of one call.",
    "latency.backends=['eagre']": "latency.backends[0]: no backend 'eagre'. Did you mean 'eager'?",
    "latency.enabled=1": "latency.enabled: 1 is not true or false.",
    "report.reference=l2-weight-global": (
        "report.reference: no strategy 'l2-weight-global'. Did you mean 'l1-weight-global'?"
    ),
    "gate=3": "gate: 3 is not a table.",
    "gate.since=2020-01-01": "gate.since: no such key. Known: cells, latency, metrics, margins, prior, error, "
    "processes, max_seconds.",
    "gate.error=nan": "gate.error: nan is not from 1e-09 to 0.499: a probability.",
    "gate.error=0.5": "gate.error: 0.5 is not from 1e-09 to 0.499: a probability.",
    "gate.margins.fdi=0.1": "gate.margins.fdi: no such key. Did you mean 'fid'?",
    "gate.margins.is=0": "gate.margins.is: 0.0 is not from 1e-09 to 0.999999: a relative difference.",
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
