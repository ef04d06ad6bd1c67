"""What the cells of one process share: loaded workloads, scores, recovered networks, counts."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from bench.artifact.finishes import Finish
from bench.base.code import Code
from bench.base.errors import UserError
from bench.base.kept import Kept
from bench.base.machine import check_device, git_revision, libraries, machine
from bench.base.precision import use_tf32
from bench.base.seeds import stream
from bench.measure.complexity import Macs, count_macs, count_macs_fvcore
from bench.measure.structure import structure
from bench.records import Cell, Keys
from bench.records.finishes import NO_FINISH
from bench.records.paths import RunPaths
from bench.sweep.finishing import finish_named
from bench.sweep.keys import cell_keys, streams
from bench.sweep.made import Made
from bench.sweep.resolved import Loaded, ResolvedCell
from bench.sweep.rough import rough_macs
from bench.sweep.settings import Settings
from bench.tasks import TASKS
from bench.tasks.evaluation import Evaluation
from bench.training.recovery import Recovery, parse_recovery
from bench.workloads.base import Workload
from bench.workloads.checkpoints import Checkpoint, load_checkpoint
from bench.workloads.data import DATA_SOURCES, ImageData
from bench.workloads.loaded import Gan
from bench.workloads.references import images_named
from bench.workloads.spec import FOLDER
from strategies.base import Level, NotApplicable, Pruned, Ranking, Wiring
from strategies.builtin import DENSE, STRATEGIES
from strategies.composition import Strategy
from strategies.constraining import constrained
from strategies.constraints import Constraints
from strategies.plugins import PluginError, installed_plugins, load_plugin
from strategies.registry import UnknownName

T = TypeVar("T")

Training = tuple[str, str]
"""Workload and checkpoint: one trained GAN."""

ScoreKey = tuple[Training, str, int | None]
"""What cells must share to be cut by one score: the GAN, the strategy and, where it draws, the seed."""

CutKey = tuple[ScoreKey, str, Level]
"""And the target and the level: what they must share to have one pruned network before recovery."""


class Last(Generic[T]):
    """The thing of the last key alone: cells that share a network come in a row."""

    def __init__(self) -> None:
        self._kept: Kept[Any, T] = Kept(most=1)

    def get(self, key: object, make: Callable[[], T]) -> T:
        """The thing of the last call where it had this key, else a new one."""
        return self._kept.get(key, make)


class Workshop:
    """Loads once, scores once, makes each network once. One for each process; the settings never change."""

    def __init__(self, settings: Settings) -> None:
        """Raises UserError for a device that is not here, and for a plug-in that cannot be loaded."""
        check_device(settings.device)
        if torch.device(settings.device).type == "cuda":
            use_tf32(False)  # numbers are those of float32, as on a CPU
        self.settings = settings
        installed_plugins()
        for name in settings.plugins:
            try:
                load_plugin(name)
            except PluginError as error:
                raise UserError(f"{error}.") from error
        self.paths = RunPaths(settings.run) if settings.run else None
        self.cuts: Last[tuple[Pruned, float]] = Last()
        self.networks: Last[Made] = Last()
        self.wirings: Kept[Training, Wiring] = Kept()
        self.dense_leading: Kept[tuple[Training, str, int], float | None] = Kept()
        """By recovery and seed: the leading number of dense on the inputs of a learning curve."""
        self._rankings: Kept[ScoreKey, Ranking | NotApplicable] = Kept(most=1)
        self._dense: Kept[tuple[Training, str, int], ResolvedCell] = Kept()
        self._code = Code()
        self._loaded: Kept[Training, Loaded] = Kept(most=8)
        self._evaluations: Kept[str, Evaluation[Any]] = Kept()
        self._recoveries: Kept[str, Recovery] = Kept()
        self._macs: Kept[tuple[str, str], Macs] = Kept()
        self._macs_fvcore: Kept[tuple[str, str], tuple[int, tuple[str, ...]]] = Kept()
        self._forward_macs: Kept[Training, tuple[int, int]] = Kept()
        self._layer_macs: Kept[Training, int] = Kept()

    # From names to things.

    def resolve(self, cell: Cell) -> ResolvedCell:
        """The cell with all that its names mean.

        Raises:
            UserError: whatever is wrong with the files of its workload; a judge that does not fit; a finish whose
            packages are not installed.
            UnknownName: no such workload or strategy.
        """
        key = (cell.workload, cell.checkpoint), cell.recovery, cell.seed
        if cell.strategy == DENSE and cell.finish == NO_FINISH:
            return self._dense.get(key, lambda: self._resolved(cell, None))
        dense = self._dense.get(key, lambda: self._resolved(dense_of(cell), None))
        if cell.finish == NO_FINISH:
            return self._resolved(cell, dense)
        unfinished = self.resolve(cell.model_copy(update={"finish": NO_FINISH}))
        return self._resolved(cell, dense, finish_named(cell.finish), unfinished)

    def _resolved(
        self,
        cell: Cell,
        dense: ResolvedCell | None,
        finish: Finish | None = None,
        unfinished: ResolvedCell | None = None,
    ) -> ResolvedCell:
        loaded = self.load(cell.workload, cell.checkpoint)
        recovery = self._recoveries.get(cell.recovery, lambda: parse_recovery(cell.recovery))
        strategy = self.strategy(cell)
        return ResolvedCell(
            cell,
            self._keys(cell, loaded, strategy, recovery, finish),
            dense,
            loaded,
            strategy,
            Level(*next(iter(cell.level.items()))),
            recovery,
            frozenset(streams(strategy, recovery, loaded.gan.workload, finish)),
            finish,
            unfinished,
        )

    def _keys(
        self, cell: Cell, loaded: Loaded, strategy: Strategy | None, recovery: Recovery, finish: Finish | None
    ) -> Keys:
        return cell_keys(
            cell,
            workload=loaded.gan.workload,
            checkpoint=loaded.gan.checkpoint.fingerprint,
            data=loaded.gan.data.fingerprint,
            strategy=strategy,
            recovery=recovery,
            metric_versions=dict(loaded.judge.versions),
            earlier=loaded.gan.checkpoint.card.get("hashes"),
            finish=finish,
            code=self._code,
        )

    def load(self, workload: str, checkpoint: str) -> Loaded:
        """A workload's weights, images and judge. Raises UserError for whatever is wrong with them."""
        return self._loaded.get((workload, checkpoint), lambda: self._load(workload, checkpoint))

    def _load(self, workload: str, checkpoint: str) -> Loaded:
        thing = self.settings.catalogue[workload]
        trained = load_checkpoint(thing, checkpoint)
        gan = Gan(thing, trained, _images_of(trained, thing), self.settings.device)
        evaluation = self._evaluations.get(thing.task, TASKS[thing.task].evaluation)
        return Loaded(gan, evaluation.judge(gan, self.settings.quality))

    def strategy(self, cell: Cell) -> Strategy | None:
        """The strategy of that name, under the cell's constraints; None for dense."""
        return None if cell.strategy == DENSE else constrained(STRATEGIES[cell.base], Constraints.of(cell.constraints))

    # What cells share.

    def ranking(self, todo: ResolvedCell, rank: Callable[[], Ranking]) -> Ranking:
        """One score for many levels: kept while cells share workload, strategy and, where it matters, seed.

        Raises:
            NotApplicable: the strategy does not fit, found out once for all levels.
        """

        def ranked() -> Ranking | NotApplicable:
            try:
                return rank()
            except NotApplicable as reason:
                return reason

        found = self._rankings.get(_scored(todo), ranked)
        if isinstance(found, NotApplicable):
            raise NotApplicable(*found.args)
        return found

    def cut(self, todo: ResolvedCell, make: Callable[[], tuple[Pruned, float]]) -> tuple[Pruned, float]:
        """One cut for many seeds, where the strategy does not draw: they differ in what comes after it."""
        key: CutKey = (_scored(todo), todo.cell.target, todo.level)
        return self.cuts.get(key, make)

    # Counts.

    def training_macs(self, todo: ResolvedCell) -> int:
        """MACs of the cell's recovery on the dense networks, see `Recovery.training_macs`; 0 without training.

        Schedules that shrink G on the way do less; the cost stated is that of the dense networks, for all alike.
        """
        if todo.recovery.steps == 0:
            return 0
        gan = todo.gan
        batch = min(gan.workload.recipe.spec.batch_size, len(gan.data.train))
        return todo.recovery.training_macs(*self.forward_macs(gan), batch)

    def macs(self, gan: Gan, model: nn.Module, inputs: tuple[Tensor, ...]) -> Macs:
        """`count_macs`, once for each architecture: only ``effective`` depends on the weights, see `skipping_zeros`."""
        return self._macs.get((gan.workload.name, structure(model)), lambda: count_macs(model, inputs))

    def macs_fvcore(self, gan: Gan, model: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[int, tuple[str, ...]]:
        """`count_macs_fvcore`, once for each architecture."""
        return self._macs_fvcore.get((gan.workload.name, structure(model)), lambda: count_macs_fvcore(model, inputs))

    def forward_macs(self, gan: Gan) -> tuple[int, int]:
        """MACs of one image through G and through D (0 without D)."""

        def counted() -> tuple[int, int]:
            inputs = gan.workload.inputs.sample(1, stream(0, "eval"))
            macs = self.macs(gan, gan.checkpoint.generator, inputs).dense
            if gan.checkpoint.discriminator is None:
                return macs, 0
            image = torch.zeros(1, *gan.data.train.shape[1:])
            given = gan.workload.condition.of_inputs(inputs)
            return macs, count_macs(gan.checkpoint.discriminator, (image, *given)).dense

        return self._forward_macs.get(_training(gan), counted)

    def layer_macs(self, gan: Gan) -> int:
        """MACs of one image in G's layers, without products outside of them: had at once, and enough to deal out work
        and to estimate its time by. Where they are not called or of another kind than PyTorch's, all MACs.
        """

        def counted() -> int:
            inputs = gan.workload.inputs.sample(1, stream(0, "eval"))
            return rough_macs(gan.checkpoint.generator, inputs) or self.forward_macs(gan)[0]

        return self._layer_macs.get(_training(gan), counted)

    @functools.cached_property
    def provenance(self) -> dict[str, Any]:
        """What every record of this process says about where it was made."""
        return {
            "git": git_revision(),
            "libraries": libraries(),
            "machine": machine(self.settings.device),
            "threads": torch.get_num_threads(),
        }


def dense_of(cell: Cell) -> Cell:
    """The dense cell of the same recovery and seed, with which ``cell`` is compared; it has no finish."""
    dense = {"strategy": DENSE, "constraints": {}, "level": {"sparsity": 0.0}, "target": "params", "finish": NO_FINISH}
    return cell.model_copy(update=dense)


def _training(gan: Gan) -> Training:
    return gan.workload.name, gan.checkpoint.name


def _scored(todo: ResolvedCell) -> ScoreKey:
    return _training(todo.gan), todo.cell.strategy, todo.cell.seed if todo.draws else None


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
