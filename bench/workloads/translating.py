"""State dicts under other names than the network's: what PyTorch itself, or the module, knows how to read.

Modules translate what older versions saved when they load: hooks (`weight_norm`'s ``weight_g`` and ``weight_v``), or
an own ``_load_from_state_dict``. A comparison of names sees none of it, so where names do not fit PyTorch is asked.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bench.base.raised import in_words
from bench.workloads.prepare import EXTRA_STATE

ORIG, MASK = "_orig", "_mask"
"""What ``torch.nn.utils.prune`` makes of ``weight``: two tensors whose product it is."""

State = dict[str, Tensor]


@dataclass(frozen=True)
class Incompatible:
    """What PyTorch found when it loaded a state dict; empty where all went well."""

    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    error: str = ""


def tensors_only(state: Mapping[str, object]) -> State:
    """A state dict's tensors; extra state (`get_extra_state`) is left out, whatever it is."""
    return {name: value for name, value in state.items() if isinstance(value, Tensor) and not is_extra(name)}


def is_extra(name: str) -> bool:
    """Whether a name of a state dict is that of a module's extra state."""
    return name == EXTRA_STATE or name.endswith(f".{EXTRA_STATE}")


def without_masks(state: Mapping[str, Tensor], own: Collection[str]) -> State:
    """``weight`` in the place of ``weight_orig`` and ``weight_mask``, where the network has a plain ``weight``.

    It is their product, as ``torch.nn.utils.prune.remove`` makes it.
    """
    found = dict(state)
    for name in [name.removesuffix(MASK) for name in state if name.endswith(MASK)]:
        orig, mask = f"{name}{ORIG}", f"{name}{MASK}"
        made_of = orig in state and name not in state and state[orig].shape == state[mask].shape
        if made_of and name in own and not {orig, mask} & set(own):
            found[name] = found.pop(orig) * found.pop(mask)
    return found


def load(module: nn.Module, state: Mapping[str, Tensor]) -> Incompatible:
    """Load ``state`` as PyTorch does, with all hooks, and say what did not fit; the rest is loaded all the same."""
    try:
        with torch.no_grad():
            keys = module.load_state_dict(dict(state), strict=False)
    except Exception as error:  # noqa: BLE001 - hooks are somebody else's code
        return Incompatible(error=in_words(error))
    missing, unexpected = getattr(keys, "missing_keys", ()), getattr(keys, "unexpected_keys", ())
    return Incompatible(tuple(map(str, missing)), tuple(map(str, unexpected)))
