"""Pictures of a training: its losses, D's accuracy, the curve of what judges it, and a grid of samples."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.image import imsave

from bench.base.files import write_atomically
from bench.report.figures.axes import logarithmic_axis, padded
from bench.report.style import PAGE, paper_style
from bench.tasks import DEFAULT, TASKS

BLUE, VERMILION, GREEN = "#0072B2", "#D55E00", "#009E73"


def draw_training(
    path: Path, rows: list[dict[str, float]], curve: list[dict[str, float]], card: dict[str, Any]
) -> None:
    """Three panels over the steps: losses, the shares that D tells apart, the quality of the moving average. Writes a
    PNG.

    Without a judge there is no third one.
    """
    with paper_style():
        figure = Figure(figsize=(PAGE, 2.1), layout="constrained")
        panels = figure.subplots(1, 3 if curve else 2)
        losses, accuracy = panels[:2]
        steps = [row["step"] / 1000 for row in rows]
        for axes, names in (
            (losses, {"loss_g": "generator", "loss_d": "discriminator"}),
            (accuracy, {"accuracy_real": "real", "accuracy_fake": "generated"}),
        ):
            for (name, label), colour in zip(names.items(), (BLUE, VERMILION), strict=True):
                axes.plot(steps, [row[name] for row in rows], label=label, color=colour, linewidth=0.8)
            axes.legend(frameon=False, loc="best")
        losses.set_ylabel(f"{card['spec']['loss']} loss")
        accuracy.set_ylabel("share that D tells apart")
        accuracy.set_ylim(0, 1)
        if curve:
            judge = TASKS[DEFAULT].watching
            quality, values = panels[2], [point[judge.name] for point in curve]
            if max(values) > 10 * min(values) > 0:
                logarithmic_axis(quality.yaxis, padded(values))
            steps = [point["step"] / 1000 for point in curve]
            quality.plot(steps, values, "o-", color=GREEN, markersize=2.5, linewidth=0.8)
            quality.set_ylabel(f"{judge.title}[{card['extractor']}],\n{judge.better}")
        for axes in panels:
            axes.set_xlabel("thousand steps")
            axes.spines[["top", "right"]].set_visible(False)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=200, metadata={"Software": None})
    write_atomically(path, buffer.getvalue())


def draw_samples(path: Path, images: npt.ArrayLike, columns: int = 10, zoom: int = 2) -> None:
    """A PNG grid of grey or colour images ``(N, C, H, W)``, each pixel ``zoom`` pixels wide, nothing interpolated."""
    array = np.asarray(images).transpose(0, 2, 3, 1)
    rows = [np.concatenate(list(array[i : i + columns]), axis=1) for i in range(0, len(array), columns)]
    grid = np.concatenate(rows, axis=0).repeat(zoom, 0).repeat(zoom, 1)
    buffer = io.BytesIO()
    if grid.shape[2] == 1:
        imsave(buffer, grid[:, :, 0], cmap="gray", vmin=0, vmax=255, format="png")
    else:
        imsave(buffer, grid, format="png")
    write_atomically(path, buffer.getvalue())
