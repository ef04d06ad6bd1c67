"""How the cells of a run are measured; the same for all of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bench.tasks import DEFAULT, TASKS
from bench.tasks.evaluation import QualitySettings
from bench.workloads.builtin import BUILT_IN
from bench.workloads.catalogue import Catalogue


@dataclass(frozen=True)
class Settings:
    """What every process of a run is given."""

    num_images: int
    extractor: str = "workload"
    extractor_weights: Path | None = None
    download: bool = False
    metrics: tuple[str, ...] = TASKS[DEFAULT].metrics
    device: str = "cpu"
    run: Path | None = None
    """The run's folder, for samples and the dense reference; None: nothing is written."""
    sample_seed: int = 0
    """The seed whose first outputs are kept for the grids."""
    curve: bool = True
    """Whether the training of a cell is watched, for its learning curve."""
    save: bool = False
    """Whether to keep the weights of every cell (those of trained cells are always kept)."""
    plugins: tuple[str, ...] = ()
    """Modules that bring strategies; loaded in every process."""
    catalogue: Catalogue = BUILT_IN
    """The workloads that names mean."""

    @property
    def quality(self) -> QualitySettings:
        """What a task's judge goes by."""
        return QualitySettings(self.num_images, self.metrics, self.extractor, self.extractor_weights, self.download)
