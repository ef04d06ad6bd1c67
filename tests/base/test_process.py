"""What somebody else's code changes of the process is named, and set back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from bench.base.errors import UserError
from bench.base.process import process_state, unchanged


def _patched(monkeypatch_target: object, name: str) -> Callable[[], None]:
    return lambda: setattr(monkeypatch_target, name, lambda *given: None)


CHANGES: dict[str, Callable[[], object]] = {
    "the default dtype from torch.float32 to torch.float64": lambda: torch.set_default_dtype(torch.float64),
    "the default device from cpu to meta": lambda: torch.set_default_device("meta"),
    "whether gradients are taken from True to False": lambda: torch.set_grad_enabled(False),
    "the number of threads from 1 to 2": lambda: torch.set_num_threads(2),
    "whether algorithms are deterministic": lambda: torch.use_deterministic_algorithms(True),
    "the precision of matrix products": lambda: torch.set_float32_matmul_precision("medium"),
    "the function torch.nn.functional.conv2d": _patched(F, "conv2d"),
    "the function torch.nn.Conv2d.forward": _patched(nn.Conv2d, "forward"),
    "the function torch.Tensor.relu": _patched(torch.Tensor, "relu"),
}


@pytest.mark.parametrize("said", CHANGES)
def test_a_change_is_named_and_set_back(said: str) -> None:
    before = process_state()
    with pytest.raises(UserError, match=said), unchanged("here"):
        CHANGES[said]()
    assert before.changes() == []
    assert F.conv2d(torch.ones(1, 1, 3, 3), torch.ones(1, 1, 3, 3)).item() == 9


def test_a_change_by_code_that_then_fails_is_set_back_and_the_failure_is_told() -> None:
    before = process_state()
    with pytest.raises(ValueError, match="mine"), unchanged("here"):
        torch.set_default_dtype(torch.float64)
        raise ValueError("mine")
    assert before.changes() == []


def test_another_folder_is_a_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"the working folder from .* to /"), unchanged("here"):
        monkeypatch.chdir("/")
    assert Path.cwd() == tmp_path


def test_what_changes_nothing_passes() -> None:
    with unchanged("here"):
        nn.Linear(2, 3)(torch.ones(1, 2)).sum().backward()
