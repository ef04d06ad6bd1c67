"""`ganprune train`: a built-in GAN from its initialisation to shipped weights, resumable bit by bit."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bench.base.batchnorm import recalibrate
from bench.base.errors import UserError
from bench.base.files import clear_unfinished, write_atomically, write_json
from bench.base.machine import device_model
from bench.base.outside import there
from bench.base.seeds import stream
from bench.report.training import draw_samples, draw_training
from bench.tasks import TASKS
from bench.tasks.evaluation import TrainingJudge
from bench.training.card import workload_card
from bench.training.graphs import GraphedTraining
from bench.training.loop import GanTraining, StepStats
from bench.workloads.base import Workload
from bench.workloads.checkpoints import initialise
from bench.workloads.data import ImageData
from bench.workloads.generate import batches, generate
from bench.workloads.networks import parameter_total
from bench.workloads.references import images_named
from bench.workloads.store import half, load_into, read_weights, state_hash, write_weights
from bench.workloads.torchfiles import read_torch

CALIBRATION_IMAGES = 2_000

STATE = "training.pt"

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
    note: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Train ``workload`` into the folder ``out`` and return its card.

    ``out/training.pt`` holds the state of an unfinished training: calling again with the same arguments
    continues it, and the result is bit-identical to an undisturbed one on the same machine. The weights
    kept are those of the last step, never the best by a metric: G is its moving average with BatchNorm
    statistics recomputed, rounded to half precision, and the card's metrics are taken after the rounding.

    ``note`` is told what was left out of a folder of images, or done to them.

    Raises:
        UserError: no discriminator, no images, or ``out`` holds a training with other arguments.
    """
    run = _begin(workload, out, seed=seed, steps=steps or workload.recipe.steps, device=device)
    run.resume()
    training, log = run.training, run.log
    if note:
        for said in run.data.notes:
            note(f"data: {said}.")
    rewind_step = max(1, round(run.steps * workload.recipe.rewind_share))
    while training.step_count < run.steps:
        stats = training.step()
        log.add(stats)
        done = training.step_count
        if done == rewind_step:
            run.write_snapshot("rewind-")
        if run.judge and (done % curve_every == 0 or done == run.steps):
            log.curve.append({"step": done, **run.judge.point(averaged(training, workload, seed))})
        if done % save_every == 0 or done == run.steps:
            run.save()
        if progress:
            led = f", {run.judge.words(log.curve[-1])}" if run.judge and log.curve else ""
            progress(done, run.steps, f"G {stats.loss_g:.2f} D {stats.loss_d:.2f}{led}")
    return _finish(run, rewind_step)


@dataclass
class _Run:
    """One training under way, and what its card will say of it."""

    workload: Workload
    out: Path
    seed: int
    steps: int
    device: str
    data: ImageData
    judge: TrainingJudge | None
    training: GanTraining
    initialisation: str
    log: _Log
    began: float = field(default_factory=time.process_time)

    @property
    def settings(self) -> dict[str, Any]:
        """What a training must share to be continued."""
        return {
            "workload": self.workload.name,
            "data": self.workload.data,
            "seed": self.seed,
            "steps": self.steps,
            "spec": asdict(self.workload.recipe.spec),
        }

    def resume(self) -> None:
        """Go on where an interrupted process was."""
        path = self.out / STATE
        clear_unfinished(self.out)
        if there(path):
            self.log = _resume(path, self.settings, self.training)
        self.began = time.process_time() - self.log.cpu_seconds

    def save(self) -> None:
        """Keep the state, and the CPU seconds until now."""
        self.log.cpu_seconds = time.process_time() - self.began
        state = {"settings": self.settings, "log": asdict_log(self.log), "training": self.training.state_dict()}
        buffer = io.BytesIO()
        torch.save(state, buffer)
        write_atomically(self.out / STATE, buffer.getvalue())

    def write_snapshot(self, prefix: str) -> None:
        """Both networks as they are now, in half precision."""
        for part in ("generator", "discriminator"):
            state = half(getattr(self.training, part).state_dict())
            write_weights(self.out / f"{prefix}{part}.safetensors", state)


def _begin(workload: Workload, out: Path, *, seed: int, steps: int, device: str) -> _Run:
    if workload.discriminator is None:
        raise UserError(f"workload {workload.name!r} has no discriminator; it cannot be trained here.")
    data = images_named(workload.data, workload.image_shape, f"data of workload {workload.name!r}")
    if data.statistics is not None:
        raise UserError(
            f"workload {workload.name!r} learns from images, and of {data.name!r} only statistics are here."
        )
    judge = TASKS[workload.task].evaluation().of_training(workload, data, device)
    generator, discriminator = initialise(workload, seed)
    assert discriminator is not None
    initialisation = state_hash(generator.state_dict())
    made = GraphedTraining if torch.device(device).type == "cuda" else GanTraining
    training = made(
        generator,
        discriminator,
        workload.recipe.spec,
        images=data.train,
        sample=workload.inputs.sample,
        steps=steps,
        seed=seed,
        device=device,
        condition=workload.condition,
        labels=data.train_labels,
    )
    return _Run(workload, out, seed, steps, device, data, judge, training, initialisation, _Log())


def _finish(run: _Run, rewind_step: int) -> dict[str, Any]:
    """Write the weights, the card and the pictures; returns the card."""
    workload, out = run.workload, run.out
    state_g = half(averaged(run.training, workload, run.seed).state_dict())
    state_d = half(run.training.discriminator.state_dict())
    shipped = load_into(workload.generator(), state_g, "the trained generator").to(run.device).eval()
    card = _card(run, rewind_step, state_g, state_d, shipped)
    if run.judge:
        card |= run.judge.final(shipped, run.log.curve)
    write_weights(out / "generator.safetensors", state_g)
    write_weights(out / "discriminator.safetensors", state_d)
    write_json(out / "card.json", card)
    write_atomically(out / "MODEL_CARD.md", workload_card(card, TASKS[workload.task]))
    draw_training(out / "curve.png", run.log.rows, run.log.curve, card)
    images, _ = generate(shipped, workload.inputs.sample(100, stream(run.seed, "eval", "grid")), device=run.device)
    draw_samples(out / "samples.png", images)
    return card


def _card(
    run: _Run, rewind_step: int, state_g: dict[str, Tensor], state_d: dict[str, Tensor], shipped: nn.Module
) -> dict[str, Any]:
    """What the card says of the training itself."""
    hashes = {"generator": state_hash(state_g), "discriminator": state_hash(state_d)}
    for part in ("rewind-generator", "rewind-discriminator"):
        hashes[part] = state_hash(read_weights(run.out / f"{part}.safetensors"))
    card = {
        **run.settings,
        "rewind_step": rewind_step,
        "data_fingerprint": run.data.fingerprint,
        "training_images": len(run.data.train),
        "held_out_images": len(run.data.held_out),
        "cpu_seconds": round(run.log.cpu_seconds),
        "parameters": {
            "generator": parameter_total(shipped),
            "discriminator": parameter_total(run.training.discriminator),
        },
        "initialisation": run.initialisation,
        "hashes": hashes,
        "torch": torch.__version__.split("+")[0],
        "device": str(run.device),
    }
    if run.data.notes:
        card["data_note"] = "; ".join(run.data.notes)
    return card | ({"device_model": device_model(run.device)} if torch.device(run.device).type == "cuda" else {})


def averaged(training: GanTraining, workload: Workload, seed: int) -> nn.Module:
    """A copy of G's moving average with its BatchNorm statistics recomputed on the `calibrate` stream."""
    model = load_into(workload.generator(), training.ema.model.state_dict(), "the moving average")
    model.to(training.device)
    inputs = workload.inputs.sample(CALIBRATION_IMAGES, stream(seed, "calibrate"))
    recalibrate(model, batches(inputs, 100, training.device))
    return model.eval()


class _Log:
    """Losses and accuracies averaged over 100 steps, and the learning curve."""

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
        saved = read_torch(path, training.device)
        found = dict(saved["settings"])
    except UserError:
        raise
    except Exception as error:  # what it holds may be anything
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
