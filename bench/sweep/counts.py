"""What is counted on a network, whatever its task: parameters, bytes, MACs, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import nn

from bench.base.code import digest
from bench.base.seeds import stream
from bench.measure.coded import CODED_VERSION, pack
from bench.measure.complexity import MACS_VERSION, skipping_zeros
from bench.measure.footprint import BYTES_VERSION, PARAMS_VERSION, Footprint, footprint, nonzero
from bench.records import Architecture, Number
from bench.sweep.resolved import ResolvedCell
from bench.sweep.workshop import Workshop
from bench.training.recovery import Recovered
from bench.workloads.base import Workload
from strategies.cut import LayerCut
from strategies.granularity.units import layer_cuts
from strategies.layers import prunable_layers, widths


@dataclass(frozen=True)
class Counts:
    """Exact numbers, and the shares of weights and of MACs that are gone."""

    numbers: dict[str, Number]
    achieved_params: float
    achieved_macs: float
    flags: list[str]


def count(todo: ResolvedCell, recovered: Recovered, shop: Workshop) -> Counts:
    """Count one network, on the CPU and with one input: counting does not depend on the device."""
    gan = todo.gan
    generator = recovered.generator.cpu()
    one = gan.workload.inputs.sample(1, stream(0, "eval"))
    size = footprint(generator)
    macs = skipping_zeros(shop.macs(gan, generator, one), size.layers)
    second, unsupported = shop.macs_fvcore(gan, generator, one)
    numbers = {
        "params": _exact(size.params, "parameters", PARAMS_VERSION),
        "params_nonzero": _exact(size.params_nonzero, "parameters", PARAMS_VERSION),
        "bytes": _exact(size.bytes_dense, "bytes", BYTES_VERSION),
        "bytes_bitmask": _exact(size.bytes_bitmask, "bytes", BYTES_VERSION),
        "macs_dense": _exact(macs.dense, "MACs", MACS_VERSION),
        "macs_effective": _exact(macs.effective, "MACs", MACS_VERSION),
        "macs_fvcore": _exact(second, "MACs", f"fvcore-{shop.provenance['libraries']['fvcore']}"),
    }
    if recovered.pruned and recovered.pruned.codes:
        numbers["bytes_coded"] = _exact(len(pack(generator, recovered.pruned.codes)), "bytes", CODED_VERSION)
    dense_macs, _ = shop.forward_macs(gan)
    return Counts(
        numbers,
        _achieved_params(gan.checkpoint.generator, size, recovered.pruned.tied if recovered.pruned else {}),
        1 - macs.effective / dense_macs,
        [
            *(f"uncounted:{name}" for name in macs.uncounted),
            *(f"fvcore-unsupported:{name}" for name in unsupported),
        ],
    )


def _exact(value: int, unit: str, version: str) -> Number:
    return Number(value=value, unit=unit, direction="lower", kind="exact", version=version)


def architecture_of(workload: Workload, recovered: Recovered) -> Architecture:
    """The widths of what runs. Masked networks share the dense architecture, and so its latency."""
    shape = widths(recovered.generator)
    made_by = workload.own.code if workload.own else workload.generator.__qualname__
    kept = recovered.pruned.kept if recovered.pruned else {}
    return Architecture(
        hash=digest([made_by, shape])[:16],
        widths=shape,
        kept={name: {side: indices.tolist() for side, indices in sides.items()} for name, sides in kept.items()},
        bypassed=list(recovered.pruned.bypassed) if recovered.pruned else [],
    )


def layers_of(dense: nn.Module, recovered: Recovered) -> list[LayerCut]:
    """Layer by layer: what was there and what is left, counted on the network that was measured."""
    pruned = recovered.pruned
    notes = {cut.name: cut.note for cut in pruned.layers} if pruned else {}
    masks = pruned.masks if pruned else {}
    tied = pruned.tied if pruned else {}
    kept = {name: nonzero(mask) for name, mask in masks.items()} | dict.fromkeys(tied, 0)
    return list(layer_cuts(dense, recovered.generator, kept, notes))


def _achieved_params(dense: nn.Module, size: Footprint, tied: Mapping[str, str]) -> float:
    """Achieved sparsity in weights, counted on the network itself: zeros and weights taken from elsewhere are gone."""
    weights = sum(layer.weight.numel() for layer in prunable_layers(dense).values())
    return 1 - sum(layer.nonzero for name, layer in size.layers.items() if name not in tied) / weights
