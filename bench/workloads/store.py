"""Weights on disk: safetensors, floats in half precision, checked by name, shape and hash when read."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from bench.base.errors import UserError
from bench.base.files import write_atomically
from bench.base.outside import WEIGHTS, read_bytes
from bench.base.printable import shortened


def state_hash(state: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, types, shapes and bytes of a state dict, independent of the order."""
    digest = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        digest.update(f"{name}|{tensor.dtype}|{tuple(tensor.shape)}|".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def half(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict with every floating-point tensor in float16, as it is stored."""
    return {
        name: tensor.detach().cpu().to(torch.float16 if tensor.is_floating_point() else tensor.dtype).contiguous()
        for name, tensor in state.items()
    }


def write_weights(path: Path, state: Mapping[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    """Write a state dict as safetensors, atomically. Tensors that are shared are written once for each name."""
    tensors: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, tensor in state.items():
        tensor = tensor.detach().cpu().contiguous()
        tensors[name] = tensor.clone() if tensor.data_ptr() in seen else tensor
        seen.add(tensor.data_ptr())
    write_atomically(path, save(tensors, metadata=metadata))


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read safetensors. Anything else, a pickle above all, is refused unopened.

    Raises:
        UserError: no such file, no permission, cut in half, or not safetensors.
    """
    content = read_bytes(path, WEIGHTS)
    try:
        return load(content)
    except Exception as error:  # the library's own, and what PyTorch says of types and shapes that cannot be
        reason = shortened(str(error) or type(error).__name__, 200)
        raise UserError(
            f"{path}: not a safetensors file, or damaged ({reason}). "
            "Expected weights written by `ganprune train` or `safetensors.torch.save_file`; pickles are never opened."
        ) from error


def load_into(model: nn.Module, state: Mapping[str, Tensor], place: str) -> nn.Module:
    """Load ``state`` into ``model``, floats converted to the model's type; names and shapes must agree exactly.

    Raises:
        UserError: names, shapes or values (not finite) that do not fit, with the first few of them.
    """
    own = model.state_dict()
    problems = [f"missing {name}" for name in own if name not in state]
    problems += [f"unexpected {name}" for name in state if name not in own]
    problems += [
        f"{name} is {tuple(state[name].shape)}, expected {tuple(tensor.shape)}"
        for name, tensor in own.items()
        if name in state and state[name].shape != tensor.shape
    ]
    problems += [
        f"{name} holds values that are not finite"
        for name, tensor in state.items()
        if tensor.is_floating_point() and not torch.isfinite(tensor.float()).all()
    ]
    if problems:
        more = f" and {len(problems) - 4} more" if len(problems) > 4 else ""
        raise UserError(f"{place}: does not fit {type(model).__name__}: {'; '.join(problems[:4])}{more}.")
    model.load_state_dict({name: state[name].to(tensor.dtype) for name, tensor in own.items()})
    return model
