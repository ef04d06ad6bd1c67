"""What identifies a result: the same key if and only if the same number would come out."""

from __future__ import annotations

import dataclasses
import importlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.base.code import Code, digest
from bench.measure.backends import BACKENDS
from bench.records import Cell, Keys
from bench.sweep.closure import NAMES_ONLY
from bench.sweep.keys import cell_keys, latency_key, streams
from bench.training.recovery import parse_recovery
from bench.workloads.base import InputSpec, Workload
from bench.workloads.builtin import DUMMY, MNIST_MLP
from strategies.base import Criterion
from strategies.builtin import DENSE, STRATEGIES
from strategies.composition import Strategy
from strategies.constraining import constrained
from strategies.constraints import Constraints
from strategies.schedules.soft import SoftHooks

VERSIONS = {"fid": "frechet-1/judge/n100", "is": "is-1/judge/n100"}


def cell(strategy: str = "l1-weight-global", **changes: Any) -> Cell:
    given = {"workload": "dummy", "strategy": strategy, "level": {"sparsity": 0.5}, "recovery": "none", "seed": 0}
    return Cell.model_validate(given | changes)


def keys(
    strategy: str = "l1-weight-global",
    *,
    workload: Workload = DUMMY,
    checkpoint: str = "abc",
    data: str = "images",
    versions: dict[str, str] = VERSIONS,
    thing: Strategy | None = None,
    earlier: dict[str, str] | None = None,
    **changes: Any,
) -> Keys:
    one = cell(strategy, **changes)
    return cell_keys(
        one,
        workload=workload,
        checkpoint=checkpoint,
        data=data,
        strategy=thing or (None if strategy == DENSE else STRATEGIES[strategy]),
        recovery=parse_recovery(one.recovery),
        metric_versions=versions,
        earlier=earlier,
    )


def prune_keys(strategy: str, seeds: int = 3, **changes: Any) -> set[str]:
    return {keys(strategy, seed=seed, **changes).prune for seed in range(seeds)}


# Seeds enter only through the streams that are used.


@pytest.mark.parametrize("strategy", ["l1-weight-global", "l1-channel-global", DENSE])
def test_without_randomness_every_seed_prunes_the_same_network_and_judges_it_on_other_latents(strategy: str) -> None:
    assert len(prune_keys(strategy)) == 1
    assert len({keys(strategy, seed=seed).eval for seed in range(3)}) == 3


@pytest.mark.parametrize("strategy", ["random-weight-global", "random-channel-uniform"])
def test_a_random_strategy_prunes_another_network_for_each_seed(strategy: str) -> None:
    assert len(prune_keys(strategy)) == 3


@pytest.mark.parametrize(
    ("workload", "recovery", "networks"),
    [
        (DUMMY, "none", 1),
        (DUMMY, "bn-recalibrate", 3),
        (DUMMY, "finetune-5", 3),
        (MNIST_MLP, "none", 1),
        (MNIST_MLP, "bn-recalibrate", 1),
        (MNIST_MLP, "finetune-5", 3),
    ],
    ids=lambda value: value.name if isinstance(value, Workload) else str(value),
)
def test_a_recovery_depends_on_the_seed_only_where_it_draws(workload: Workload, recovery: str, networks: int) -> None:
    assert len(prune_keys("l1-weight-global", workload=workload, recovery=recovery)) == networks


@pytest.mark.parametrize(
    ("strategy", "recovery", "expected"),
    [
        (DENSE, "none", set()),
        (DENSE, "bn-recalibrate", {"calibrate"}),
        ("l1-weight-global", "none", set()),
        ("random-weight-global", "none", {"prune"}),
        ("random-weight-global", "finetune-5", {"prune", "train", "calibrate"}),
    ],
)
def test_the_streams_of_a_cell(strategy: str, recovery: str, expected: set[str]) -> None:
    thing = None if strategy == DENSE else STRATEGIES[strategy]
    assert streams(thing, parse_recovery(recovery), DUMMY) == expected


@pytest.mark.parametrize("need", ["inputs", "data", "discriminator"])
def test_a_criterion_that_draws_inputs_or_images_depends_on_the_seed(need: str) -> None:
    l1 = STRATEGIES["l1-weight-global"]
    thing = replace(l1, criterion=replace(l1.criterion, needs=frozenset({need})))
    assert streams(thing, parse_recovery("none"), DUMMY) == {"prune"}


# What a definition is made of.

BASE: dict[str, Any] = {"recovery": "finetune-5"}


def changed_recipe(**changes: Any) -> Workload:
    return replace(DUMMY, recipe=replace(DUMMY.recipe, spec=replace(DUMMY.recipe.spec, **changes)))


@pytest.mark.parametrize(
    "change",
    [
        {"level": {"sparsity": 0.6}},
        {"target": "macs"},
        {"recovery": "finetune-6"},
        {"recovery": "finetune-5-d.frozen"},
        {"recovery": "none"},
        {"checkpoint": "abd"},
        {"seed": 1},
        {"strategy": "l1-weight-uniform"},
        {"strategy": "random-weight-global"},
        {"strategy": "l1-channel-uniform"},
        {"strategy": DENSE},
        {"workload": replace(DUMMY, inputs=InputSpec(latent=9))},
        {"workload": replace(DUMMY, inputs=InputSpec(latent=8, distribution="uniform"))},
        {"workload": changed_recipe(lr=1e-3)},
        {"workload": changed_recipe(fake_weight=2.0)},
    ],
    ids=str,
)
def test_whatever_changes_the_network_changes_both_keys(change: dict[str, Any]) -> None:
    base, other = keys(**BASE), keys(**(BASE | change))
    assert base.prune != other.prune
    assert base.eval != other.eval


def test_the_allocations_of_one_name_are_told_apart_by_their_formula() -> None:
    channel = STRATEGIES["l1-channel-global"]
    plain = replace(channel, allocation=STRATEGIES["l1-weight-global"].allocation)
    assert channel.allocation.name == plain.allocation.name
    assert keys(thing=channel).prune != keys(thing=plain).prune


def test_a_schedule_is_part_of_the_definition() -> None:
    everystep = STRATEGIES["rownorm-channel+everystep"]
    assert keys(thing=everystep, **BASE).prune != keys(thing=replace(everystep, schedule=None), **BASE).prune


@pytest.mark.parametrize(
    "change",
    [{"name": "other"}, {"events": lambda steps: range(1)}, {"share": lambda p: p}, {"hooks": SoftHooks}],
    ids=lambda change: next(iter(change)),
)
def test_when_and_how_much_a_schedule_prunes_and_what_else_it_does_are_part_of_the_definition(
    change: dict[str, Any],
) -> None:
    everystep = STRATEGIES["rownorm-channel+everystep"]
    assert everystep.schedule is not None
    other = replace(everystep, schedule=replace(everystep.schedule, **change))
    assert keys(thing=everystep, **BASE).prune != keys(thing=other, **BASE).prune
    cited_elsewhere = replace(everystep, schedule=replace(everystep.schedule, source="elsewhere"))
    assert keys(thing=everystep, **BASE).prune == keys(thing=cited_elsewhere, **BASE).prune


def test_a_schedule_that_draws_makes_another_network_for_each_seed() -> None:
    everystep = STRATEGIES["rownorm-channel+everystep"]
    assert everystep.schedule is not None
    drawing = replace(everystep, schedule=replace(everystep.schedule, random=True))
    assert not everystep.random and drawing.random
    assert streams(drawing, parse_recovery("none"), DUMMY) == {"prune"}


def test_a_new_version_of_a_metric_changes_the_eval_key_and_not_the_prune_key() -> None:
    base, other = keys(), keys(versions=VERSIONS | {"fid": "frechet-2/judge/n100"})
    assert base.prune == other.prune
    assert base.eval != other.eval


def test_the_order_of_the_metrics_does_not_matter() -> None:
    assert keys() == keys(versions=dict(reversed(VERSIONS.items())))


def test_a_key_is_the_same_every_time() -> None:
    assert keys(**BASE) == keys(**BASE)


# Default values do not enter.


def test_a_default_that_is_written_out_is_the_default() -> None:
    assert keys() == keys(target="params")


def test_the_recipe_does_not_matter_to_what_is_not_trained() -> None:
    assert keys() == keys(workload=changed_recipe(lr=1e-3))
    assert keys(recovery="bn-recalibrate") == keys(recovery="bn-recalibrate", workload=changed_recipe(lr=1e-3))


def test_the_name_and_summary_of_a_workload_do_not_matter() -> None:
    assert keys(**BASE) == keys(workload=replace(DUMMY, summary="other words"), **BASE)


def test_a_strategy_by_another_name_is_the_same_strategy() -> None:
    l1 = STRATEGIES["l1-weight-global"]
    assert keys() == keys(thing=replace(l1, name="han-2015", criterion=replace(l1.criterion, source="elsewhere")))


@pytest.mark.parametrize("value", [DUMMY.inputs, DUMMY.recipe.spec], ids=["inputs", "spec"])
def test_a_new_field_with_its_default_invalidates_nothing(value: Any) -> None:
    wider_type = dataclasses.make_dataclass(
        type(value).__name__, [("novelty", int, dataclasses.field(default=0))], bases=(type(value),), frozen=True
    )
    wide = wider_type(**dataclasses.asdict(value))

    def workload(thing: Any) -> Workload:
        if isinstance(thing, InputSpec):
            return replace(DUMMY, inputs=thing)
        return replace(DUMMY, recipe=replace(DUMMY.recipe, spec=thing))

    assert keys(workload=workload(wide), **BASE) == keys(workload=workload(value), **BASE)
    assert keys(workload=workload(replace(wide, novelty=1)), **BASE) != keys(workload=workload(value), **BASE)


# Code. What of it counts, and which of it: `tests/sweep/test_closure.py`.

CRITERION = """
from __future__ import annotations

from plugin_of_a_test.helper import power


def score(context):
    return {name: power(weight) + 1 for name, weight in context.weights()}
"""

HELPER = """
def power(weight):
    return weight ** 2
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package of a user's own on the path."""
    package = tmp_path / "plugin_of_a_test"
    package.mkdir()
    for name, text in (("__init__.py", ""), ("criterion.py", CRITERION), ("helper.py", HELPER)):
        (package / name).write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    yield package
    for name in [name for name in sys.modules if name.split(".")[0] == "plugin_of_a_test"]:
        del sys.modules[name]


def plugin_hash() -> str:
    return Code().hash(Code().closure(["plugin_of_a_test.criterion"]))


def hash_after(path: Path, change: Callable[[str], str]) -> str:
    text = path.read_text(encoding="utf-8")
    changed = change(text)
    assert changed != text
    path.write_text(changed, encoding="utf-8")
    return plugin_hash()


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text + "\n# a comment\n",
        lambda text: '"""What it is."""\n' + text,
        lambda text: text.replace("    return", '    """Formula."""\n    return'),
        lambda text: text.replace(" + 1", "   +   1"),
        lambda text: text.replace("def score(context):", "def score(\n    context,\n):"),
    ],
    ids=["comment", "module-docstring", "docstring", "spaces", "lines"],
)
def test_words_and_formatting_do_not_change_a_definition(plugin: Path, change: Callable[[str], str]) -> None:
    before = plugin_hash()
    assert hash_after(plugin / "criterion.py", change) == before


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace(" + 1", " - 1"),
        lambda text: text.replace(" + 1", " + 2"),
        lambda text: text.replace("power(weight)", "power(weight.abs())"),
        lambda text: text + "\nEPSILON = 0\n",
    ],
    ids=["operator", "constant", "call", "new-name"],
)
def test_a_change_of_what_is_computed_changes_it(plugin: Path, change: Callable[[str], str]) -> None:
    before = plugin_hash()
    assert hash_after(plugin / "criterion.py", change) != before


@pytest.mark.parametrize(
    "line",
    [
        "from plugin_of_a_test.helper import power",
        "from plugin_of_a_test import helper",
        "import plugin_of_a_test.helper",
        "from .helper import power",
        "from . import helper",
    ],
)
def test_a_change_in_a_module_that_a_plug_in_imports_from_itself_changes_it(plugin: Path, line: str) -> None:
    before = hash_after(
        plugin / "criterion.py", lambda text: text.replace(CRITERION.splitlines()[3], line) + "\nx = 0\n"
    )
    assert hash_after(plugin / "helper.py", lambda text: text.replace("**", "*")) != before


def test_a_plug_ins_code_is_part_of_the_key_of_its_strategies_and_may_change_between_two(plugin: Path) -> None:
    score = importlib.import_module("plugin_of_a_test.criterion").score
    thing = replace(STRATEGIES["l1-weight-global"], criterion=Criterion("own", score, "test", "w ** 2"))
    before = keys(thing=thing)
    hash_after(plugin / "helper.py", lambda text: text.replace("**", "*"))
    assert keys(thing=thing).prune != before.prune


def test_the_catalogue_defines_nothing_and_a_criterion_brings_what_it_is_made_of() -> None:
    reached = Code().closure(["strategies.granularity.channel"], NAMES_ONLY)
    assert {"strategies.granularity.coupling", "strategies.slicing", "strategies.layers", "strategies.base"} <= reached
    assert "strategies.builtin" not in reached
    assert not any(name.startswith("torch") for name in reached)


def test_a_module_without_source_is_not_an_error() -> None:
    assert Code().hash(["math"]) == Code().hash(["math"])


def test_an_earlier_state_of_the_training_matters_to_strategies_that_go_back_to_it() -> None:
    lottery = next(name for name in STRATEGIES if "rewind" in STRATEGIES[name].needs)
    states = [{"rewind-generator": "a"}, {"rewind-generator": "b"}]
    assert len({keys(lottery, earlier=state, **BASE).prune for state in states}) == 2
    assert len({keys(earlier=state, **BASE).prune for state in states}) == 1


def test_training_images_matter_to_strategies_that_look_at_them() -> None:
    l1 = STRATEGIES["l1-weight-global"]
    curious = replace(l1, criterion=replace(l1.criterion, needs=frozenset({"data"})))
    assert keys(thing=curious, data="others").prune != keys(thing=curious).prune


# The rest.


def test_a_digest_does_not_depend_on_the_order_of_keys_but_on_values_and_types() -> None:
    assert digest({"a": 1, "b": [1, 2]}) == digest({"b": [1, 2], "a": 1})
    assert len({digest(v) for v in ({"a": 1}, {"a": "1"}, {"a": 1.5}, {"a": None}, {"a": [1]}, {"b": 1})}) == 6


def test_a_digest_refuses_what_json_cannot_tell() -> None:
    with pytest.raises(ValueError, match="JSON"):
        digest({"a": float("nan")})


def test_everything_that_a_timing_depends_on_changes_its_key() -> None:
    base: dict[str, Any] = {
        "inputs": "8",
        "device": "cpu",
        "backend": "eager",
        "prepare": BACKENDS["eager"].prepare,
        "batch": 1,
        "dtype": "fp32",
        "threads": 1,
    }
    other: dict[str, Any] = {
        "inputs": "9",
        "device": "gpu",
        "backend": "onnx",
        "prepare": BACKENDS["onnx"].prepare,
        "batch": 2,
        "dtype": "bf16",
        "threads": 2,
    }
    found = {latency_key("d", "p", **base), latency_key("p", "d", **base), latency_key("d", "d", **base)}
    found |= {latency_key("d", "p", **(base | {name: value})) for name, value in other.items()}
    assert len(found) == 3 + len(other)


def test_other_training_images_matter_only_to_what_is_trained() -> None:
    assert keys(data="other") == keys()
    assert keys(recovery="finetune-4", data="other").prune != keys(recovery="finetune-4").prune


# Constraints.


def test_without_constraints_nothing_of_them_is_in_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr("bench.sweep.keys.digest", lambda value: (seen.append(value), "x")[1])
    keys("l1-channel-global")
    plain = seen[0]
    assert "constraints" not in plain
    keys("l1-channel-global", constraints={"multiple": 2})
    assert seen[2] == plain | {"constraints": {"multiple": 2}}


def test_constraints_change_the_network_and_their_code_is_in_the_key() -> None:
    plain, table = STRATEGIES["l1-channel-global"], {"multiple": 2}
    found = constrained(plain, Constraints.of(table))
    one = keys("l1-channel-global", thing=found, constraints=table)
    assert len({one.prune, keys("l1-channel-global").prune, keys("l1-channel-global", constraints=table).prune}) == 3
    other = keys("l1-channel-global", thing=found, constraints={"multiple": 4})
    assert one.prune != other.prune
    assert one.prune == keys("l1-channel-global", thing=found, constraints={"multiple": 2}, seed=1).prune


def test_the_order_in_which_constraints_were_written_is_in_no_key() -> None:
    one = {"cap": 0.5, "exclude": ["a", "b"]}
    other = {"exclude": ["b", "a"], "cap": 0.5}
    assert keys(constraints=one) == keys(constraints=other)
