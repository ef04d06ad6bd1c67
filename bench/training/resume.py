"""An unfinished training on disk: one safetensors file, no pickle, there whole or not at all."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from bench.base.errors import UserError
from bench.base.files import write_atomically
from bench.base.outside import check_regular, there
from bench.training.loop import GanTraining
from bench.workloads.store import state_hash

STATE_VERSION = 1

STATE_FILE = "training.safetensors"


def save_training(folder: Path, training: GanTraining, notes: Any = None) -> None:
    """Keep where ``training`` stands in ``folder``, in place of what was kept there before.

    Args:
        notes: what its owner wants back with it: numbers, texts, lists, dicts and tensors.
    """
    tensors: dict[str, Tensor] = {}
    tree = json.dumps(_plain({"training": training.state_dict(), "notes": notes}, tensors), allow_nan=False)
    metadata = {"version": str(STATE_VERSION), "tree": tree, "hash": _hash(tree, tensors)}
    write_atomically(folder / STATE_FILE, save(tensors, metadata=metadata))


def load_training(folder: Path, training: GanTraining) -> tuple[bool, Any]:
    """Put ``training``, made with the same arguments, where the one kept in ``folder`` stood.

    Returns:
        Whether there was one, and its notes.

    Raises:
        UserError: the file is damaged, or of another training.
    """
    path = folder / STATE_FILE
    if not there(path):
        return False, None
    check_regular(path)
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except Exception as error:  # the library's own, and what PyTorch says of types and shapes that cannot be
        raise _unusable(path, f"cannot be read ({error})") from error
    tree = metadata.get("tree", "")
    if metadata.get("version") != str(STATE_VERSION):
        raise _unusable(path, f"has version {metadata.get('version')!r}, expected {STATE_VERSION}")
    if metadata.get("hash") != _hash(tree, tensors):
        raise _unusable(path, "has not the content that was written: its hash differs")
    try:
        state = _filled(json.loads(tree), tensors)
        training.load_state_dict(state["training"])
    except (RuntimeError, ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise _unusable(path, f"is the state of another training ({type(error).__name__}: {error})") from error
    return True, state["notes"]


def forget_training(folder: Path) -> None:
    """Remove what was kept: the training is done."""
    (folder / STATE_FILE).unlink(missing_ok=True)


def _unusable(path: Path, problem: str) -> UserError:
    return UserError(f"{path}: {problem}. Delete it to start that training anew.")


def _hash(tree: str, tensors: dict[str, Tensor]) -> str:
    return hashlib.sha256((tree + state_hash(tensors)).encode()).hexdigest()


def _plain(value: Any, tensors: dict[str, Tensor]) -> Any:
    """``value`` as JSON that keeps types; its tensors go to ``tensors``, each with memory of its own."""
    if isinstance(value, Tensor):
        name = str(len(tensors))
        tensors[name] = value.detach().cpu().clone(memory_format=torch.contiguous_format)
        return {"tensor": name}
    if isinstance(value, dict):
        return {"dict": [[_plain(key, tensors), _plain(item, tensors)] for key, item in value.items()]}
    if isinstance(value, list | tuple):
        return {type(value).__name__: [_plain(item, tensors) for item in value]}
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": str(value)}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"a {type(value).__name__} cannot be kept: expected tensors, numbers, texts, lists and dicts")


def _filled(value: Any, tensors: dict[str, Tensor]) -> Any:
    """The value that `_plain` made ``value`` from."""
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "dict":
        return {_filled(key, tensors): _filled(item, tensors) for key, item in content}
    if kind == "float":
        return float(content)
    items = [_filled(item, tensors) for item in content]
    return tuple(items) if kind == "tuple" else items
