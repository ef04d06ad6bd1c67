"""A quantised network as it would be stored: a code of a few bits for each weight, and what each code stands for."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

import numpy as np
import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from strategies.layers import place_of, prunable_layers

CODED_VERSION = "bytes-coded-1"


def pack(model: nn.Module, codes: Mapping[str, Tensor]) -> bytes:
    """``model``'s state dict as safetensors, the weights of ``codes`` as packed codes and a table of float32 values.

    A layer with L different codes takes ``ceil(log2 L)`` bits a weight, rounded up to whole bytes at its end.
    """
    layers = prunable_layers(model)
    # The names of a state dict: a shared tensor may stand under another one first.
    coded = {f"{name}.weight": (layers[name].weight.detach().cpu().float(), codes[name].cpu()) for name in codes}
    stored: dict[str, Tensor] = {}
    names: dict[Hashable, str] = {}
    for key, tensor in model.state_dict().items():
        if (first := names.setdefault(place_of(tensor), key)) != key:
            stored[f"{key}:as:{first}"] = torch.empty(0)  # a tensor that was stored under another name
            continue
        if key not in coded:
            stored[key] = tensor.detach().cpu().contiguous().clone()
            continue
        weight, code = coded[key]
        used, numbers = torch.unique(code.flatten(), return_inverse=True)
        values = torch.stack([weight.flatten()[numbers == k][0] for k in range(len(used))])
        bits = max(1, int(np.ceil(np.log2(len(used)))))
        digits = (numbers.numpy()[:, None] >> np.arange(bits)) & 1
        stored[f"{key}:codes"] = torch.from_numpy(np.packbits(digits.astype(np.uint8).reshape(-1)))
        stored[f"{key}:values"] = values
        stored[f"{key}:shape"] = torch.tensor(weight.shape)
    return save(stored)


def unpack(content: bytes) -> dict[str, Tensor]:
    """The state dict that `pack` stored."""
    stored = load(content)
    state = {key: tensor for key, tensor in stored.items() if ":" not in key}
    for key in {key.split(":")[0] for key in stored if key.endswith(":codes")}:
        values = stored[f"{key}:values"]
        shape = torch.Size(stored[f"{key}:shape"].tolist())
        bits = max(1, int(np.ceil(np.log2(len(values)))))
        digits = np.unpackbits(stored[f"{key}:codes"].numpy(), count=shape.numel() * bits).reshape(-1, bits)
        numbers = (digits.astype(np.int64) << np.arange(bits)).sum(1)
        state[key] = values[torch.from_numpy(numbers)].view(shape)
    return state | {key.split(":")[0]: state[key.split(":")[2]] for key in stored if ":as:" in key}
