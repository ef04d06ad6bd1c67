"""What one side of a comparison consists of: the same for a run, a baseline, and a revision's baseline."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bench.base.errors import UserError
from bench.experiments.gate import Gate
from bench.experiments.places import Place, place_of_cell
from bench.records import Architecture, Manifest, Record
from bench.records.store import RunStore
from bench.tasks import GATED


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class CellValues(_Frozen):
    """All seeds of one cell; every list is in the order of ``seeds``."""

    seeds: list[int]
    """In ascending order."""
    varies: str
    """As in a record."""
    status: list[str]
    """As in a record."""
    reason: list[str]
    """Why, where the status is not ``ok``."""
    architecture: list[str | None]
    """Hashes of `Shape`s; null where nothing was measured."""
    values: dict[str, list[float | int | None]]
    """By metric; null where a seed has no such number."""

    def at(self, seeds: Sequence[int], metric: str) -> list[float | int | None]:
        """The values of a metric under these seeds."""
        column = self.values.get(metric, [None] * len(self.seeds))
        return [column[self.seeds.index(seed)] for seed in seeds]


class Terms(_Frozen):
    """What two numbers must share to be compared."""

    unit: str
    """As in a record's number, like all that follow."""
    direction: Literal["lower", "higher", "none"]
    """Which way is better."""
    kind: Literal["exact", "stochastic"]
    """``exact`` is compared by equality."""
    version: str
    """How it was measured."""
    num_images: int | None
    """Over how many images."""


class Shape(_Frozen):
    """A generator as channel widths: enough to build it again and time it, whatever its weights."""

    widths: dict[str, tuple[int, int]]
    """``[out, in]`` of each convolution and linear layer."""
    sizes: dict[str, dict[str, int]]
    """How many ``out`` and ``in`` channels are left of each resized module, norms included."""


class Environment(_Frozen):
    """On what stochastic numbers depend in their last digits."""

    libraries: dict[str, str]
    """Versions."""
    machine: dict[str, Any]
    """What kind of machine."""
    device: str
    """``cpu`` or ``cuda``."""
    threads: int
    """Of the process that measured."""

    @property
    def torch(self) -> str:
        return self.libraries.get("torch", "unknown")

    @property
    def label(self) -> str:
        threads = f"{self.threads} thread{'s' if self.threads != 1 else ''}"
        return f"torch {self.torch} on {self.machine.get('device', 'an unknown machine')}, {threads}"

    def same_numbers(self, other: Environment) -> bool:
        """Whether the same cell has the same number to the last bit in both."""
        return self.label == other.label and self.device == other.device


class Contents(_Frozen):
    """Everything that is compared."""

    experiment: dict[str, Any]
    """As in a run's manifest."""
    cells: dict[str, CellValues]
    """By the JSON list of the cell's `Place`."""
    terms: dict[str, dict[str, Terms]]
    """Workload -> metric -> terms."""
    shapes: dict[str, Shape]
    checkpoints: dict[str, str]
    """``workload checkpoint`` -> hash of the trained weights."""
    inputs: dict[str, str] = Field(default_factory=dict)
    """``workload seed`` -> hash of the evaluation inputs; only where they could be drawn as the run drew them."""
    environments: list[Environment]
    git: list[str]
    """Revisions of the code that measured."""

    @property
    def name(self) -> str:
        return str(self.experiment["experiment"]["name"])

    @property
    def places(self) -> dict[Place, CellValues]:
        return {place_of(key): values for key, values in self.cells.items()}

    def cells_at(self, place: Place) -> dict[str, list[float | int | None]]:
        """Metric -> values of a cell; empty where there is no such cell."""
        found = self.places.get(place)
        return found.values if found else {}


def key_of(place: Place) -> str:
    """A place as a line: its parts joined by `` | ``."""
    return " | ".join(part.replace("|", "/") for part in place)


def place_of(key: str) -> Place:
    """The place of a line."""
    parts = key.split(" | ")
    if len(parts) != len(Place._fields):
        raise ValueError(f"{key!r} is not a cell")
    return Place(*parts)


def gate_of(contents: Contents, label: str) -> Gate:
    """The rules that came with a side.

    Raises:
        UserError: they are not rules of this version.
    """
    try:
        return Gate.model_validate(contents.experiment.get("gate") or {})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, ("gate", *first["loc"])))
        raise UserError(f"{label}: its {where} is not understood ({first['msg']}).") from error


def records_of_run(folder: Path) -> tuple[Manifest, list[Record]]:
    """What a run has finished, every cell of its manifest.

    Cells that failed or are not there yet have no seed: the comparison calls them missing.

    Raises:
        UserError: a damaged file.
    """
    store = RunStore(folder)
    manifest = store.read_manifest()
    records = [record for planned in manifest.cells if (record := store.read_record(planned)) is not None]
    return manifest, records


def contents_of_run(folder: Path) -> Contents:
    """The same as what is compared.

    Raises:
        UserError: also numbers of different versions under one name.
    """
    return contents_of_records(*records_of_run(folder))


def contents_of_records(manifest: Manifest, records: Sequence[Record]) -> Contents:
    """What is compared, from records in memory."""
    by_place: dict[Place, list[Record]] = {}
    shapes: dict[str, Shape] = {}
    environments: list[Environment] = []
    checkpoints: dict[str, str] = {}
    for record in records:
        by_place.setdefault(place_of_cell(record.cell), []).append(record)
        if record.architecture is not None:
            shapes.setdefault(record.architecture.hash, shape_of(record.architecture))
        made_in = record.provenance
        checkpoints[f"{record.cell.workload} {record.cell.checkpoint}"] = made_in.checkpoint
        environment = Environment(
            libraries=made_in.libraries, machine=made_in.machine, device=made_in.device, threads=made_in.threads
        )
        if environment not in environments:
            environments.append(environment)
    return Contents(
        experiment=manifest.experiment,
        cells={key_of(place): _values(by_place[place]) for place in sorted(by_place)},
        terms=_terms(records),
        shapes=dict(sorted(shapes.items())),
        checkpoints=dict(sorted(checkpoints.items())),
        inputs=_inputs(records, environments),
        environments=environments,
        git=sorted({record.provenance.git for record in records if record.provenance.git}),
    )


def shape_of(architecture: Architecture) -> Shape:
    return Shape(
        widths=architecture.widths,
        sizes={
            module: {side: len(indices) for side, indices in sides.items()}
            for module, sides in architecture.kept.items()
        },
    )


def _values(records: Sequence[Record]) -> CellValues:
    records = sorted(records, key=lambda record: record.cell.seed)
    metrics = sorted({name for record in records for name in record.numbers})
    return CellValues(
        seeds=[record.cell.seed for record in records],
        varies=records[0].varies,
        status=[record.status for record in records],
        reason=[record.reason for record in records],
        architecture=[record.architecture.hash if record.architecture else None for record in records],
        values={
            name: [record.numbers[name].value if name in record.numbers else None for record in records]
            for name in metrics
        },
    )


def _terms(records: Iterable[Record]) -> dict[str, dict[str, Terms]]:
    found: dict[str, dict[str, Terms]] = {}
    for record in records:
        table = found.setdefault(record.cell.workload, {})
        for name, number in record.numbers.items():
            terms = Terms(
                unit=number.unit,
                direction=number.direction,
                kind=number.kind,
                version=number.version,
                num_images=number.num_images,
            )
            if table.setdefault(name, terms) != terms:
                raise UserError(
                    f"{record.cell.label}, {name}: version {terms.version}, other cells have {table[name].version}. "
                    "Numbers of different versions are never put side by side; run the older cells again."
                )
    return {workload: dict(sorted(table.items())) for workload, table in sorted(found.items())}


def _inputs(records: Sequence[Record], environments: Sequence[Environment]) -> dict[str, str]:
    """Hashes of the evaluation inputs, drawn again: only the torch that drew them is sure to draw the same."""
    if {environment.torch for environment in environments} != {metadata.version("torch")}:
        return {}
    from bench.gate.latents import inputs_hash

    images = {record.cell.workload: number.num_images for record in records for number in _judged(record)}
    found = {}
    for workload, seed in sorted({(record.cell.workload, record.cell.seed) for record in records}):
        count = images.get(workload)
        digest = inputs_hash(workload, seed, count) if count else None
        if digest is not None:
            found[f"{workload} {seed}"] = digest
    return found


def _judged(record: Record) -> list[Any]:
    return [n for name, n in record.numbers.items() if name.partition("[")[0] in GATED and n.num_images]
