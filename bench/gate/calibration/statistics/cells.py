"""Which networks are measured under many seeds, and of which pairs the common error is kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from strategies.builtin import DENSE

Kind = Literal["drawn", "twin", "fixed"]

TWIN = 100_000
"""Added to a seed: the seed that a twin is made with."""

FIXED = 200_000
"""The seed that a fixed network is made with: that of no drawn one."""


@dataclass(frozen=True)
class Variant:
    """A network of the calibration.

    ``drawn`` is made anew for each seed, as the cell of a run is. Its ``twin`` is made with another seed and judged on
    the same inputs: whatever is drawn, the two do not differ in truth. A ``fixed`` network is made once and judged
    under every seed: nothing but the evaluation inputs is drawn.
    """

    strategy: str
    sparsity: float
    kind: Kind = "drawn"

    @property
    def label(self) -> str:
        """``l1-weight-global@0.5``, ``l1-weight-global@0.5~twin``."""
        return f"{self.strategy}@{self.sparsity:g}" + ("" if self.kind == "drawn" else f"~{self.kind}")

    def made_with(self, seed: int) -> int:
        """The seed that it is made with where ``seed`` draws the inputs that it is judged on."""
        return {"drawn": seed, "twin": seed + TWIN, "fixed": FIXED}[self.kind]

    def paired(self, other: Variant) -> bool:
        """Whether the two are compared."""
        return (self.kind == "fixed") == (other.kind == "fixed")


DRAWN = (
    (DENSE, 0.0),
    ("l1-weight-global", 0.5),
    ("l1-weight-global", 0.7),
    ("taylor-weight-global", 0.5),
    ("l1-channel-global", 0.2),
    ("bnscale-channel-global", 0.2),
    ("random-weight-global", 0.2),
    ("random-weight-global", 0.4),
    ("random-channel-uniform", 0.2),
    ("random-channel-uniform", 0.3),
    ("random-channel-uniform", 0.5),
)
TWINS = ((DENSE, 0.0), ("l1-weight-global", 0.5), ("random-channel-uniform", 0.3))
FIXED_ONES = (
    (DENSE, 0.0),
    ("l1-weight-global", 0.5),
    ("l1-weight-global", 0.7),
    ("taylor-weight-global", 0.5),
    ("l1-channel-global", 0.2),
    ("random-channel-uniform", 0.3),
)

LEFT_OUT: dict[str, tuple[str, ...]] = {"mnist-mlp": ("bnscale-channel-global",)}
"""Workload -> strategies that do not fit it."""

WORKLOADS = ("mnist-dcgan", "mnist-mlp", "cifar10-cgan")

WITH_IMAGES = ("mnist-dcgan", "mnist-mlp")
"""Those whose reference is images, not statistics alone."""


def variants(workload: str) -> tuple[Variant, ...]:
    """The networks of one workload, drawn ones before twins before fixed ones."""
    kinds: tuple[tuple[Kind, tuple[tuple[str, float], ...]], ...] = (
        ("drawn", DRAWN),
        ("twin", TWINS),
        ("fixed", FIXED_ONES),
    )
    left_out = LEFT_OUT.get(workload, ())
    return tuple(
        Variant(strategy, level, kind) for kind, cells in kinds for strategy, level in cells if strategy not in left_out
    )
