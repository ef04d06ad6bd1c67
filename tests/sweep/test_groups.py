"""How cells are dealt out to workers, and how long they are expected to take."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from bench.base.errors import UserError
from bench.base.limits import Limits
from bench.executors import Group
from bench.records import Cell
from bench.records.store import RunStore
from bench.sweep.cell import run_cell
from bench.sweep.estimate import Speeds, estimate_latency_seconds, estimate_seconds
from bench.sweep.groups import cell_cost, groups, image_cost
from bench.sweep.plan import Plan, make_plan, settings_of
from bench.sweep.resolved import ResolvedCell
from bench.sweep.run import missing_cells
from bench.sweep.workshop import Workshop
from tests.helpers.cells import experiment
from tests.helpers.scored import count_scores
from tests.helpers.sweeps import Sweeps


def plan_of(folder: Path, **fields: Any) -> tuple[Plan, Workshop]:
    thing = experiment(folder, **fields)
    shop = Workshop(settings_of(thing))
    return make_plan(thing, shop.settings, shop), shop


@pytest.fixture
def cells(tmp_path: Path) -> list[ResolvedCell]:
    plan, _ = plan_of(
        tmp_path,
        strategies=["l1-weight-global", "random-weight-global", "l1-channel-global"],
        sparsities=[0.1, 0.3, 0.5, 0.7, 0.9],
        seeds=[0, 1, 2],
        recovery=["none", "finetune-2"],
    )
    return list(plan.todo)


def steps(todo: ResolvedCell) -> float:
    return 10.0 if todo.cell.recovery == "finetune-2" else 1.0


def draws(cell: Cell) -> bool:
    return cell.strategy.startswith("random")


def dealt(cells: list[ResolvedCell]) -> tuple[Group, ...]:
    return groups(cells, steps)


def test_groups_lose_no_cell_and_repeat_none(cells: list[ResolvedCell]) -> None:
    found = [planned.cell.label for group in dealt(cells) for planned in group.items]
    assert sorted(found) == sorted(todo.cell.label for todo in cells)


def test_cells_of_one_network_are_one_group(cells: list[ResolvedCell]) -> None:
    keys = [{planned.keys.prune for planned in group.items} for group in dealt(cells)]
    assert all(len(of_group) == 1 for of_group in keys)
    assert len(keys) == len(set.union(*keys)) < len(cells)


def test_groups_of_one_kin_share_a_score(cells: list[ResolvedCell]) -> None:
    """Over levels and recoveries; over seeds where the strategy does not draw."""
    kin: dict[str, set[tuple[str, int | None]]] = {}
    for group in dealt(cells):
        scores = {(p.cell.strategy, p.cell.seed if draws(p.cell) else None) for p in group.items}
        kin.setdefault(group.kin, set()).update(scores)
    assert all(len(scores) == 1 for scores in kin.values())
    assert len(kin) == len(set.union(*kin.values())) == 1 + 2 + 3


def test_each_score_is_made_once_by_who_carries_out_a_kin(
    cells: list[ResolvedCell], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    scored = count_scores(monkeypatch)
    shop = plan_of(tmp_path)[1]
    whole = [todo for todo in cells if todo.cell.recovery == "none"]
    for group in sorted(dealt(whole), key=lambda group: group.kin):
        for planned in group.items:
            run_cell(planned.cell, shop)
    assert scored.count("random-weight-global") == 3
    assert scored.count("l1-weight-global") == scored.count("l1-channel-global") == 1


def test_the_seeds_of_a_cut_come_in_a_row(cells: list[ResolvedCell]) -> None:
    kin: dict[str, list[str]] = {}
    for group in dealt(cells):
        kin.setdefault(group.kin, []).extend(planned.cell.level_label for planned in group.items)
    assert all(levels == sorted(levels) for levels in kin.values())


def test_a_cell_waits_for_the_dense_one_that_it_is_compared_with_where_that_is_missing(
    cells: list[ResolvedCell],
) -> None:
    def of_dense(group: Group) -> bool:
        return {planned.cell.strategy for planned in group.items} == {"dense"}

    made = {
        (p.cell.recovery, p.cell.seed): group.name for group in dealt(cells) if of_dense(group) for p in group.items
    }
    assert all(made.values())
    for group in dealt(cells):
        waits_for = {made[p.cell.recovery, p.cell.seed] for p in group.items}
        assert group.after == (set() if of_dense(group) else waits_for)
    others = [todo for todo in cells if todo.cell.strategy != "dense"]
    assert not any(group.after for group in dealt(others))


def test_a_group_costs_what_its_cells_cost(cells: list[ResolvedCell]) -> None:
    assert sum(group.cost for group in dealt(cells)) == sum(steps(todo) for todo in cells)


def test_nothing_to_do_has_no_groups() -> None:
    assert groups([], steps) == ()


def test_smaller_networks_are_expected_to_be_faster_and_masked_ones_are_not(tmp_path: Path) -> None:
    plan, shop = plan_of(
        tmp_path, strategies=["l1-weight-global", "l1-channel-global"], sparsities=[0.1, 0.5, 0.9], recovery=["none"]
    )
    cost = cell_cost(shop)
    dense, *others = plan.todo
    masked, smaller = ([cost(todo) for todo in others if kind in todo.cell.strategy] for kind in ("weight", "channel"))
    assert masked == [cost(dense)] * 3
    assert cost(dense) > smaller[0] > smaller[1] > smaller[2] > 0


def test_an_estimate_grows_with_the_work_and_shrinks_with_the_jobs(tmp_path: Path) -> None:
    plan, _ = plan_of(tmp_path, sparsities=[0.3, 0.5, 0.7])
    speeds = Speeds(plan)
    whole = estimate_seconds(speeds, plan.todo, 1)
    assert estimate_seconds(speeds, plan.todo[:2], 1) == pytest.approx(whole / 2)
    assert estimate_seconds(speeds, plan.todo, 2) == pytest.approx(whole / 2)
    assert estimate_seconds(speeds, [], 2) == 0


@pytest.mark.parametrize(("had", "disturbed"), [(1.0, None), (0.81, None), (0.79, 0.79), (0.25, 0.25)])
def test_an_estimate_is_of_the_time_that_the_probe_had_itself_and_says_when_it_shared_the_core(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, had: float, disturbed: float | None
) -> None:
    wall = iter(float(tick) for tick in range(1000))
    own = iter(had * tick for tick in range(1000))
    monkeypatch.setattr("bench.sweep.estimate.time.perf_counter", lambda: next(wall))
    monkeypatch.setattr("bench.sweep.estimate.time.thread_time", lambda: next(own))
    plan, _ = plan_of(tmp_path)
    speeds = Speeds(plan)
    seconds = speeds.of(("dummy", "shipped")) * 100 * image_cost(speeds.shop, plan.todo[0].gan)
    assert seconds == pytest.approx(had)
    assert speeds.disturbed == pytest.approx(disturbed)


def test_a_generator_that_never_comes_back_ends_the_estimate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan, _ = plan_of(tmp_path)
    monkeypatch.setattr("bench.sweep.estimate._probe", lambda *_: time.sleep(60))
    with pytest.raises(UserError, match=r"'dummy', checkpoint 'shipped': took longer than 0\.2 s \(--cell-seconds\)"):
        Speeds(plan, Limits(seconds=0.2)).of(("dummy", "shipped"))


def test_the_estimated_timings_are_those_that_a_run_then_takes(
    sweep: Sweeps, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.measure.blocks._switches", lambda: 0)  # what others do here must not spoil a timing
    monkeypatch.setattr("bench.sweep.estimate.expected_seconds", lambda call: 1.0 if call > 0 else 0.0)
    strategies = ["l1-weight-global", "l1-channel-uniform", "random-channel-uniform"]

    def estimated(*more: str, sparsities: tuple[float, ...] = (0.3, 0.6)) -> float:
        fields = {"strategies": [*strategies, *more], "sparsities": sparsities, "seeds": [0, 1], "latency": True}
        plan, _ = plan_of(tmp_path, **fields)
        store = RunStore(sweep.results / "runs" / "mini" / "main")
        return estimate_latency_seconds(plan, Speeds(plan), missing_cells(plan, store, sweep.note), store)

    expected = estimated()
    sweep(strategies=strategies, sparsities=[0.3, 0.6], seeds=[0, 1], latency=True)
    assert [total for name, total in sweep.phases if name == "latency"] == [expected] == [3]
    assert estimated() == 0
    assert estimated(sparsities=(0.3, 0.8)) == 1
    assert estimated("l1-channel-global") == 2
    (sweep.results / "runs" / "mini" / "main" / "latency" / next(iter(sweep.files("latency")))).unlink()
    assert estimated() == 1


def test_a_plan_counts_a_damaged_record_as_missing(sweep: Sweeps, tmp_path: Path) -> None:
    store = RunStore(sweep().folder)
    sweep.record("l1-weight").write_text("{")
    plan, _ = plan_of(tmp_path)
    notes: list[str] = []
    assert [todo.cell.label for todo in missing_cells(plan, store, notes.append)] == [
        "dummy l1-weight-global @0.5 none seed 0"
    ]
    assert len(notes) == 1
