"""What a module is given and what it makes of it, inside of a network's forward pass."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from strategies.layers import layer_uses


class _Seen(Exception):
    """The module was called; what comes behind it is of no interest."""


@contextlib.contextmanager
def same_noise() -> Iterator[None]:
    """What a network draws by itself is the same in the dense and the pruned one, and moves nobody's random state."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


@dataclass(frozen=True)
class Passed:
    """Of one module: its inputs and its output, of all latents."""

    given: tuple[Tensor, ...]
    output: Tensor


@torch.no_grad()
def passed(model: nn.Module, name: str, latents: tuple[Tensor, ...], batch: int) -> Passed:
    """Run ``model`` up to the module ``name``, which takes and gives tensors (see `order`)."""
    module = model.get_submodule(name)
    seen: list[Passed] = []

    def hook(_: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> None:
        # What comes behind may work in place.
        seen.append(Passed(tuple(x.clone() for x in given), output.clone()))
        raise _Seen

    handle = module.register_forward_hook(hook)
    try:
        with same_noise():
            for part in zip(*(x.split(batch) for x in latents), strict=True):
                with contextlib.suppress(_Seen):
                    model(*part)
    finally:
        handle.remove()
    given = tuple(torch.cat(parts) for parts in zip(*(one.given for one in seen), strict=True))
    return Passed(given, torch.cat([one.output for one in seen]))


@dataclass(frozen=True)
class Place:
    """A layer in the order of execution."""

    name: str
    positions: int
    """Values of one output channel, for one latent."""
    size: int
    """Entries that it takes and gives, for one latent."""
    normed: bool
    """Whether a BatchNorm reads its output: that makes up for its mean and scale."""


@torch.no_grad()
def order(model: nn.Module, latents: tuple[Tensor, ...]) -> tuple[Place, ...]:
    """The layers of ``model`` as they are called; without those that are called several times, or with something
    else than tensors that have a row for each latent."""
    count = len(latents[0])
    layers = layer_uses(model)
    calls: dict[str, list[Place | None]] = {}
    made: list[tuple[str, Tensor]] = []
    normed: set[str] = set()

    def called(name: str, given: object, output: object) -> None:
        found = None
        if isinstance(given, tuple) and given and all(_rows(x) == count for x in (*given, output)):
            assert isinstance(output, Tensor)
            channels = output.shape[-1] if isinstance(layers[name], nn.Linear) else output.shape[1]
            entries = sum(x.numel() for x in (*given, output)) // count
            found = Place(name, output.numel() // (count * channels), entries, False)
            made.append((name, output))
        calls.setdefault(name, []).append(found)

    def read(given: object) -> None:
        normed.update(name for name, output in made if output is given)

    handles = [
        layer.register_forward_hook(lambda m, i, o, name=name: called(name, i, o), always_call=False)
        for name, layer in layers.items()
    ]
    handles += [
        module.register_forward_pre_hook(lambda m, i: read(i[0] if i else None))
        for module in model.modules()
        if isinstance(module, _BatchNorm)
    ]
    try:
        with same_noise():
            model(*latents)
    finally:
        for handle in handles:
            handle.remove()
    once = [found[0] for found in calls.values() if len(found) == 1 and found[0] is not None]
    return tuple(Place(p.name, p.positions, p.size, p.name in normed) for p in once)


def _rows(value: object) -> int | None:
    return len(value) if isinstance(value, Tensor) and value.ndim >= 2 else None
