"""Fixtures of the gate's tests."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

ALIASES = {"ganprune_base", "ganprune_head", "ganprune_test_alias"}


@pytest.fixture(autouse=True)
def _sources_are_forgotten() -> Iterator[None]:
    """Each fresh process loads a source once; tests are one process."""
    yield
    sys.meta_path[:] = [finder for finder in sys.meta_path if getattr(finder, "alias", "") not in ALIASES]
    for name in [name for name in sys.modules if name.split(".")[0] in ALIASES]:
        del sys.modules[name]
