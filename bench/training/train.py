"""`ganprune train`: a built-in GAN from its initialisation to shipped weights, resumable bit by bit."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn

from bench.base.batchnorm import recalibrate
from bench.base.errors import UserError
from bench.base.files import write_atomically, write_json
from bench.base.seeds import stream
from bench.tasks.generation.classifier import auto_classifier
from bench.tasks.generation.extractors import EXTRACTORS, Extractor
from bench.tasks.generation.quality import Quality, Reference, judge, quality, reference
from bench.training.card import workload_card
from bench.training.loop import GanTraining, StepStats
from bench.workloads.base import Inputs, Workload
from bench.workloads.checkpoints import initialise
from bench.workloads.data import ImageData
from bench.workloads.generate import batches, generate
from bench.workloads.networks import parameter_total
from bench.workloads.references import images_named
from bench.workloads.spec import CLASSIFIER
from bench.workloads.store import half, load_into, read_weights, state_hash, write_weights

CALIBRATION_IMAGES = 2_000
CURVE_IMAGES = 2_000
FINAL_IMAGES = 5_000

Progress = Callable[[int, int, str], None]


def train_workload(
    workload: Workload,
    out: Path,
    *,
    seed: int = 0,
    steps: int | None = None,
    device: str = "cpu",
    curve_every: int = 1_000,
    save_every: int = 500,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Train ``workload`` into the folder ``out`` and return its card.

    ``out/training.pt`` holds the state of an unfinished training: calling again with the same arguments
    continues it, and the result is bit-identical to an undisturbed one on the same machine. The weights
    kept are those of the last step, never the best by a metric: G is its moving average with BatchNorm
    statistics recomputed, rounded to half precision, and the card's metrics are taken after the rounding.

    Raises:
        UserError: no discriminator, or ``out`` holds a training with other arguments.
    """
    if workload.discriminator is None:
        raise UserError(f"workload {workload.name!r} has no discriminator; it cannot be trained here.")
    recipe = workload.recipe
    steps = steps or recipe.steps
    data = images_named(workload.data, workload.image_shape, f"data of workload {workload.name!r}")
    extractor = _judge_of(workload, data)
    if extractor is not None and tuple(data.train.shape[1:]) != extractor.image_shape:
        raise UserError(
            f"data source {data.name!r} has images of {tuple(data.train.shape[1:])}, workload {workload.name!r} "
            f"and its judge {extractor.name!r} want {extractor.image_shape}."
        )
    ref = reference(extractor, data, device) if extractor else None
    generator, discriminator = initialise(workload, seed)
    assert discriminator is not None
    initialisation = state_hash(generator.state_dict())
    training = GanTraining(
        generator,
        discriminator,
        recipe.spec,
        images=data.train,
        sample=workload.inputs.sample,
        steps=steps,
        seed=seed,
        device=device,
    )
    settings = {
        "workload": workload.name,
        "data": workload.data,
        "seed": seed,
        "steps": steps,
        "spec": asdict(recipe.spec),
    }
    log = _Log()
    state_path = out / "training.pt"
    if state_path.exists():
        log = _resume(state_path, settings, training)
    rewind_step = max(1, round(steps * recipe.rewind_share))
    cpu_start = time.process_time() - log.cpu_seconds

    while training.step_count < steps:
        stats = training.step()
        log.add(stats)
        done = training.step_count
        if done == rewind_step:
            write_weights(out / "rewind-generator.safetensors", half(training.generator.state_dict()))
            write_weights(out / "rewind-discriminator.safetensors", half(training.discriminator.state_dict()))
        if extractor and ref and (done % curve_every == 0 or done == steps):
            model = averaged(training, workload, seed)
            point = _measure(model, workload.inputs, extractor, ref, CURVE_IMAGES, device)
            log.curve.append({"step": done, "fid": point.fid, "is": point.inception_score})
        if done % save_every == 0 or done == steps:
            log.cpu_seconds = time.process_time() - cpu_start
            buffer = io.BytesIO()
            torch.save({"settings": settings, "log": asdict_log(log), "training": training.state_dict()}, buffer)
            write_atomically(state_path, buffer.getvalue())
        if progress:
            fid = f", FID {log.curve[-1]['fid']:.1f}" if log.curve else ""
            progress(done, steps, f"G {stats.loss_g:.2f} D {stats.loss_d:.2f}{fid}")

    state_g = half(averaged(training, workload, seed).state_dict())
    state_d = half(training.discriminator.state_dict())
    shipped = load_into(workload.generator(), state_g, "the trained generator").to(device).eval()
    hashes = {"generator": state_hash(state_g), "discriminator": state_hash(state_d)}
    for part in ("rewind-generator", "rewind-discriminator"):
        hashes[part] = state_hash(read_weights(out / f"{part}.safetensors"))
    card = {
        **settings,
        "rewind_step": rewind_step,
        "data_fingerprint": data.fingerprint,
        "training_images": len(data.train),
        "held_out_images": len(data.held_out),
        "cpu_seconds": round(log.cpu_seconds),
        "parameters": {
            "generator": parameter_total(shipped),
            "discriminator": parameter_total(discriminator),
        },
        "initialisation": initialisation,
        "hashes": hashes,
        "torch": torch.__version__.split("+")[0],
        "device": str(device),
    }
    if extractor and ref:
        final = _measure(shipped, workload.inputs, extractor, ref, FINAL_IMAGES, device)
        real = judge(extractor, data.train, device)
        card |= _measured(final, quality(real, ref), log, extractor)
    write_weights(out / "generator.safetensors", state_g)
    write_weights(out / "discriminator.safetensors", state_d)
    write_json(out / "card.json", card)
    write_atomically(out / "MODEL_CARD.md", workload_card(card))
    _write_pictures(out, card, log, shipped, workload.inputs, seed, device)
    return card


def _judge_of(workload: Workload, data: ImageData) -> Extractor | None:
    """The workload's extractor; None where it would have to learn from labels that the images do not have."""
    if workload.extractor != CLASSIFIER:
        return EXTRACTORS[workload.extractor]()
    if len(data.train_labels.unique()) < 2:
        return None
    channels, height, width = data.train.shape[1:]
    return auto_classifier(data, (channels, height, width))


def _measured(final: Quality, real: Quality, log: _Log, extractor: Extractor) -> dict[str, Any]:
    """What a card says of the quality of the weights."""
    return {
        "extractor": extractor.name,
        "extractor_fingerprint": extractor.fingerprint,
        "num_images": FINAL_IMAGES,
        "fid": round(final.fid, 3),
        "fid_held_out": round(final.fid_held_out, 3),
        "fid_train_subset": round(final.fid_train_subset, 3),
        "is": round(final.inception_score, 3),
        "is_real": round(real.inception_score, 3),
        "fid_curve": [{k: round(v, 3) for k, v in point.items()} for point in log.curve],
    }


def averaged(training: GanTraining, workload: Workload, seed: int) -> nn.Module:
    """A copy of G's moving average with its BatchNorm statistics recomputed on the `calibrate` stream."""
    model = load_into(workload.generator(), training.ema.model.state_dict(), "the moving average")
    model.to(training.device)
    inputs = workload.inputs.sample(CALIBRATION_IMAGES, stream(seed, "calibrate"))
    recalibrate(model, batches(inputs, 100, training.device))
    return model.eval()


def _measure(
    model: nn.Module, inputs: Inputs, extractor: Extractor, ref: Reference, count: int, device: str
) -> Quality:
    images, _ = generate(model, inputs.sample(count, stream(0, "eval")), device=device)
    return quality(judge(extractor, images, device), ref)


class _Log:
    """Losses and accuracies averaged over 100 steps, and the FID curve."""

    EVERY = 100

    def __init__(self) -> None:
        self.rows: list[dict[str, float]] = []
        self.pending: list[StepStats] = []
        self.curve: list[dict[str, float]] = []
        self.cpu_seconds = 0.0

    def add(self, stats: StepStats) -> None:
        self.pending.append(stats)
        if len(self.pending) == self.EVERY:
            row = {"step": float(stats.step + 1)}
            for name in ("loss_g", "loss_d", "accuracy_real", "accuracy_fake"):
                row[name] = sum(getattr(s, name) for s in self.pending) / self.EVERY
            self.rows.append(row)
            self.pending.clear()


def asdict_log(log: _Log) -> dict[str, Any]:
    """The log as plain values."""
    return {
        "rows": log.rows,
        "pending": [asdict(s) for s in log.pending],
        "curve": log.curve,
        "cpu_seconds": log.cpu_seconds,
    }


def _resume(path: Path, settings: dict[str, Any], training: GanTraining) -> _Log:
    try:
        saved = torch.load(path, map_location=training.device, weights_only=True)
        found = dict(saved["settings"])
    except Exception as error:  # torch raises many types for a damaged or hostile file
        raise _no_state(path, error) from error
    differing = [key for key, value in settings.items() if found.get(key) != value]
    if differing:
        key = differing[0]
        raise UserError(
            f"{path}: belongs to a training with {key} = {found.get(key)!r}, asked for {settings[key]!r}. "
            "Name another folder with --out, or delete it."
        )
    log = _Log()
    try:
        log.rows, log.curve = saved["log"]["rows"], saved["log"]["curve"]
        log.pending = [StepStats(**row) for row in saved["log"]["pending"]]
        log.cpu_seconds = saved["log"]["cpu_seconds"]
        training.load_state_dict(saved["training"])
    except Exception as error:  # whatever a state of other networks, or half of one, leads to
        raise _no_state(path, error) from error
    return log


def _no_state(path: Path, error: Exception) -> UserError:
    return UserError(
        f"{path}: not the state of a training, or damaged ({type(error).__name__}). "
        "Delete it to start anew, or name another folder with --out."
    )


def _write_pictures(
    out: Path, card: dict[str, Any], log: _Log, model: nn.Module, inputs: Inputs, seed: int, device: str
) -> None:
    from bench.report.training import draw_samples, draw_training

    draw_training(out / "curve.png", log.rows, log.curve, card)
    images, _ = generate(model, inputs.sample(100, stream(seed, "eval", "grid")), device=device)
    draw_samples(out / "samples.png", images)
