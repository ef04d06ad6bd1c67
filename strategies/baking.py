"""Weights that are computed from other tensors before each forward pass, turned into plain weights.

Spectral and weight normalisation, in PyTorch's old form (``weight_orig`` and a hook) and as parametrisations.
What is not a plain parameter cannot be masked or cut: a mask on it would be lost in the next forward pass.
"""

from __future__ import annotations

import copy
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm


def is_plain(model: nn.Module) -> bool:
    """Whether every weight of ``model`` is a parameter of its own."""
    return not any(_hooks(module) or parametrize.is_parametrized(module) for module in model.modules())


def plain_copy(model: nn.Module) -> nn.Module:
    """A copy of ``model`` that computes the same in eval mode, with the normalised weights as plain parameters.

    Names become ``weight`` where there was ``weight_orig`` or ``parametrizations.weight.original``. In
    training mode the copy no longer normalises: the weights are what eval mode uses.
    """
    for module in model.modules():
        for hook in _hooks(module):  # what the last forward pass left there cannot be copied while it has a history
            module.__dict__[hook.name] = cast(Tensor, getattr(module, hook.name)).detach()
    copied = copy.deepcopy(model)
    for module in copied.modules():
        modes = {m: m.training for m in module.modules()}
        module.eval()  # in training mode reading the weight would move its estimate of the norm
        for hook in _hooks(module):
            wanted = _parameter(module, hook).requires_grad
            with torch.no_grad():
                hook.remove(module)
            handles = module._forward_pre_hooks
            for key in [key for key, found in handles.items() if found is hook]:
                del handles[key]
            _forget_state_hooks(module, hook)
            getattr(module, hook.name).requires_grad_(wanted)
        if parametrize.is_parametrized(module):
            _replace_parametrisations(module)
        for m, mode in modes.items():
            m.training = mode
    return copied


def _replace_parametrisations(module: nn.Module) -> None:
    """By hand: PyTorch's own removal takes the property from a class that copies of the module share."""
    found = cast(nn.ModuleDict, module.parametrizations)
    values = {
        name: nn.Parameter(
            getattr(module, name).detach().clone(), requires_grad=any(p.requires_grad for p in made_of.parameters())
        )
        for name, made_of in found.items()
    }
    del module.parametrizations
    module.__class__ = type(module).__bases__[0]
    for name, value in values.items():
        module.register_parameter(name, value)


def _hooks(module: nn.Module) -> list[SpectralNorm | WeightNorm]:
    return [hook for hook in module._forward_pre_hooks.values() if isinstance(hook, SpectralNorm | WeightNorm)]


def _parameter(module: nn.Module, hook: SpectralNorm | WeightNorm) -> nn.Parameter:
    suffix = "_orig" if isinstance(hook, SpectralNorm) else "_v"
    return cast(nn.Parameter, getattr(module, hook.name + suffix))


def _forget_state_hooks(module: nn.Module, hook: SpectralNorm | WeightNorm) -> None:
    """Saving and loading must no longer look for the tensors that the weight was made of."""
    for hooks in (module._state_dict_hooks, module._load_state_dict_pre_hooks):
        for key in [key for key, found in hooks.items() if _belongs(found, hook)]:
            del hooks[key]


def _belongs(found: object, hook: SpectralNorm | WeightNorm) -> bool:
    inner = getattr(found, "hook", found)  # PyTorch wraps the hooks of loading
    return getattr(inner, "fn", None) is hook or (
        getattr(getattr(inner, "fn", None), "name", None) == hook.name
        and type(inner).__module__ == type(hook).__module__
    )
