"""Pictures of a training: its losses, D's accuracy, the FID curve, and a grid of samples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from torch import Tensor


def draw_training(
    path: Path, rows: list[dict[str, float]], curve: list[dict[str, float]], card: dict[str, Any]
) -> None:
    """Three panels over the steps: losses, the shares that D tells apart, FID of the moving average."""
    with plt.rc_context({"font.size": 8, "axes.spines.top": False, "axes.spines.right": False}):
        figure, (losses, accuracy, fid) = plt.subplots(1, 3, figsize=(6.9, 2.2), layout="constrained")
        steps = [row["step"] for row in rows]
        for axis, names in (
            (losses, {"loss_g": "generator", "loss_d": "discriminator"}),
            (accuracy, {"accuracy_real": "real", "accuracy_fake": "generated"}),
        ):
            for (name, label), colour in zip(names.items(), ("#0072B2", "#D55E00"), strict=True):
                axis.plot(steps, [row[name] for row in rows], label=label, color=colour, linewidth=0.9)
            axis.legend(frameon=False)
            axis.set_xlabel("step")
        losses.set_ylabel(f"{card['spec']['loss']} loss")
        accuracy.set_ylabel("share that D tells apart")
        accuracy.set_ylim(0, 1)
        fid.plot([p["step"] for p in curve], [p["fid"] for p in curve], "o-", color="#009E73", markersize=2.5)
        fid.set_yscale("log")
        fid.set_xlabel("step")
        fid.set_ylabel(f"FID[{card['extractor']}], lower is better")
        figure.savefig(path, dpi=150)
        plt.close(figure)


def draw_digits(path: Path, images: Tensor, columns: int = 10, zoom: int = 2) -> None:
    """A grid of grey images ``(N, 1, H, W)``, each pixel ``zoom`` pixels wide, nothing interpolated."""
    array = images.numpy()[:, 0]
    rows = [np.concatenate(list(array[i : i + columns]), axis=1) for i in range(0, len(array), columns)]
    grid = np.concatenate(rows, axis=0).repeat(zoom, 0).repeat(zoom, 1)
    plt.imsave(path, grid, cmap="gray", vmin=0, vmax=255)
