"""Loading a text."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.experiments import Experiment, load_experiment
from tests.experiments.known import KNOWN, Load


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Loads a text as the file `mine.toml` of the current folder."""
    monkeypatch.chdir(tmp_path)

    def load_text(text: str, *overrides: str) -> Experiment:
        Path("mine.toml").write_text(text)
        return load_experiment("mine.toml", overrides, known=KNOWN)

    return load_text
