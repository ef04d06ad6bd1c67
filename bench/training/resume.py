"""The state of an unfinished training in a folder, so that a later process can go on with it."""

from __future__ import annotations

import io
from pathlib import Path

import torch

from bench.files import write_atomically
from bench.training.loop import GanTraining

STATE = "training.pt"


def save_training(folder: Path, training: GanTraining) -> None:
    """Write the state of ``training``; what was there before is replaced at once or not at all."""
    buffer = io.BytesIO()
    torch.save(training.state_dict(), buffer)
    write_atomically(folder / STATE, buffer.getvalue())


def load_training(folder: Path, training: GanTraining) -> bool:
    """Continue ``training`` from the state in ``folder``.

    Returns:
        Whether there was one. A damaged file raises whatever torch raises.
    """
    path = folder / STATE
    if not path.exists():
        return False
    training.load_state_dict(torch.load(path, map_location=training.device, weights_only=True))
    return True
