"""What the cells of one process share: loaded workloads, scores, recovered networks, the dense reference."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from bench.base.code import digest
from bench.base.errors import UserError
from bench.base.machine import git_revision, libraries, machine
from bench.base.seeds import stream
from bench.measure.complexity import Macs, count_macs, count_macs_fvcore
from bench.records import Cell, Keys
from bench.records.paths import RunPaths
from bench.sweep.keys import cell_keys, streams
from bench.tasks.generation.extractors import Extractor, nobody
from bench.tasks.generation.judges import find_extractor
from bench.tasks.generation.metrics import METRICS, Terms
from bench.tasks.generation.public import Weights
from bench.tasks.generation.quality import Reference, reference
from bench.training.recovery import parse_recovery
from bench.workloads.base import Workload
from bench.workloads.builtin import BUILT_IN
from bench.workloads.catalogue import Catalogue
from bench.workloads.checkpoints import Checkpoint, load_checkpoint
from bench.workloads.data import DATA_SOURCES, ImageData
from bench.workloads.references import images_named
from bench.workloads.spec import FOLDER
from strategies.base import NotApplicable, Ranking
from strategies.catalog import DENSE, STRATEGIES
from strategies.layers import positions, prunable_layers
from strategies.plugins import PluginError, installed_plugins, load_plugin
from strategies.registry import UnknownName
from strategies.strategy import Strategy

T = TypeVar("T")


@dataclass(frozen=True)
class Settings:
    """How the cells of a run are measured; the same for all of them."""

    num_images: int
    extractor: str = "workload"
    """A registered name, ``module:function``, or ``workload``: the one that the workload names."""
    extractor_weights: Path | None = None
    """The file of a public extractor's weights; None: torch's cache."""
    download: bool = False
    """Whether a public extractor's weights may be downloaded."""
    metrics: tuple[str, ...] = ("fid", "is")
    """None: nothing is judged, and no judge is needed."""
    device: str = "cpu"
    run: Path | None = None
    """The run's folder, for samples and the dense reference; None: nothing is written."""
    sample_seed: int = 0
    """The seed whose first images are kept for the grids."""
    curve: bool = True
    """Whether the training of a cell is watched, for its learning curve."""
    save: bool = False
    """Whether to keep the weights of every cell (those of trained cells are always kept)."""
    plugins: tuple[str, ...] = ()
    """Modules that bring strategies; loaded in every process."""
    catalogue: Catalogue = BUILT_IN
    """The workloads that names mean."""


@dataclass(frozen=True)
class Loaded:
    """A workload with its weights, its data and its judge."""

    workload: Workload
    checkpoint: Checkpoint
    data: ImageData
    extractor: Extractor
    device: str
    real: int
    """How many training images metrics compare one by one with generated ones; 0: none does."""

    @functools.cached_property
    def reference(self) -> Reference:
        """The real images as the judge sees them; computed where something is judged, not where cells are planned."""
        return reference(self.extractor, self.data, self.device, real=self.real)

    @property
    def reference_name(self) -> str:
        """What FID's version says of the real images: which they are, and who judges."""
        return f"{self.data.name}-{self.data.fingerprint[:16]}-{self.extractor.fingerprint[:16]}"


class Workshop:
    """Loads once, scores once, makes each network once. One for each process; the settings never change."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        installed_plugins()
        for name in settings.plugins:
            try:
                load_plugin(name)
            except PluginError as error:
                raise UserError(f"{error}.") from error
        self.paths = RunPaths(settings.run) if settings.run else None
        self._memory: dict[str, tuple[str, Any]] = {}
        self._rankings: dict[str, Ranking | NotApplicable] = {}
        self._small: dict[str, Any] = {}
        # Bound caches, so that they end with the workshop.
        self.load = functools.lru_cache(maxsize=8)(self._load)
        self.forward_macs = functools.lru_cache(maxsize=8)(self._forward_macs)
        self.layer_macs = functools.lru_cache(maxsize=8)(self._layer_macs)

    def _load(self, workload: str, checkpoint: str) -> Loaded:
        """Raises UserError for whatever is wrong with the files, and for a judge of other images."""
        thing = self.settings.catalogue[workload]
        trained = load_checkpoint(thing, checkpoint)
        data = _images_of(trained, thing)
        chosen = self.settings.extractor
        channels, height, width = data.train.shape[1:]
        shape = (channels, height, width)
        weights = Weights(self.settings.extractor_weights, self.settings.download)
        own = thing.own
        labelled = partial(own.classifier_images, shape, data) if own else lambda: data
        name = thing.extractor if chosen == "workload" else chosen
        extractor = find_extractor(name, shape, weights, labelled) if self.settings.metrics else nobody()
        if extractor.image_shape not in (None, shape):
            raise UserError(
                f"quality.extractor: {extractor.name!r} judges images of {extractor.image_shape}, "
                f"workload {workload!r} makes {shape}. Use 'workload' or another extractor."
            )
        metrics = [METRICS[name] for name in self.settings.metrics]
        if extractor.classes is None and any(metric.needs_logits for metric in metrics):
            names = ", ".join(repr(metric.name) for metric in metrics if metric.needs_logits)
            raise UserError(
                f"quality.metrics: {names} needs class scores, and extractor {extractor.name!r} gives features only. "
                'Leave it out, as in metrics = ["fid"], or use another extractor.'
            )
        if data.statistics is not None and any(metric.needs_real for metric in metrics):
            names = ", ".join(repr(metric.name) for metric in metrics if metric.needs_real)
            raise UserError(
                f"quality.metrics: {names} compares image with image, and the reference of workload {workload!r} is "
                "statistics without images. Leave it out, or give images as the reference."
            )
        return Loaded(
            thing,
            trained,
            data,
            extractor,
            self.settings.device,
            min(self.settings.num_images, len(data.train)) if any(metric.needs_real for metric in metrics) else 0,
        )

    def strategy(self, name: str) -> Strategy | None:
        """The strategy of that name; None for dense."""
        return None if name == DENSE else STRATEGIES[name]

    def metric_versions(self, workload: str, checkpoint: str) -> dict[str, str]:
        """Metric -> version: everything that two numbers must share to stand side by side."""
        terms = self.terms(workload, checkpoint)
        return {name: METRICS[name].version(terms) for name in self.settings.metrics}

    def terms(self, workload: str, checkpoint: str) -> Terms:
        """What all quality numbers of a workload share."""
        loaded = self.load(workload, checkpoint)
        return Terms(
            judge=f"{loaded.extractor.name}-{loaded.extractor.fingerprint[:12]}",
            num_images=self.settings.num_images,
            reference=loaded.reference_name,
            real=loaded.real,
            standard=loaded.extractor.standard,
        )

    def keys(self, cell: Cell) -> Keys:
        """The keys of a cell under these settings."""
        loaded = self.load(cell.workload, cell.checkpoint)
        return cell_keys(
            cell,
            workload=loaded.workload,
            checkpoint=loaded.checkpoint.fingerprint,
            data=loaded.data.fingerprint,
            strategy=self.strategy(cell.strategy),
            recovery=parse_recovery(cell.recovery),
            metric_versions=self.metric_versions(cell.workload, cell.checkpoint),
            earlier=loaded.checkpoint.card.get("hashes"),
        )

    def streams(self, cell: Cell) -> frozenset[str]:
        """The random streams that the cell's pruned network depends on."""
        workload = self.settings.catalogue[cell.workload]
        return frozenset(streams(self.strategy(cell.strategy), parse_recovery(cell.recovery), workload))

    def dense_cell(self, cell: Cell) -> Cell:
        """The dense cell of the same recovery and seed, with which ``cell`` is compared."""
        return cell.model_copy(update={"strategy": DENSE, "level": {"sparsity": 0.0}, "target": "params"})

    def dense_key(self, cell: Cell) -> str | None:
        """Its `eval` key; None for a dense cell itself."""
        return None if cell.strategy == DENSE else self.keys(self.dense_cell(cell)).eval

    def remembered(self, kind: str, key: str, make: Callable[[], T]) -> T:
        """The thing of the last call with this kind and key, else a new one; the cells of one network come in a row."""
        if kind not in self._memory or self._memory[kind][0] != key:
            self._memory.pop(kind, None)  # let go of the old network before the new one is made
            self._memory[kind] = (key, make())
        thing: T = self._memory[kind][1]
        return thing

    def once(self, key: str, make: Callable[[], T]) -> T:
        """A small thing, made at the first call with this key and kept."""
        if key not in self._small:
            self._small[key] = make()
        thing: T = self._small[key]
        return thing

    def ranking(self, cell: Cell, rank: Callable[[], Ranking]) -> Ranking:
        """One score for many levels: kept while cells share workload, strategy and, where it matters, seed.

        Raises:
            NotApplicable: the strategy does not fit, found out once for all levels.
        """
        key = self._scored(cell)
        if key not in self._rankings:
            self._rankings.clear()
            try:
                self._rankings[key] = rank()
            except NotApplicable as reason:
                self._rankings[key] = reason
        found = self._rankings[key]
        if isinstance(found, NotApplicable):
            raise NotApplicable(*found.args)
        return found

    def draws(self, cell: Cell) -> bool:
        """Whether what goes hangs on the cell's seed."""
        return "prune" in self.streams(cell)

    def _scored(self, cell: Cell) -> str:
        """What cells must share to be cut by one score."""
        return f"{cell.workload}/{cell.checkpoint}/{cell.strategy}/{cell.seed if self.draws(cell) else None}"

    def cut(self, cell: Cell, make: Callable[[], T]) -> T:
        """One cut for many seeds, where the strategy does not draw: they differ in what comes after it."""
        return self.remembered("cut", f"{self._scored(cell)}/{cell.target}/{cell.level}", make)

    def training_macs(self, cell: Cell) -> int:
        """MACs of the cell's recovery on the dense networks, see `Recovery.training_macs`; 0 without training.

        Schedules that shrink G on the way do less; the cost stated is that of the dense networks, for all alike.
        """
        recovery = parse_recovery(cell.recovery)
        if recovery.steps == 0:
            return 0
        loaded = self.load(cell.workload, cell.checkpoint)
        batch = min(loaded.workload.recipe.spec.batch_size, len(loaded.data.train))
        return recovery.training_macs(*self.forward_macs(cell.workload, cell.checkpoint), batch)

    def macs(self, workload: str, model: nn.Module, inputs: tuple[Tensor, ...]) -> Macs:
        """`count_macs`, once for each architecture: only ``effective`` depends on the weights, see `skipping_zeros`."""
        return self.once(f"macs/{workload}/{_structure(model)}", lambda: count_macs(model, inputs))

    def macs_fvcore(self, workload: str, model: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[int, tuple[str, ...]]:
        """`count_macs_fvcore`, once for each architecture."""
        return self.once(f"fvcore/{workload}/{_structure(model)}", lambda: count_macs_fvcore(model, inputs))

    def _forward_macs(self, workload: str, checkpoint: str) -> tuple[int, int]:
        """MACs of one image through G and through D (0 without D)."""
        loaded = self.load(workload, checkpoint)
        inputs = loaded.workload.inputs.sample(1, stream(0, "eval"))
        macs = self.macs(workload, loaded.checkpoint.generator, inputs).dense
        if loaded.checkpoint.discriminator is None:
            return macs, 0
        image = torch.zeros(1, *loaded.data.train.shape[1:])
        given = loaded.workload.condition.of_inputs(inputs)
        return macs, count_macs(loaded.checkpoint.discriminator, (image, *given)).dense

    def _layer_macs(self, workload: str, checkpoint: str) -> int:
        """MACs of one image in G's layers, without products outside of them: had at once, and enough to deal out work
        and to estimate its time by. Where the layers are not called, all MACs.
        """
        loaded = self.load(workload, checkpoint)
        generator, inputs = loaded.checkpoint.generator, loaded.workload.inputs.sample(1, stream(0, "eval"))
        layers = prunable_layers(generator)
        found = sum(count * layers[name].weight.numel() for name, count in positions(generator, inputs).items())
        return found or self.forward_macs(workload, checkpoint)[0]

    @functools.cached_property
    def provenance(self) -> dict[str, Any]:
        """What every record of this process says about where it was made."""
        return {
            "git": git_revision(),
            "libraries": libraries(),
            "machine": machine(self.settings.device),
            "threads": torch.get_num_threads(),
        }


def _structure(model: nn.Module) -> str:
    """What a network is but for its weights: kinds and order of its modules, as torch writes them, and all shapes."""
    shapes = [(name, tuple(x.shape)) for name, x in model.state_dict().items() if isinstance(x, Tensor)]
    return digest([type(model).__module__, type(model).__qualname__, repr(model), shapes])


def _images_of(checkpoint: Checkpoint, workload: Workload) -> ImageData:
    """The images that a checkpoint was trained on: those of its card, by default those of the workload.

    Raises:
        UserError: there is no such source, or nothing fit to be compared with.
    """
    if workload.own is not None:
        return workload.own.images(checkpoint.generator, checkpoint.fingerprint)
    name = str(checkpoint.card.get("data", workload.data))
    if name not in DATA_SOURCES and not name.startswith(FOLDER):
        raise UserError(f"checkpoint {checkpoint.name!r}: {UnknownName('data source', name, [*DATA_SOURCES])}")
    return images_named(name, workload.image_shape, f"data of workload {workload.name!r}")
