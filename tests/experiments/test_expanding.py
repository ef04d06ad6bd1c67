"""Which cells come out of an experiment."""

from __future__ import annotations

from hypothesis import given

from bench.experiments import Experiment, dump, expand
from bench.experiments.schema import StrategyChoice, Sweep
from tests.experiments.known import HEAD, KNOWN, Load
from tests.experiments.sweeps import sweeps


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
