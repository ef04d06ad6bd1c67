"""A generator called as a run calls it: again and again, with batches of many sizes, with gradients."""

from __future__ import annotations

import copy
import pickle
import random
import time
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from bench.base.batchnorm import batchnorms, recalibrate
from bench.base.errors import UserError
from bench.base.raised import in_words
from bench.check.finding import Finding
from bench.workloads.generate import BATCH
from bench.workloads.own import Own, described

SIZES = (1, 3, 50, BATCH)
"""Latencies are of one image, the evaluation is cut into hundreds, its last batch is what is left."""

CALLS = 60
"""A generator that fails later than the first call should fail here."""

SECONDS = 5.0
BATCH_SECONDS = 10.0
"""Calls in a row end here, and batches that would take longer than the other are left out."""


def calls(own: Own, generator: nn.Module) -> Iterator[Finding]:
    """What many calls show. Problems come first and end it: a run would end there as well."""
    state = _state(generator)
    try:
        seconds = _one_call(own, generator)
        sizes, left_out = _sizes(own, generator, seconds)
        count = _again(own, generator)
    except UserError as error:
        yield Finding("problem", str(error))
        return
    if reseeded := _reseeds(own, generator):
        yield Finding(
            "problem",
            f"calls: a forward pass seeds {' and '.join(reseeded)}, for the whole process: whatever draws from there "
            "after it, dropout of a training too, draws the same every time. Use a torch.Generator of its own, or make "
            "the noise an input of kind 'fixed'.",
        )
        return
    sizes_said = ", ".join(map(str, sizes))
    yield Finding("ok", f"calls: {count} in a row and batches of {sizes_said}")
    if left_out:
        slow = ", ".join(map(str, left_out))
        yield Finding("note", f"calls: batches of {slow} were not tried, one image takes {seconds:.1f} s.")
    if changed := [name for name, tensor in _state(generator).items() if not _same(state.get(name), tensor)]:
        yield Finding(
            "note",
            f"calls: a forward pass in eval mode changes {', '.join(changed[:4])}{', ...' if len(changed) > 4 else ''}"
            ": what is measured depends on what was measured before.",
        )
    yield from _with_gradients(own, generator)
    yield from _copied(own, generator)


def _state(generator: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in generator.state_dict().items()}


def _same(before: Tensor | None, now: Tensor) -> bool:
    return before is not None and before.shape == now.shape and bool(((before == now) | (before != before)).all())


def _one_call(own: Own, generator: nn.Module) -> float:
    """Seconds of CPU time for an image."""
    seconds = []
    for call in (1, 2):
        start = time.process_time()
        _made(own, generator, 2, None, call)
        seconds.append((time.process_time() - start) / 2)
    return min(seconds)


def _made(own: Own, generator: nn.Module, size: int, shape: tuple[int, ...] | None, call: int) -> tuple[int, ...]:
    """The shape of an image of one more call. Raises UserError where it is not as those before."""
    inputs = own.probe(size)
    with torch.inference_mode(), own.running(f"call {call} of the generator fails, on inputs {described(inputs)}"):
        images = generator(*inputs)
        if shape is not None and tuple(images.shape[1:]) != shape:
            raise TypeError(
                f"images of {tuple(images.shape[1:])} after images of {shape}; all have to be of one size, whatever "
                "the batch"
            )
        finite = bool(torch.isfinite(images).all())
    if not finite:
        raise UserError(f"{own.here()}: call {call} of the generator, on {described(inputs)}, gives values not finite.")
    return tuple(images.shape[1:])


def _sizes(own: Own, generator: nn.Module, seconds: float) -> tuple[list[int], list[int]]:
    """Sizes of batches that were tried, and those that would take too long."""
    shape = _made(own, generator, 2, None, 3)
    tried = [size for size in SIZES if size <= 3 or size * seconds < BATCH_SECONDS]
    for call, size in enumerate(tried, 4):
        _made(own, generator, size, shape, call)
    return tried, [size for size in SIZES if size not in tried]


def _again(own: Own, generator: nn.Module) -> int:
    """How often it was called in a row."""
    call = len(SIZES) + 4
    shape = _made(own, generator, 2, None, call)
    start = time.perf_counter()
    while call < CALLS and time.perf_counter() - start < SECONDS:
        call += 1
        _made(own, generator, 2, shape, call)
    return call


def _reseeds(own: Own, generator: nn.Module) -> list[str]:
    """Generators of random numbers that stand at one place after a pass, wherever they stood before it."""
    kept = random.getstate(), np.random.get_state()
    stand = []
    for seed in (1, 2):
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)
        _made(own, generator, 2, None, CALLS + seed)
        stand.append({
            "torch": torch.get_rng_state().numpy().tobytes(),
            "numpy.random": pickle.dumps(np.random.get_state()),
            "random": pickle.dumps(random.getstate()),
        })  # fmt: skip
    random.setstate(kept[0])
    np.random.set_state(kept[1])
    return [name for name, place in stand[0].items() if place == stand[1][name]]


def _with_gradients(own: Own, generator: nn.Module) -> Iterator[Finding]:
    """As criteria of a loss and every training call it: outside of inference mode, and backwards."""
    inputs = own.probe(2)
    trained = [p for p in generator.parameters() if p.is_floating_point()]
    try:
        with torch.enable_grad(), own.running(f"a forward pass with gradients fails on inputs {described(inputs)}"):
            images = generator(*inputs)
        if not images.requires_grad:
            kind = str(images.dtype).removeprefix("torch.")
            yield Finding(
                "note",
                f"gradients: none reach the weights from the output ({kind}), so finetune-* and criteria of a loss "
                "fail. Cut no_grad(), detach() and casts to integers out of the forward pass.",
            )
            return
        torch.autograd.grad(images.float().sum(), trained, allow_unused=True)
    except UserError as error:
        yield Finding("problem", str(error))
    except Exception as error:  # noqa: BLE001 - an operator of the user's may have no backward pass
        yield Finding(
            "note", f"gradients: the backward pass fails: {in_words(error)}. finetune-* and criteria of a loss fail."
        )


def _copied(own: Own, generator: nn.Module) -> Iterator[Finding]:
    """Strategies prune a copy, and recovery counts BatchNorm's statistics anew on one."""
    try:
        copied = copy.deepcopy(generator)
    except Exception as error:  # noqa: BLE001 - whatever the module keeps
        yield Finding(
            "problem",
            f"{own.here()}: {type(generator).__name__} cannot be copied ({in_words(error)}), so nothing can be pruned. "
            "Keep no outputs, locks, files or iterators on the module.",
        )
        return
    mine = {p.data_ptr() for p in generator.parameters()}
    if copied is generator or any(p.data_ptr() in mine for p in copied.parameters() if p.numel()):
        yield Finding(
            "problem",
            f"{own.here()}: a copy of {type(generator).__name__} shares its tensors with it, so pruning one would "
            "change the other. Leave __deepcopy__ to PyTorch.",
        )
        return
    if batchnorms(copied):
        try:
            recalibrate(copied, [own.probe(8)])
        except Exception as error:  # noqa: BLE001 - a forward pass in training mode
            yield Finding("problem", f"BatchNorm: bn-recalibrate fails, in training mode: {in_words(error)}")
