"""`ganprune check-workload`: one forward pass, counts, a little pruning; what works, what does not, and why."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from bench.base.batchnorm import batchnorms
from bench.base.errors import UserError
from bench.base.machine import one_thread
from bench.base.process import unchanged
from bench.base.raised import in_words
from bench.base.seeds import stream
from bench.check.calls import calls
from bench.check.finding import Finding, guarded
from bench.check.judging import judging
from bench.experiments import Quality
from bench.measure.complexity import count_macs, count_macs_fvcore
from bench.measure.footprint import footprint
from bench.sweep.rough import rough_macs
from bench.workloads.described import workload_of
from bench.workloads.own import NOT_REPEATING, OUT_OF_RANGE, SAME, SLACK, Own, cuda_hint
from bench.workloads.spec import WorkloadSpec
from strategies.base import Context, Infeasible, Level, NotApplicable, Pruned
from strategies.builtin import STRATEGIES
from strategies.cut import LayerCut

TRIED = {"weights": "l1-weight-global", "channels": "l1-channel-uniform"}
"""What is pruned a little, by which strategy."""

A_LITTLE = 0.3
PROBED = 4
"""How many images are generated to look at."""

FLAT = 0.1
"""Images in [-1, 1] that differ by less than this are no pictures."""


def check(
    spec: WorkloadSpec, quality: Quality | None = None, say: Callable[[str], None] = lambda _: None
) -> Iterator[Finding]:
    """Try everything that a run would need, one thing after the other. Ends where nothing further can be tried.

    Args:
        quality: the experiment's ``[quality]``, where the file has one: it may name another judge.
        say: is told what is tried next, where that can take a while.
    """
    start = time.process_time()
    workload = workload_of(spec)
    own = workload.own
    assert own is not None
    with one_thread(), torch.random.fork_rng(devices=[]):
        try:
            generator, discriminator = own.load()
            own.generator()  # a run makes several
            assert own.code  # every key of a run holds it
            yield Finding("ok", f"weights: {_weights(spec)} for {type(generator).__name__}")
            shape = own.image_shape(generator)
            inputs = workload.inputs.sample(2, stream(0, "eval", "probe"))
        except UserError as error:
            yield Finding("problem", str(error))
            return
        except Exception as error:  # noqa: BLE001 - what is read and called here is the user's
            yield Finding("problem", f"{own.here()}: {in_words(error)}")
            return
        say("calling it with batches of many sizes")
        found = list(guarded("calls", calls(own, generator)))
        yield from found
        if any(finding.kind == "problem" for finding in found):
            return
        yield from guarded("output", _output(own, generator))
        yield from guarded("counts", _counts(generator, inputs))
        yield from guarded("BatchNorm", _normalisation(generator))
        yield from guarded("discriminator", _discriminator(discriminator, shape, workload.condition.of_inputs(inputs)))
        say("pruning it a little, each group of channels compared with its masked twin")
        yield from guarded("pruning", _pruning(generator, inputs))
        yield from guarded("judge", judging(workload, generator, shape, quality or Quality(), say))
        yield from guarded("latency", _latency(generator, inputs))
        yield Finding("ok", f"time: this check took {time.process_time() - start:.1f} s of CPU time")


def _weights(spec: WorkloadSpec) -> str:
    return spec.checkpoint.file if spec.checkpoint else "as the factory makes them (no checkpoint is named)"


def _output(own: Own, generator: nn.Module) -> Iterator[Finding]:
    images = own.images_of(generator, PROBED).float()
    low, high = own.spec.output.range
    values = (images + 1) / 2 * (high - low) + low
    _, channels, height, width = images.shape
    seen = f"{channels} x {height} x {width}, values from {float(values.min()):.3g} to {float(values.max()):.3g}"
    outside = float(((images < -1 - 2 * SLACK) | (images > 1 + 2 * SLACK)).float().mean())
    if 0.01 < outside <= OUT_OF_RANGE:
        yield Finding("note", f"output: {seen}; {outside:.0%} lie outside [{low:g}, {high:g}] and will be cut off.")
    elif float(images.max() - images.min()) < FLAT:
        yield Finding("note", f"output: {seen}: nearly one value. Is the checkpoint that of a trained generator?")
    elif float(images.min()) > -SLACK or float(images.max()) < SLACK:
        half = "upper" if float(images.min()) > -SLACK else "lower"
        yield Finding("note", f"output: {seen}: only the {half} half of [{low:g}, {high:g}]. Is output.range right?")
    else:
        yield Finding("ok", f"output: {seen}, range [{low:g}, {high:g}]")
    if float((images[:1] - images[1:]).abs().max()) < SAME:
        yield Finding("note", "output: all images are the same, whatever the input. Every cell will be `collapsed`.")
    if not own.repeats(generator):
        yield Finding("note", f"output: {NOT_REPEATING}")
        return
    # Other sizes of a batch draw other inputs: the first image of four is compared with itself alone.
    inputs = tuple(x[:1] for x in workload_of(own.spec).inputs.sample(PROBED, stream(0, "eval", "probe")))
    with torch.inference_mode():
        alone = generator(*inputs).float()
    if alone.shape[1:] != images.shape[1:] or float((alone - images[:1]).abs().max()) > SAME:
        yield Finding("note", "output: an image depends on the others of its batch, so also on how batches are cut.")


def _counts(generator: nn.Module, inputs: tuple[Tensor, ...]) -> Iterator[Finding]:
    size = footprint(generator)
    if size.weights == 0:
        yield Finding("problem", "layers: no nn.Conv or nn.Linear, so there is nothing that could be pruned.")
        return
    yield Finding(
        "ok", f"parameters: {size.params:,}, of them {size.weights:,} weights of convolutions and linear layers"
    )
    if size.weights < 0.5 * size.params:
        yield Finding("note", "parameters: more than half are outside of nn.Conv and nn.Linear and are never pruned.")
    rough_macs(generator, inputs)  # what a plan goes by
    one = tuple(x[:1] for x in inputs)
    macs = count_macs(generator, one)
    count_macs_fvcore(generator, one)
    yield Finding("ok", f"MACs: {macs.dense:,} for one image")
    if macs.uncounted:
        yield Finding("note", f"MACs: nobody counts {', '.join(macs.uncounted)}; the record will say so.")


def _normalisation(generator: nn.Module) -> Iterator[Finding]:
    found = len(batchnorms(generator))
    if found:
        yield Finding("ok", f"BatchNorm: {found} layers; bn-recalibrate and bnscale-* work")
    else:
        yield Finding("note", "BatchNorm: none. bn-recalibrate does nothing, bnscale-* will be not-applicable.")


def _discriminator(
    discriminator: nn.Module | None, shape: tuple[int, int, int], given: tuple[Tensor, ...]
) -> Iterator[Finding]:
    if discriminator is None:
        yield Finding(
            "note", "discriminator: none. finetune-* and criteria that need one will be not-applicable; all else works."
        )
        return
    images = torch.rand(2, *shape, generator=stream(0, "eval", "probe")) * 2 - 1
    try:
        with unchanged("discriminator: a forward pass"), torch.inference_mode():
            logits = discriminator(images, *given)
    except UserError as error:
        yield Finding("problem", str(error))
        return
    except Exception as error:  # noqa: BLE001 - whatever the user's code raises
        hint = (
            "images and the generator's labels. One that takes images alone: leave out discriminator.labels."
            if given
            else "images alone. One that takes the generator's labels as well: discriminator.labels = true."
        )
        what = f"{_with_labels(images, given)}: {in_words(error)}{cuda_hint(error)}"
        yield Finding(
            "problem",
            f"discriminator: fails on {what}\n  It is called on {hint}",
        )
        return
    if logits.shape != (2,) or not torch.isfinite(logits).all():
        yield Finding(
            "problem", f"discriminator: gives {tuple(logits.shape)} or values that are not finite for 2 images."
        )
        return
    yield Finding("ok", f"discriminator: {type(discriminator).__name__}, one logit an image; finetune-* works")


def _with_labels(images: Tensor, given: tuple[Tensor, ...]) -> str:
    labels = "".join(f" and labels {tuple(x.shape)}" for x in given)
    return f"images {tuple(images.shape)}{labels}"


def _pruning(generator: nn.Module, inputs: tuple[Tensor, ...]) -> Iterator[Finding]:
    for what, name in TRIED.items():
        context = Context(generator, inputs, stream(0, "prune"))
        strategy = STRATEGIES[name]
        try:
            ranking = strategy.rank(context)
            try:
                removal, most = strategy.decide(ranking, Level.sparsity(A_LITTLE), "params"), None
            except Infeasible as error:
                most = error.maximum
                removal = strategy.decide(ranking, Level.sparsity(most / 2), "params")
            pruned = removal.apply(generator)
            with torch.inference_mode():
                fine = bool(torch.isfinite(pruned.generator.eval()(*inputs)).all())
        except NotApplicable as error:
            yield Finding("note", f"{what}: {name}: {error}")
            continue
        except Exception as error:  # noqa: BLE001 - a user's network can surprise any strategy: that is the finding
            yield Finding("note", f"{what}: {name} fails: {in_words(error)}")
            continue
        yield _pruned(what, pruned, fine, most)


def _pruned(what: str, pruned: Pruned, fine: bool, most: float | None) -> Finding:
    """``most``: the largest share that can be removed, where it is less than was asked for."""
    weights, kept = sum(c.weights for c in pruned.layers), sum(c.kept for c in pruned.layers)
    text = f"{what}: {1 - kept / weights:.1%} of the weights removed"
    if not fine:
        return Finding("note", f"{text}, and the output is not finite any more.")
    text += ", verified against the masked twin" if what == "channels" else ""
    dense = [cut for cut in pruned.layers if 0 < cut.kept == cut.weights and cut.note] if what == "channels" else []
    text += f". {_dense(dense, len(pruned.layers))}" if dense else ""
    return Finding("ok", text) if most is None else Finding("note", f"{text}. At most {most:.1%} can be removed.")


def _dense(cuts: list[LayerCut], layers: int) -> str:
    shown = "; ".join(f"{cut.name} ({cut.note})" for cut in cuts[:5])
    return f"{len(cuts)} of {layers} layers stay dense: {shown}" + ("; ..." if len(cuts) > 5 else "")


def _latency(generator: nn.Module, inputs: tuple[Tensor, ...]) -> Iterator[Finding]:
    one = tuple(x[:1] for x in inputs)
    seconds = []
    with torch.inference_mode():
        for _ in range(4):
            start = time.perf_counter()
            generator(*one)
            seconds.append(time.perf_counter() - start)
    yield Finding("ok", f"one call: {1000 * min(seconds[1:]):.1f} ms on one CPU thread (a rough figure, not a result)")
