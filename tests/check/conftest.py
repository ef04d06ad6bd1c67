"""The user's folder that the tests of own workloads have too."""

from __future__ import annotations

from tests.own.conftest import describe, folder

__all__ = ["describe", "folder"]
