"""A pruned generator on disk: safetensors and a manifest, no pickle. Loads without Torch-Pruning."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from bench.errors import UserError
from bench.files import write_json
from bench.recovery import Recovered
from bench.workloads.store import load_into, read_json, read_weights, state_hash, write_weights

ARTIFACT_VERSION = 1


def save_artifact(
    folder: Path, recovered: Recovered, *, workload: str, made_by: dict[str, Any], provenance: dict[str, Any]
) -> None:
    """Write ``generator.safetensors``, ``masks.safetensors`` where there are masks, and ``manifest.json``."""
    state = recovered.generator.state_dict()
    masks = dict(recovered.pruned.masks) if recovered.pruned else {}
    kept = recovered.pruned.kept if recovered.pruned else {}
    write_weights(folder / "generator.safetensors", state)
    if masks:
        write_weights(folder / "masks.safetensors", masks)
    write_json(
        folder / "manifest.json",
        {
            "artifact_version": ARTIFACT_VERSION,
            "workload": workload,
            "made_by": made_by,
            "kept": {name: {side: i.tolist() for side, i in sides.items()} for name, sides in kept.items()},
            "masked": sorted(masks),
            "bypassed": list(recovered.pruned.bypassed) if recovered.pruned else [],
            "tied": dict(recovered.pruned.tied) if recovered.pruned else {},
            "hashes": {"generator": state_hash(state)} | ({"masks": state_hash(masks)} if masks else {}),
            "provenance": provenance,
        },
    )


def load_artifact(folder: Path | str, factory: Callable[[], nn.Module] | None = None) -> nn.Module:
    """The pruned generator of ``folder``, in eval mode, bit-equal to the one that was saved.

    Args:
        factory: makes the dense network; by default that of the registered workload that the manifest names.
            The manifest is data: nothing that it names is imported or run.

    Raises:
        UserError: a missing, damaged or foreign file; a workload that is not registered.
    """
    from bench.workloads.builtin import WORKLOADS
    from strategies.keeping import share
    from strategies.slicing import bypass, shrink

    folder = Path(folder)
    place = folder / "manifest.json"
    manifest = read_json(place)
    if not isinstance(manifest, dict) or manifest.get("artifact_version") != ARTIFACT_VERSION:
        found = manifest.get("artifact_version") if isinstance(manifest, dict) else None
        raise UserError(f"{place}: artifact version {found!r}, expected {ARTIFACT_VERSION}.")
    name = manifest.get("workload")
    if factory is None:
        if not isinstance(name, str) or name not in WORKLOADS:
            raise UserError(f"{place}: workload {name!r} is not registered here; pass its factory to `bench.load`.")
        factory = WORKLOADS[name].generator
    path = folder / "generator.safetensors"
    state = read_weights(path)
    hashes = manifest.get("hashes")
    if not isinstance(hashes, dict) or state_hash(state) != hashes.get("generator"):
        raise UserError(f"{path}: is not the file that {place} was written for (its content hash differs).")
    model = factory()
    try:
        kept = {
            str(module): {str(side): torch.tensor(indices, dtype=torch.long) for side, indices in sides.items()}
            for module, sides in manifest.get("kept", {}).items()
        }
        model = bypass(shrink(model, kept), tuple(map(str, manifest.get("bypassed", []))))
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, RuntimeError, OverflowError) as error:
        raise UserError(f"{place}: its kept indices do not fit {type(model).__name__} ({error}).") from error
    load_into(model, state, str(path))
    try:
        share(model, {str(name): str(owner) for name, owner in manifest.get("tied", {}).items()})
    except (KeyError, AttributeError, ValueError) as error:
        raise UserError(f"{place}: its shared layers do not fit {type(model).__name__} ({error}).") from error
    return model.eval()
