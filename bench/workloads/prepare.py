"""From what a factory made to a network that can be loaded into, copied, cut and saved.

What PyTorch or a library leaves on a module besides its tensors is taken off here, once, for workloads and for
artefacts: masks of ``torch.nn.utils.prune``, ``torch.compile``, extra state. What cannot be cut is refused.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.nn.utils import prune

from bench.base.errors import UserError
from bench.base.raised import in_words

EXTRA_STATE = "_extra_state"
"""What a module's `get_extra_state` gives stands under this name in its state dict."""


def prepared(module: nn.Module, here: str) -> nn.Module:
    """``module``, or the one within it that was compiled, on the CPU, its state dict tensors alone.

    Args:
        here: the place, for messages.

    Raises:
        UserError: a TorchScript module, tensors without values, a state dict of something else.
    """
    try:
        inner = getattr(module, "_orig_mod", None)
        if isinstance(inner, nn.Module) and type(module).__module__.startswith("torch._dynamo"):
            module = inner
        for name, part in module.named_modules():
            if isinstance(part, torch.jit.ScriptModule):
                what = name or type(module).__name__
                raise UserError(
                    f"{here}: {what} is a TorchScript module (torch.jit.script or torch.jit.trace), whose layers "
                    "cannot be cut. Give the class that it was made of, with the state dict as its checkpoint."
                )
        module = module.cpu()
        _without_masks(module)
        _without_extra_state(module)
        _check_state(module, here)
        is_unmaterialised(module)  # asks for all parameters and buffers
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"{here}: {type(module).__name__} cannot be used: {in_words(error)}") from error
    return module


def is_unmaterialised(module: nn.Module) -> bool:
    """Whether a lazy layer of it waits for its first input to know its size."""
    return any(is_lazy(tensor) for tensor in [*module.parameters(), *module.buffers()])


def materialise(module: nn.Module, inputs: tuple[Tensor, ...], here: str) -> nn.Module:
    """``module`` after one forward pass where it has lazy layers, which learn their sizes from it.

    Raises:
        UserError: the pass fails, or does not reach all of them.
    """
    if not is_unmaterialised(module):
        return module
    given = ", ".join(f"{x.dtype} {tuple(x.shape)}".removeprefix("torch.") for x in inputs)
    modes = {part: part.training for part in module.modules()}
    try:
        with torch.no_grad():
            module.eval()(*inputs)
    except Exception as error:
        raise UserError(
            f"{here}: its lazy layers (nn.LazyLinear and the like) get their sizes from a first forward pass, which "
            f"fails on inputs {given}: {in_words(error)}"
        ) from error
    for part, mode in modes.items():
        part.training = mode
    if is_unmaterialised(module):
        waiting = [name for name, tensor in module.named_parameters() if is_lazy(tensor)]
        raise UserError(
            f"{here}: a forward pass does not reach the lazy layers of {', '.join(waiting[:4]) or 'some buffers'}, so "
            "nobody knows their sizes. Write their sizes down, or leave them out."
        )
    return module


def _without_masks(module: nn.Module) -> None:
    """``torch.nn.utils.prune`` computes a weight from two others before each pass: made plain, as its `remove` does."""
    for part in module.modules():
        for hook in list(part._forward_pre_hooks.values()):
            if isinstance(hook, prune.BasePruningMethod):
                prune.remove(part, hook._tensor_name)


def _without_extra_state(module: nn.Module) -> None:
    """State dicts without what is no tensor: nothing that is measured, cut or saved knows what it means."""
    for part in module.modules():
        if type(part).get_extra_state is not nn.Module.get_extra_state:
            part._register_state_dict_hook(_drop_extra_state)
            part.register_load_state_dict_post_hook(_never_missing)


def _drop_extra_state(part: nn.Module, state: dict[str, object], prefix: str, metadata: object) -> None:
    state.pop(prefix + EXTRA_STATE, None)


def _never_missing(part: nn.Module, keys: object) -> None:
    missing = getattr(keys, "missing_keys", [])
    missing[:] = [name for name in missing if name != EXTRA_STATE and not name.endswith(f".{EXTRA_STATE}")]


def _check_state(module: nn.Module, here: str) -> None:
    for name, value in module.state_dict().items():
        if not isinstance(value, Tensor):
            raise UserError(
                f"{here}: the state dict of {type(module).__name__} holds {type(value).__name__} under {name!r}; "
                "expected tensors alone. Quantised layers and the like cannot be pruned: give the network before it."
            )
        if value.layout != torch.strided or value.is_complex():
            kind = "complex" if value.is_complex() else str(value.layout).removeprefix("torch.")
            raise UserError(f"{here}: {name!r} is a {kind} tensor; expected dense real ones.")
