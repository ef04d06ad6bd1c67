"""Names that an experiment may use in these tests, a short file, and how its mistakes are read."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bench.base.errors import Mistakes
from bench.experiments import Experiment, Known
from bench.experiments.schema import METRICS
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


def mistakes(load: Load, text: str, *overrides: str) -> list[str]:
    with pytest.raises(Mistakes) as caught:
        load(text, *overrides)
    return caught.value.mistakes
