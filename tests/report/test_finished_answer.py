"""Dense with a finish is compared with dense, and is no pruned network: the first screen says which is which."""

from __future__ import annotations

from typing import Any

from bench.report.answer import _against_dense
from bench.report.blocks import Code
from bench.tables.claim import Claim
from bench.tasks import quantity_of

FOUND: dict[str, Any] = {
    "workload": "w", "checkpoint": "shipped", "target": "params", "level": "0.5", "recovery": "none+bf16",
    "requested": 0.5, "metric": "fid-inf[judge]", "quantity": quantity_of("fid-inf"), "other": "dense", "n": 3,
    "difference": 0.0, "low": -1.0, "high": 1.0, "allowed": 2.0, "adjusted": 0.01, "varies": "eval",
}  # fmt: skip
DENSE = Claim(**FOUND, strategy="dense", achieved=0.0, bound=0.5, verdict="holds")


def said(*claims: Claim) -> str:
    parts = _against_dense(claims, {"dense", "mask"})
    return "".join(part.text if isinstance(part, Code) else str(part) for part in parts)


def test_dense_is_not_the_sparsest_network_that_is_as_good_as_dense() -> None:
    mask = Claim(**FOUND, strategy="mask", achieved=0.5, bound=9.0, verdict="not separable")
    text = said(DENSE, mask)
    assert text.startswith("no pruned network is shown to be as good as dense")
    assert "mask loses least for sure" in text and "Dense itself is, with this finish: it loses at most 0.5" in text
    assert text.endswith("Of 2 networks: 1 as good, 1 not separable.")


def test_a_pruned_network_comes_before_it() -> None:
    small = Claim(**FOUND, strategy="small", achieved=0.5, bound=1.5, verdict="holds")
    text = said(DENSE, small)
    assert text.startswith("small is the sparsest network shown to be as good as dense") and "Dense itself" not in text
