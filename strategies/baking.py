"""Weights that are computed from other tensors before each forward pass, turned into plain weights.

Spectral and weight normalisation: PyTorch's, in the old form (``weight_orig`` and a hook) and as parametrisations,
and the two that people wrote before there was one: layers with a method ``W_`` (BigGAN's authors), and a module
around the layer that sets its weight from ``weight_bar``, ``weight_u`` and ``weight_v``.

What is not a plain parameter cannot be masked or cut: a mask on it would be lost in the next forward pass.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.conv import _ConvNd
from torch.nn.utils import parametrize
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm


def is_plain(model: nn.Module) -> bool:
    """Whether every weight of ``model`` is a parameter of its own."""
    return not any(
        _hooks(module) or parametrize.is_parametrized(module) or _makes_weight(module) or _wrapped(module)
        for module in model.modules()
    )


def plain(model: nn.Module) -> nn.Module:
    """``model`` itself where all its weights are plain, else a copy that computes the same, see `plain_copy`."""
    return model if is_plain(model) else plain_copy(model)


def require_plain(model: nn.Module) -> None:
    """Raises ValueError where something written into a generator's weight would be lost in the next forward pass.

    The benchmark loads every generator plain, so this stops only those who call a removal themselves. Masks on a
    discriminator, which stays as it is, are held on `strategies.layers.stored_weight`.
    """
    if not is_plain(model):
        raise ValueError(
            f"{type(model).__name__} normalises weights before each forward pass, which undoes what is written "
            "into them; start from strategies.baking.plain_copy of it"
        )


def plain_copy(model: nn.Module) -> nn.Module:
    """A copy of ``model`` that computes the same in eval mode, with the normalised weights as plain parameters.

    Names become ``weight`` where there was ``weight_orig`` or ``parametrizations.weight.original``. In
    training mode the copy no longer normalises: the weights are what eval mode uses.
    """
    for module in model.modules():
        if (made := _wrapped(module)) is not None:
            _forget_history(cast(nn.Module, module.module), made)
        for hook in _hooks(module):  # what the last forward pass left there cannot be copied while it has a history
            _forget_history(module, hook.name)
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
        if _makes_weight(module):
            _replace_made_weight(module)
        if (name := _wrapped(module)) is not None:
            _unwrap(module, name)
        for m, mode in modes.items():
            m.training = mode
    return copied


def _forget_history(module: nn.Module, name: str) -> None:
    if isinstance(found := module.__dict__.get(name), Tensor):
        module.__dict__[name] = found.detach()


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


def _makes_weight(module: nn.Module) -> bool:
    return isinstance(module, _ConvNd | nn.Linear | nn.Embedding) and callable(getattr(module, "W_", None))


def _replace_made_weight(module: nn.Module) -> None:
    with torch.no_grad():
        value = cast(Callable[[], Tensor], module.W_)().detach().clone()
    cast(nn.Parameter, module.weight).data = value
    for key in [key for key in module._buffers if re.fullmatch(r"(u|sv)\d+", key)]:
        del module._buffers[key]
    module.__class__ = next(kind for kind in type(module).__mro__ if kind.__module__.startswith("torch."))


def _wrapped(module: nn.Module) -> str | None:
    """The name of the weight that this module sets on the layer within it, if it does."""
    inner, name = module._modules.get("module"), getattr(module, "name", None)
    if inner is None or not isinstance(name, str) or len(module._modules) != 1:
        return None
    made_of = {f"{name}_bar", f"{name}_u", f"{name}_v"}
    return name if made_of <= inner._parameters.keys() else None


def _unwrap(module: nn.Module, name: str) -> None:
    """One power iteration and a division, as each of its forward passes begins."""
    inner = cast(nn.Module, module.module)
    bar = cast(nn.Parameter, inner._parameters[f"{name}_bar"])
    with torch.no_grad():
        matrix = bar.reshape(len(bar), -1)
        v = F.normalize(matrix.t() @ cast(Tensor, inner._parameters[f"{name}_u"]), dim=0, eps=1e-12)
        u = F.normalize(matrix @ v, dim=0, eps=1e-12)
        value = (bar / u.dot(matrix @ v)).clone()
    for suffix in ("bar", "u", "v"):
        del inner._parameters[f"{name}_{suffix}"]
    inner.__dict__.pop(name, None)
    inner.register_parameter(name, nn.Parameter(value, requires_grad=bar.requires_grad))
    module.__class__ = nn.Sequential


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
