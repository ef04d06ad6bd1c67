"""The shipped prior: of the shipped experiments' workloads, and refused where it is damaged."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.base.errors import UserError
from bench.experiments import prior, shipped_experiments


def test_it_knows_the_workloads_of_quick_at_its_number_of_images() -> None:
    found = prior.shipped_prior()
    assert set(found) == {"mnist-dcgan", "mnist-mlp"}
    for known in found.values():
        assert known.num_images == 1000 and known.metric == "fid-inf[mnist-lenet]"
        assert known.fixed is not None and known.fixed.mild is not None and known.fixed.harsh is not None
        assert 0 < known.fixed.mild < known.fixed.harsh
        assert known.pruned is not None and 0 < known.pruned.images < known.pruned.variance
    assert found["mnist-dcgan"].fixed.calibrated is not None  # type: ignore[union-attr]
    assert found["mnist-mlp"].fixed.calibrated is None  # type: ignore[union-attr]  # it has no BatchNorm


def test_it_is_no_experiment() -> None:
    assert "prior" not in shipped_experiments()


@pytest.mark.parametrize("text", ["{}", '{"workloads": {"w": {}}}', '{"workloads": []}', "["])
def test_a_damaged_one_is_named(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "prior.json").write_text(text)
    monkeypatch.setattr(prior, "FILE", tmp_path / "prior.json")
    with pytest.raises(UserError, match=r"prior\.json: damaged"):
        prior.shipped_prior.__wrapped__()
