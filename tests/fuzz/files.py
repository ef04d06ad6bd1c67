"""Damaged files of every kind that is read, each through what reads it: a sentence or a value, never a traceback."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
import torch
from safetensors.torch import save
from torch import nn

from bench.artifact.folder import example_inputs, load_artifact, save_artifact
from bench.experiments import load_experiment
from bench.gate.baseline import baseline_folder, read_baseline, read_images, write_baseline
from bench.gate.command import show
from bench.gate.images import IMAGES_FILE
from bench.records import Failure, LatencyFailure, Manifest, PlannedCell
from bench.records.contributions import CellContributions
from bench.records.store import DamagedFile, RunStore
from bench.report.inputs import ReportInputs
from bench.report.loading import read_run
from bench.report.markdown import render_markdown
from bench.report.model import build_model
from bench.statistics import Contributions
from bench.sweep.cell import make
from bench.sweep.settings import Settings
from bench.sweep.workshop import Workshop
from bench.tables import run_tables
from bench.workloads.builtin import BUILT_IN
from bench.workloads.checkpoints import load_checkpoint, load_initialisation
from bench.workloads.reading import load_checkpoint_file
from bench.workloads.spec import CheckpointSpec
from bench.workloads.store import state_hash, write_weights
from tests.fuzz import damage
from tests.fuzz.attempt import little_memory, tried
from tests.fuzz.tally import Tally
from tests.gate.sides import PLACE, contents
from tests.helpers.cells import NUM_IMAGES, cell, record_of, write_experiment
from tests.report.synthetic import latency_record

MEMORY = 4 * 2**30
"""What reading a file of a few kilobytes may take, at the most."""

REPORTED = 12
"""Every so many-th reading of a run makes its report too."""


@dataclass(frozen=True)
class Kind:
    """A kind of file: where a good one lies, and what reads it."""

    name: str
    path: Path
    read: Callable[[int], object]
    """Is given the number of the attempt."""
    form: str
    """``json``, ``toml`` or ``bytes``."""


def attempts(seed: int, count: int, folder: Path) -> Tally:
    """Damage ``count`` files, one after the other, in ``folder``; each is whole again afterwards."""
    tally = Tally("files")
    kinds = _kinds(folder)
    whole = {kind.name: kind.path.read_bytes() for kind in kinds}
    for kind in kinds:  # a good one is accepted, or nothing that follows says anything
        kind.read(0)
    for number in range(count):
        kind = kinds[number % len(kinds)]
        rng = Random(f"files {seed} {number}")
        _damage(kind, whole[kind.name], rng)
        with little_memory(MEMORY):
            tried(tally, f"files, seed {seed}, attempt {number} ({kind.name})", lambda: kind.read(number))  # noqa: B023
        _mend(kind.path, whole[kind.name])
    return tally


def _damage(kind: Kind, data: bytes, rng: Random) -> None:
    way = rng.random()
    if way < 0.04:
        damage.no_file(kind.path, rng)
        return
    if way < 0.12:
        found = damage.bytes_replaced(data, rng)
    elif way < 0.6 and kind.form == "json":
        found = damage.written(damage.value_changed(json.loads(data), rng))
    else:
        found = damage.bytes_changed(data, rng)
    kind.path.write_bytes(found)


def _mend(path: Path, data: bytes) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    path.write_bytes(data)


def _kinds(folder: Path) -> list[Kind]:
    store = _run(folder / "run")
    paths = store.paths
    baseline = baseline_folder(folder / "results", "mini")
    write_baseline(baseline, contents(), reason="the first", run="main", images=IMAGES)
    artefact = _artefact(folder / "artefact")
    training = _training(folder / "training")
    experiment = write_experiment(folder, latency=True)
    own = folder / "own.toml"
    own.write_text(OWN)

    def run(number: int) -> object:
        return _read_run(paths.root, report=number % REPORTED == 0)

    def artifact(_: int) -> object:
        return load_artifact(artefact), example_inputs(artefact, 1)

    def card(_: int) -> object:
        return load_checkpoint(BUILT_IN["dummy"], str(training)), load_initialisation(BUILT_IN["dummy"], str(training))

    kinds = [
        Kind("experiment", experiment, lambda _: load_experiment(experiment), "toml"),
        Kind("own workload", own, lambda _: load_experiment(own), "toml"),
        Kind("manifest", paths.manifest, run, "json"),
        Kind("environment", paths.environment, run, "json"),
        Kind("record", next(paths.cells.glob("*channel*")), run, "json"),
        Kind("latency", next(paths.latencies.glob("*.json")), run, "json"),
        Kind("failure", next(p for p in paths.failures.iterdir() if "latency" not in p.name), run, "json"),
        Kind("failed timing", next(paths.failures.glob("*.latency.json")), run, "json"),
        Kind("samples", next(paths.samples.iterdir()), run, "bytes"),
        Kind("artefact", artefact / "manifest.json", artifact, "json"),
        Kind("artefact's weights", artefact / "generator.safetensors", artifact, "bytes"),
        Kind("training card", training / "card.json", card, "json"),
        Kind("weights", training / "generator.safetensors", card, "bytes"),
    ]
    kinds += [Kind(f"baseline {name}", baseline / name, lambda _: _read_baseline(baseline), "json") for name in _PARTS]
    kinds.append(Kind("baseline's images", baseline / IMAGES_FILE, lambda _: _read_images(baseline), "bytes"))
    return kinds + [_checkpoint(folder / name) for name in CHECKPOINTS]


IMAGES = {
    (PLACE, seed): CellContributions(
        f"z {seed}", {"fid-inf[judge]": Contributions(50, *(np.linspace(-1.0, 1.0, count) for count in (50, 50, 9)))}
    )
    for seed in (0, 1)
}

_PARTS = ("baseline.json", "cells.json", "architectures.json")

OWN = """
[experiment]
name = "mine"
workloads = ["mine"]
strategies = ["l1-weight-global"]
[[workload]]
name = "mine"
factory = "networks.py:Generator"
arguments = {width = 8, names = ["a", "b"]}
checkpoint = {file = "weights.pt", prefix = "module.", rename = {"a(.)" = 'b\\1'}}
inputs = [{kind = "normal", shape = [16]}, {kind = "labels", classes = 10, form = "one-hot"}]
output = {range = [0, 1], layout = "nchw", shape = [3, 8, 8]}
reference = {source = "images", limit = 100}
[workload.training]
lr = 2e-4
betas = [0.5, 0.9]
[workload.discriminator]
factory = "networks.py:Judge"
"""


def _run(root: Path) -> RunStore:
    """A run with a dense and a pruned cell, a failed one, a timing, a failed one, and samples."""
    store = RunStore(root)
    shop = Workshop(Settings(num_images=NUM_IMAGES))
    records = [record_of(one, shop) for one in (cell("dense"), cell("l1-channel-global"))]
    planned = [PlannedCell(cell=record.cell, keys=record.keys) for record in records]
    failed = PlannedCell(cell=cell("l1-weight-global"), keys=shop.resolve(cell("l1-weight-global")).keys)
    experiment = {"experiment": {"name": "mini", "seeds": [0]}, "report": {"reference": "l1-channel-global"}}
    manifest = Manifest(experiment=experiment, run="main", cells=[*planned, failed])
    environment = {"libraries": {"torch": "2"}, "machine": {"device": "cpu"}, "git": None, "jobs": 1, "threads": 1}
    store.write_manifest(manifest, {**environment, "device": "cpu", "started": "now"})  # type: ignore[typeddict-item]
    for record in records:
        store.write_record(record)
    store.write_failure(Failure(keys=failed.keys, cell=failed.cell, error="E: no", traceback="T", attempt=1))
    architectures = [record.architecture.hash for record in records if record.architecture]
    timing = latency_record("dummy", "l1-channel-global", 1, 1.5).model_copy(
        update={"architecture": architectures[1], "dense_architecture": architectures[0]}
    )
    store.write_latency(timing)
    store.write_latency_failure(
        LatencyFailure(
            latency_key="k", workload="dummy", checkpoint="shipped", architecture=architectures[1], device="cpu",
            backend="onnx", batch=1, error="E: no", traceback="T", attempt=1,
        )
    )  # fmt: skip
    images = torch.zeros(4, 1, 8, 8, dtype=torch.uint8)
    write_weights(store.paths.cell_samples(records[1].keys.eval), {"images": images})
    return store


def _read_run(root: Path, *, report: bool) -> None:
    """What `run`, which goes on, and `report` do with it."""
    store = RunStore(root)
    manifest = store.read_manifest()
    for planned in manifest.cells:
        try:
            store.read_record(planned)
        except DamagedFile:
            continue  # measured again
        store.read_failure(planned)
    inputs = read_run(root)
    run_tables(inputs.records, inputs.latency)
    if report:
        _report(inputs)


def _report(inputs: ReportInputs) -> None:
    model = build_model(inputs)
    text = render_markdown(model, [], [])
    assert "\x1b" not in text, "an escape sequence is in the report"


def _read_baseline(folder: Path) -> str:
    head, _ = read_baseline(folder)
    assert head.reason
    return show(str(folder), results=folder.parent)


def _read_images(folder: Path) -> object:
    """As if its checksum were right, so that what is behind it is reached."""
    path = folder / IMAGES_FILE
    head, _ = read_baseline(folder)
    if path.is_file():
        sums = head.checksums | {IMAGES_FILE: hashlib.sha256(path.read_bytes()).hexdigest()}
        head = head.model_copy(update={"checksums": sums})
    return read_images(folder, head)(PLACE, 0)


def _artefact(folder: Path) -> Path:
    shop = Workshop(Settings(num_images=NUM_IMAGES))
    recovered = make(shop.resolve(cell("l1-channel-global")), shop).recovered
    inputs = BUILT_IN["dummy"].inputs.sample(1, torch.Generator())
    save_artifact(folder, recovered, workload="dummy", made_by={}, provenance={}, inputs=inputs)
    return folder


def _training(folder: Path) -> Path:
    """A folder as `ganprune train` leaves it, of the dummy workload."""
    found = load_checkpoint(BUILT_IN["dummy"])
    assert found.discriminator is not None
    hashes = {}
    for part, network in (("generator", found.generator), ("discriminator", found.discriminator)):
        write_weights(folder / f"{part}.safetensors", network.state_dict())
        hashes[part] = state_hash(network.state_dict())
    card = {"workload": "dummy", "seed": 0, "steps": 0, "hashes": hashes, "torch": "2", "parameters": {"generator": 1}}
    (folder / "card.json").write_text(json.dumps(card))
    return folder


CHECKPOINTS = ("plain.pt", "legacy.pt", "nested.pth", "plain.safetensors")


def _checkpoint(path: Path) -> Kind:
    """A user's checkpoint of a small network."""
    network = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Linear(6, 2))
    state = network.state_dict()
    if path.suffix == ".safetensors":
        path.write_bytes(save(state))
    elif path.name == "nested.pth":
        torch.save({"g_ema": state, "g": dict(state), "args": {"n": 1, "name": "x"}}, path)
    else:
        torch.save(state, path, _use_new_zipfile_serialization=path.name != "legacy.pt")
    entry = "g_ema" if path.name == "nested.pth" else None
    spec = CheckpointSpec(file=path.name, entry=entry)
    return Kind(path.name, path, lambda _: load_checkpoint_file(network, spec, path, "here"), "bytes")
