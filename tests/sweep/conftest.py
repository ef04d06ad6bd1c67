"""What the tests of sweeps share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.sweeps import Sweeps


@pytest.fixture
def sweep(tmp_path: Path) -> Sweeps:
    return Sweeps(tmp_path)
