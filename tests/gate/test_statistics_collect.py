"""Collecting for `make calibrate-statistics`: sums that add up, parts that merge, a kill that costs a seed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.base.errors import UserError
from bench.gate.calibration.rows import read_rows
from bench.gate.calibration.statistics import collect as collecting
from bench.gate.calibration.statistics.cells import WORKLOADS, Variant, variants
from bench.gate.calibration.statistics.collect import COLUMNS, collect, merge, numbers_file, sums_file
from bench.gate.calibration.statistics.sums import Sums, joined, read_sums, sum_of, write_sums
from bench.statistics import Contributions
from bench.tasks.generation.gaussian import fit


def features(seed: int, count: int = 50) -> np.ndarray:
    return np.random.default_rng(seed).normal(3, [1, 2, 5], (count, 3)).astype(np.float32)


def test_sums_of_parts_give_the_gaussian_of_all() -> None:
    parts = [features(i, 30 + i) for i in range(3)]
    total = sum_of(parts[0]) + sum_of(parts[1]) + sum_of(parts[2])
    whole = fit(np.concatenate(parts))
    assert total.count == whole.count
    np.testing.assert_allclose(total.gaussian.mean, whole.mean, rtol=1e-9)
    np.testing.assert_allclose(total.gaussian.covariance, whole.covariance, rtol=1e-9)


def test_sums_survive_the_disk_and_take_each_seed_once(tmp_path: Path) -> None:
    sums = Sums({}, {}).added("w", 3, {"dense@0": sum_of(features(3))}).added("w", 4, {"dense@0": sum_of(features(4))})
    assert sums.added("w", 3, {"dense@0": sum_of(features(3))}) is sums
    write_sums(tmp_path / "a.npz", sums)
    again = read_sums(tmp_path / "a.npz")
    assert again.seeds == {"w": frozenset({3, 4})}
    found, expected = again.sums["w", "dense@0"], sums.sums["w", "dense@0"]
    assert found.count == 100
    np.testing.assert_array_equal(found.mean, expected.mean)
    np.testing.assert_allclose(found.scatter, expected.scatter, rtol=1e-12)
    with pytest.raises(ValueError, match=r"\[3, 4\] are in two parts"):
        joined([sums, again])


def test_damaged_sums_are_said(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(b"nothing of the kind")
    with pytest.raises(UserError, match="damaged"):
        read_sums(tmp_path / "a.npz")


@pytest.mark.parametrize("workload", WORKLOADS)
def test_networks_have_names_of_their_own_and_twins_a_partner(workload: str) -> None:
    found = variants(workload)
    assert len({variant.label for variant in found}) == len(found)
    labels = {variant.label for variant in found}
    for variant in found:
        assert variant.kind != "twin" or variant.label.removesuffix("~twin") in labels
    assert len({Variant("dense", 0.0, kind).made_with(7) for kind in ("drawn", "twin", "fixed")}) == 3


def _measured(shop: object, workload: str, seed: int) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    row = {column: float(seed) for column in COLUMNS} | {"workload": workload, "seed": seed, "network": "dense@0"}
    return [row | {"varies": "eval"} | {f"paired {name}": "" for name in (*collecting.PAIRED, *collecting.PARTS)}], {
        "dense@0": sum_of(features(seed))
    }


def test_collecting_continues_and_parts_merge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collecting, "measured", _measured)
    for part, seeds in (("", range(2)), ("a", range(2, 3)), ("b", range(3, 5))):
        done = list(collect(tmp_path, part, WORKLOADS[:1], seeds, num_images=10))
        assert [seed for seed, _ in done] == list(seeds)
        assert list(collect(tmp_path, part, WORKLOADS[:1], seeds, num_images=10)) == []
    assert merge(tmp_path, "") == 5
    assert list(read_rows(numbers_file(tmp_path, ""), COLUMNS)["seed"]) == [0, 1, 2, 3, 4]
    sums = read_sums(sums_file(tmp_path, ""))
    assert sums.seeds == {WORKLOADS[0]: frozenset(range(5))}
    whole = fit(np.concatenate([features(seed) for seed in range(5)]))
    np.testing.assert_allclose(sums.sums[WORKLOADS[0], "dense@0"].gaussian.covariance, whole.covariance, rtol=1e-9)
    assert merge(tmp_path, "") == 5  # once more: what is there already is not put in again


def test_a_process_killed_between_its_two_files_adds_no_seed_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collecting, "measured", _measured)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as context:
        context.setattr(collecting, "add_rows", killed)
        with pytest.raises(KeyboardInterrupt):
            list(collect(tmp_path, "", WORKLOADS[:1], range(1), num_images=10))
    assert len(list(collect(tmp_path, "", WORKLOADS[:1], range(1), num_images=10))) == 1
    assert read_sums(sums_file(tmp_path, "")).sums[WORKLOADS[0], "dense@0"].count == 50
    assert len(read_rows(numbers_file(tmp_path, ""), COLUMNS)) == 1


def test_what_is_kept_of_pairs_is_in_the_order_of_the_networks() -> None:
    rng = np.random.default_rng(0)
    before = []
    found = {}
    for kind in ("drawn", "fixed", "twin"):
        found = {
            name: Contributions(100, rng.normal(size=100), rng.normal(size=100), rng.normal(size=10))
            for name in collecting.PAIRED
        }
        before.append((Variant("dense", 0.0, kind), found))
    texts = collecting._paired(*before.pop(), before)
    # The twin is compared with the drawn network alone.
    difference = found["fid-inf"].linear - before[0][1]["fid-inf"].linear
    assert float(texts["paired second"]) > 0
    assert len(texts["paired fid-inf"].split()) == 1
    assert difference.var(ddof=1) / 100 > 0
