"""The leading number of very many images."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from bench.tasks.generation.gaussian import Gaussian
from bench.tasks.generation.limit import limit


def test_of_two_gaussians_in_closed_form() -> None:
    real = Gaussian(np.zeros(3), np.diag([1.0, 4.0, 9.0]), 10_000)
    made = Gaussian(np.array([1.0, 0.0, 2.0]), np.diag([4.0, 4.0, 4.0]), 10_000)
    judge = cast("Any", SimpleNamespace(reference=SimpleNamespace(train=real)))
    assert limit(judge, made, 0.5) == pytest.approx(1 + 4 + (2 - 1) ** 2 + (2 - 3) ** 2 - 0.5)
