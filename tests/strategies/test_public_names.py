"""The names for who adds a strategy."""

from __future__ import annotations

import subprocess
import sys

from tests.helpers.processes import SOURCES


def test_no_module_takes_the_place_of_a_public_name() -> None:
    """A module of such a name would stand there as soon as anything imports it."""
    code = (
        "import types, strategies, strategies.builtin\n"
        "from strategies.plugins import installed_plugins\n"
        "installed_plugins()\n"
        "wrong = [n for n in strategies.__all__ if isinstance(getattr(strategies, n), types.ModuleType)]\n"
        "assert not wrong, wrong\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": SOURCES}, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stderr
