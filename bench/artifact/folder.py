"""A pruned generator on disk: safetensors, a manifest and a model card, no pickle. Loads without Torch-Pruning."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NotRequired

import torch
from torch import Tensor, nn
from typing_extensions import TypedDict

from bench.artifact.finished import FinishedFiles, FinishNote, write_finished
from bench.base.errors import UserError
from bench.base.files import clear_unfinished, write_atomically, write_json
from bench.base.outside import RECORDS, read_json
from bench.base.printable import shortened
from bench.base.raised import in_words
from bench.records import Number
from bench.training.recovery import Recovered
from bench.workloads.base import FactoryNote
from bench.workloads.prepare import is_unmaterialised, materialise, prepared
from bench.workloads.store import load_into, read_weights, state_hash, write_weights

ARTIFACT_VERSION = 1
MOST_ENTRIES = 2**24
"""An example input that a manifest describes may have so many entries, no more."""
TYPES = {"float32": torch.float32, "int64": torch.int64}
"""Types of generator inputs."""


class InputShape(TypedDict):
    """One input of the generator."""

    shape: list[int]
    """Behind the batch."""
    dtype: str
    """``float32``, or ``int64`` for class labels."""


class ArtifactManifest(TypedDict):
    """How the network is made again. It is data: nothing that it names is imported or run."""

    artifact_version: int
    """Of this file; a reader refuses another."""
    workload: str
    """The registered workload whose factory makes the network dense; else who loads it passes a factory."""
    factory: FactoryNote | None
    """Of a workload of the user's; None: a built-in one."""
    made_by: dict[str, Any]
    """The fields of the cell; without ``seed`` where the network depends on none."""
    inputs: list[InputShape]
    """What the generator takes."""
    kept: dict[str, dict[str, list[int]]]
    """For each resized module, the kept ``out`` and ``in`` indices: they make it smaller."""
    masked: list[str]
    """Layers that have a mask in ``masks.safetensors``; their weights hold the zeros already."""
    bypassed: list[str]
    """Modules that become the identity."""
    tied: dict[str, str]
    """Layers that take another layer's weight, and which."""
    hashes: dict[str, str]
    """``generator``, and ``masks`` and ``codes`` where there are any -> content hash of the tensors in that file."""
    provenance: dict[str, Any]
    """``git, libraries, machine, threads``: where it was made."""
    finish: NotRequired[FinishNote]
    """The finished network that lies beside the weights, in files of its own; missing: there is none."""


def save_artifact(
    folder: Path,
    recovered: Recovered,
    *,
    workload: str,
    made_by: dict[str, Any],
    provenance: dict[str, Any],
    factory: FactoryNote | None = None,
    inputs: tuple[Tensor, ...] = (),
    numbers: Mapping[str, Number] | None = None,
    judged_seed: int | None = None,
    finished: FinishedFiles | None = None,
) -> None:
    """Write ``generator.safetensors``, the masks and codes where there are any, ``manifest.json``, ``MODEL_CARD.md``.

    Args:
        workload: the name of the registered factory, or of one that whoever loads it has to pass.
        made_by: the cell's fields.
        factory: of a workload of the user's, its factory and arguments.
        inputs: inputs of the generator, for its manifest: shapes behind the batch, and types.
        numbers: what was measured, for the card, and on whose evaluation inputs (``judged_seed``).
        finished: the network as it is shipped, which the numbers are of.
    """
    from bench.artifact.card import model_card  # pandas: loading does without

    pruned = recovered.pruned
    tensors: dict[str, Mapping[str, Tensor]] = {"generator": recovered.generator.state_dict()}
    if pruned and pruned.masks:
        tensors["masks"] = pruned.masks
    if pruned and pruned.codes:
        tensors["codes"] = pruned.codes
    clear_unfinished(folder)
    for name, state in tensors.items():
        write_weights(folder / f"{name}.safetensors", state)
    kept = pruned.kept if pruned else {}
    manifest: ArtifactManifest = {
        "artifact_version": ARTIFACT_VERSION,
        "workload": workload,
        "factory": factory,
        "made_by": made_by,
        "inputs": [{"shape": list(x.shape[1:]), "dtype": str(x.dtype).removeprefix("torch.")} for x in inputs],
        "kept": {name: {side: i.tolist() for side, i in sides.items()} for name, sides in kept.items()},
        "masked": sorted(pruned.masks) if pruned else [],
        "bypassed": list(pruned.bypassed) if pruned else [],
        "tied": dict(pruned.tied) if pruned else {},
        "hashes": {name: state_hash(state) for name, state in tensors.items()},
        "provenance": provenance,
    }
    if finished is not None:
        manifest["finish"] = write_finished(folder, finished)
    write_json(folder / "manifest.json", manifest)
    write_atomically(folder / "MODEL_CARD.md", model_card(manifest, recovered, numbers or {}, judged_seed))


@dataclass(frozen=True)
class Artifact:
    """The files of a folder, read and checked against their hashes; nothing of them has been run."""

    manifest: dict[str, Any]
    generator: dict[str, Tensor]
    masks: dict[str, Tensor]
    """Layer -> bool tensor of the weight's shape, True where the weight stayed."""
    codes: dict[str, Tensor]
    """Layer -> the level that each weight is on, uint8."""


def read_artifact(folder: Path | str) -> Artifact:
    """The manifest and the tensors of ``folder``.

    Raises:
        UserError: a missing, damaged or foreign file, or one that the manifest was not written for.
    """
    folder = Path(folder)
    place = folder / "manifest.json"
    manifest = read_json(place, RECORDS)
    version = manifest.get("artifact_version") if isinstance(manifest, dict) else None
    if not isinstance(manifest, dict) or version != ARTIFACT_VERSION:
        raise UserError(f"{place}: artifact version {shortened(repr(version), 40)}, expected {ARTIFACT_VERSION}.")
    hashes = manifest.get("hashes")
    found: dict[str, dict[str, Tensor]] = {}
    for name in ("generator", "masks", "codes"):
        path = folder / f"{name}.safetensors"
        known = hashes.get(name) if isinstance(hashes, dict) else None
        if name != "generator" and known is None:
            found[name] = {}
            continue
        found[name] = read_weights(path)
        if state_hash(found[name]) != known:
            raise UserError(f"{path}: is not the file that {place} was written for (its content hash differs).")
    return Artifact(manifest, **found)


def load_artifact(folder: Path | str, factory: Callable[..., nn.Module] | None = None) -> nn.Module:
    """The pruned generator of ``folder``, in eval mode, bit-equal to the one that was saved.

    Args:
        factory: makes the dense network; by default that of the registered workload that the manifest names. It is
            called with the arguments that the manifest holds, where it takes them.
            The manifest is data: nothing that it names is imported or run.

    Raises:
        UserError: a missing, damaged or foreign file; a workload that is not registered; a factory that fails.
    """
    from strategies.keeping import share
    from strategies.slicing import bypass, shrink

    folder = Path(folder)
    place = folder / "manifest.json"
    manifest = (artifact := read_artifact(folder)).manifest
    model = _dense(factory, manifest, place) if factory else _registered(manifest, place)()
    if is_unmaterialised(model):
        materialise(model, example_inputs(folder, 2), str(place))
    try:
        kept = {
            str(module): {str(side): torch.tensor(indices, dtype=torch.long) for side, indices in sides.items()}
            for module, sides in manifest.get("kept", {}).items()
        }
        if kept or set(model.state_dict()) != set(artifact.generator):  # `shrink` makes normalised weights plain
            model = shrink(model, kept)
    except _UNFIT as error:
        raise UserError(f"{place}: its kept indices do not fit {type(model).__name__} ({error}).") from error
    try:
        bypassed = tuple(map(str, manifest.get("bypassed", [])))
        if "" in bypassed:
            raise ValueError("a module without a name is the whole network")
        model = bypass(model, bypassed)
    except _UNFIT as error:
        raise UserError(f"{place}: its bypassed modules do not fit {type(model).__name__} ({error}).") from error
    load_into(model, artifact.generator, str(folder / "generator.safetensors"))
    try:
        share(model, {str(name): str(owner) for name, owner in manifest.get("tied", {}).items()})
    except _UNFIT as error:
        raise UserError(f"{place}: its shared layers do not fit {type(model).__name__} ({error}).") from error
    return model.eval()


def _dense(factory: Callable[..., nn.Module], manifest: Mapping[str, Any], place: Path) -> nn.Module:
    """The dense network of the user's ``factory``, with the manifest's arguments where it takes them."""
    note = manifest.get("factory")
    said = note.get("arguments") if isinstance(note, Mapping) else None
    arguments = said if isinstance(said, Mapping) and all(isinstance(key, str) for key in said) else {}
    name = getattr(factory, "__qualname__", type(factory).__name__)
    try:
        inspect.signature(factory).bind(**arguments)
    except (TypeError, ValueError):
        arguments = {}  # it has its own: a partial, a lambda
    try:
        model = factory(**arguments)
    except Exception as error:
        how = f"with the arguments {dict(arguments)} of {place}" if arguments else "without arguments"
        raise UserError(
            f"factory {name!r}, called {how}: fails: {in_words(error)}. Pass one that needs none, such as "
            "functools.partial(Generator, width=64)."
        ) from error
    if not isinstance(model, nn.Module):
        raise UserError(f"factory {name!r}: returned {type(model).__name__}, expected a torch.nn.Module.")
    return prepared(model, f"factory {name!r}")


_UNFIT = (KeyError, IndexError, TypeError, ValueError, AttributeError, RuntimeError, OverflowError)
"""What a manifest that does not belong to a network can raise."""


def _registered(manifest: dict[str, Any], place: Path) -> Callable[[], nn.Module]:
    from bench.workloads.builtin import BUILT_IN

    name = manifest.get("workload")
    if not isinstance(name, str) or name not in BUILT_IN:
        raise UserError(f"{place}: workload {name!r} is not registered here; pass its factory to `ganprune.load`.")
    return BUILT_IN[name].generator


def example_inputs(folder: Path | str, batch: int) -> tuple[Tensor, ...]:
    """Inputs for the generator of ``folder`` by the shapes of its manifest: normal noise, zeros for class labels.

    The same at every call.

    Raises:
        UserError: shapes that are no shapes, or unreasonably large.
    """
    place = Path(folder) / "manifest.json"
    described = read_artifact(folder).manifest.get("inputs")
    if not described:
        raise UserError(f"{place}: says nothing of the generator's inputs. Prune it again with this version.")
    rng = torch.Generator().manual_seed(0)
    try:
        return tuple(_example(one, batch, rng) for one in described)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{place}, inputs: not shapes and types of tensors ({error}).") from error


def _example(described: Mapping[str, Any], batch: int, rng: torch.Generator) -> Tensor:
    shape = [batch, *described["shape"]]
    if not all(type(size) is int and size > 0 for size in shape) or len(shape) > 8:
        raise ValueError(f"shape {described['shape']!r}")
    entries = 1
    for size in shape:
        entries *= size
    if entries > MOST_ENTRIES:
        raise ValueError(f"shape {described['shape']!r} has more than {MOST_ENTRIES} entries")
    dtype = TYPES[described["dtype"]]
    return torch.randn(shape, generator=rng) if dtype.is_floating_point else torch.zeros(shape, dtype=dtype)
