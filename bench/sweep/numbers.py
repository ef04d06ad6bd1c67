"""Everything that is measured on one recovered generator but its latency: the numbers of a record."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

import torch
from safetensors.torch import save
from torch import Tensor, nn

from bench.artifact.folder import save_artifact
from bench.base.code import digest
from bench.base.errors import UserError
from bench.base.files import write_atomically
from bench.base.seeds import stream
from bench.measure.coded import CODED_VERSION, pack
from bench.measure.complexity import MACS_VERSION, skipping_zeros
from bench.measure.footprint import BYTES_VERSION, PARAMS_VERSION, Footprint, footprint, nonzero, peak_resident_bytes
from bench.records import Architecture, Cell, Keys, Layer, Number
from bench.records.store import writable
from bench.sweep.workshop import Loaded, Workshop
from bench.tasks.generation.agreement import (
    FEATURE_DISTANCE_VERSION,
    PSNR_VERSION,
    feature_distance,
    psnr,
    unlike_distance,
)
from bench.tasks.generation.discriminator import D_ACCURACY_VERSION, says_real
from bench.tasks.generation.frechet import frechet_distance, low_rank
from bench.tasks.generation.metrics import METRICS
from bench.tasks.generation.quality import Judged, judge
from bench.training.recovery import Recovered
from bench.workloads.generate import generate
from bench.workloads.store import read_weights
from strategies.base import LayerCut
from strategies.catalog import DENSE
from strategies.layers import prunable_layers, widths

AGREEMENT_IMAGES = 500
"""Agreement is measured on the first so many images of the evaluation set."""

SAMPLE_IMAGES = 16
"""How many images of a cell are kept for the grids."""

SMALL_N = 10_000
"""Below so many images FID's bias is large enough to flag (Chong & Forsyth 2020)."""


@dataclass(frozen=True)
class Measured:
    """The numbers of one cell and what its record needs besides."""

    numbers: dict[str, Number]
    inception_score: float | None
    """None: the output is not finite, or the judge has no classes."""
    finite: bool
    constant: bool
    architecture: Architecture
    layers: list[Layer]
    achieved_params: float
    achieved_macs: float
    peak_memory_bytes: int
    flags: list[str] = field(default_factory=list)


def measure(
    cell: Cell, keys: Keys, recovered: Recovered, shop: Workshop, *, make_dense: Callable[[], Recovered]
) -> Measured:
    """Generate the evaluation images once, judge them once, count the network.

    Args:
        make_dense: the dense network of the same recovery and seed, for a run in which its images are not kept.
    """
    loaded = shop.load(cell.workload, cell.checkpoint)
    settings = shop.settings
    generator = recovered.generator.to(settings.device)  # counting has left a shared network on the CPU
    inputs = loaded.workload.inputs.sample(settings.num_images, stream(cell.seed, "eval"))
    images, finite = generate(generator, inputs, device=settings.device)
    judged = judge(loaded.extractor, images, settings.device)
    numbers = _quality_numbers(judged if finite else None, cell, loaded, shop)
    if cell.strategy == DENSE:
        numbers |= _floor(loaded, shop, cell)
        dense_images = None
        if shop.paths:
            _write_dense(shop, keys.eval, images, judged)
    else:
        dense_images, dense_features = dense_reference(cell, shop, make_dense) if finite else (None, None)
        if dense_images is not None and dense_features is not None:
            unit = shop.once(f"unlike/{shop.dense_key(cell)}", lambda: unlike_distance(dense_features.numpy()))
            numbers |= _agreement(images, judged, loaded, dense_images, dense_features, unit)
    if finite:
        numbers |= _told_apart(cell, recovered, inputs, images, dense_images, shop)
    # One input on the CPU: counting does not depend on the device.
    one = tuple(x[:1] for x in inputs)
    generator = generator.cpu()
    size = footprint(generator)
    macs = skipping_zeros(shop.macs(cell.workload, generator, one), size.layers)
    second, unsupported = shop.macs_fvcore(cell.workload, generator, one)
    numbers |= {
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
    architecture = architecture_of(loaded, generator, recovered)
    dense_macs, _ = shop.forward_macs(cell.workload, cell.checkpoint)
    _keep(cell, keys, recovered, images, shop, numbers)
    flags = [f"uncounted:{name}" for name in macs.uncounted]
    flags += [f"fvcore-unsupported:{name}" for name in unsupported]
    if settings.num_images < SMALL_N:
        flags.append("small-n")
    gaussians = [g for g in (judged.gaussian, loaded.reference.train, loaded.reference.held_out) if g is not None]
    if "fid" in settings.metrics and low_rank(*gaussians):
        flags.append("low-rank-fid")
    return Measured(
        numbers,
        judged.inception_score if finite else None,
        finite,
        bool((images == images[:1]).all()) or bool((images.flatten(1) == images.flatten(1)[:, :1]).all()),
        architecture,
        layers_of(loaded, generator, recovered),
        _achieved_params(loaded, size, recovered.pruned.tied if recovered.pruned else {}),
        1 - macs.effective / dense_macs,
        peak_resident_bytes(),
        flags,
    )


def _exact(value: int, unit: str, version: str) -> Number:
    return Number(value=value, unit=unit, direction="lower", kind="exact", version=version)


def _quality_numbers(judged: Judged | None, cell: Cell, loaded: Loaded, shop: Workshop) -> dict[str, Number]:
    """Every column of every metric that the run asks for; ``judged`` None: without values."""
    numbers = {}
    for name, version in shop.metric_versions(cell.workload, cell.checkpoint).items():
        metric = METRICS[name]
        values = metric.compute(judged, loaded.reference) if judged else {}
        for column in metric.columns:
            numbers[f"{column.name}[{loaded.extractor.name}]"] = Number(
                value=values.get(column.name),
                unit=column.unit,
                direction=column.direction,
                kind="stochastic",
                version=metric.column_version(column.name, version),
                num_images=shop.settings.num_images,
            )
    return numbers


def _floor(loaded: Loaded, shop: Workshop, cell: Cell) -> dict[str, Number]:
    """FID of real held-out images: what a perfect generator that memorises nothing would be near."""
    versions = shop.metric_versions(cell.workload, cell.checkpoint)
    if "fid" not in versions or loaded.reference.held_out is None:
        return {}
    count = len(loaded.data.held_out)
    return {
        f"fid_floor[{loaded.extractor.name}]": Number(
            value=frechet_distance(loaded.reference.train, loaded.reference.held_out),
            unit="squared feature distance",
            direction="none",
            kind="exact",
            version=f"{versions['fid']}/held-out-as-generated",
            num_images=count,
        )
    }


def _agreement(
    images: Tensor, judged: Judged, loaded: Loaded, dense_images: Tensor, dense_features: Tensor, unlike: float
) -> dict[str, Number]:
    extractor = loaded.extractor
    count = len(dense_images)
    distance = feature_distance(dense_features.numpy(), judged.features[:count], unlike)
    values = {
        "psnr-to-dense": (psnr(images[:count], dense_images), "dB", "higher", PSNR_VERSION),
        f"feature-distance-to-dense[{extractor.name}]": (
            distance,
            "of the mean distance between unrelated dense images",
            "lower",
            f"{FEATURE_DISTANCE_VERSION}/{extractor.fingerprint[:12]}",
        ),
    }
    return {
        name: Number.model_validate(
            {
                "value": value,
                "unit": unit,
                "direction": direction,
                "kind": "stochastic",
                "version": version,
                "num_images": count,
            }
        )
        for name, (value, unit, direction, version) in values.items()
    }


def _told_apart(
    cell: Cell,
    recovered: Recovered,
    inputs: tuple[Tensor, ...],
    images: Tensor,
    dense_images: Tensor | None,
    shop: Workshop,
) -> dict[str, Number]:
    """The share of real, dense and these images that D names rightly: the D of the training, else the shipped one.

    A D that wants labels is asked of real images where they have them.
    """
    loaded = shop.load(cell.workload, cell.checkpoint)
    discriminator = recovered.discriminator or loaded.checkpoint.discriminator
    if discriminator is None:
        return {}
    count = min(AGREEMENT_IMAGES, len(images))
    real = loaded.data.train_subset(count)
    condition = loaded.workload.condition
    given = tuple(x[:count] for x in condition.of_inputs(inputs))
    sets: dict[str, tuple[Tensor, tuple[Tensor, ...]]] = {}
    if len(real) and condition.fits(loaded.data.train_labels):
        sets["real"] = (real, condition.of_labels(loaded.data.train_labels[: len(real)]))
    sets["generated"] = (images[:count], given)
    if dense_images is not None:
        sets["dense"] = (dense_images, given)
    shares: dict[str, float] = {}
    for name, (shown, besides) in sets.items():
        judged = partial(says_real, discriminator, shown, loaded.device, given=besides)
        if recovered.discriminator is not None or name == "generated":
            shares[name] = judged()
        else:  # the shipped D sees the same real and dense images in many cells
            shares[name] = shop.once(f"d/{name}/{cell.workload}/{cell.checkpoint}/{cell.recovery}/{cell.seed}", judged)
    return {
        f"d-accuracy-{name}": Number(
            value=share if name == "real" else 1 - share,
            unit="share",
            direction="none",
            kind="stochastic",
            version=f"{D_ACCURACY_VERSION}/{loaded.data.name}-{loaded.data.fingerprint[:16]}-first{len(real)}",
            num_images=len(sets[name][0]),
        )
        for name, share in shares.items()
    }


def dense_reference(cell: Cell, shop: Workshop, make_dense: Callable[[], Recovered]) -> tuple[Tensor, Tensor]:
    """The first images and features of the dense generator of the same recovery and seed.

    Read from the run where its dense cell has left them; made anew, the same to the last bit, where not.
    """
    dense = shop.dense_cell(cell)
    keys = shop.keys(dense)
    if shop.paths and shop.paths.dense_reference(keys.eval).exists():
        with contextlib.suppress(UserError, KeyError):  # damaged: made anew below
            state = read_weights(shop.paths.dense_reference(keys.eval))
            return state["images"], state["features"]
    loaded = shop.load(dense.workload, dense.checkpoint)
    inputs = loaded.workload.inputs.sample(shop.settings.num_images, stream(dense.seed, "eval"))
    images, _ = generate(make_dense().generator, inputs, device=shop.settings.device)
    judged = judge(loaded.extractor, images, shop.settings.device)
    if shop.paths:
        _write_dense(shop, keys.eval, images, judged)
    return images[:AGREEMENT_IMAGES], torch.from_numpy(judged.features[:AGREEMENT_IMAGES])


def _write_dense(shop: Workshop, eval_key: str, images: Tensor, judged: Judged) -> None:
    assert shop.paths is not None
    state = {
        "images": images[:AGREEMENT_IMAGES].contiguous(),
        "features": torch.from_numpy(judged.features[:AGREEMENT_IMAGES]).contiguous(),
    }
    with writable(shop.paths.root):
        write_atomically(shop.paths.dense_reference(eval_key), save(state))


def architecture_of(loaded: Loaded, generator: nn.Module, recovered: Recovered) -> Architecture:
    """The widths of what runs. Masked networks share the dense architecture, and so its latency."""
    shape = widths(generator)
    own, factory = loaded.workload.own, loaded.workload.generator
    made_by = [own.code] if own else [factory.__qualname__]
    kept = recovered.pruned.kept if recovered.pruned else {}
    return Architecture(
        hash=digest([*made_by, shape])[:16],
        widths=shape,
        kept={name: {side: indices.tolist() for side, indices in sides.items()} for name, sides in kept.items()},
        bypassed=list(recovered.pruned.bypassed) if recovered.pruned else [],
    )


def layers_of(loaded: Loaded, generator: nn.Module, recovered: Recovered) -> list[Layer]:
    """Layer by layer: what was there and what is left, counted on the network that was measured."""
    notes = {cut.name: cut.note for cut in recovered.pruned.layers} if recovered.pruned else {}
    masks = recovered.pruned.masks if recovered.pruned else {}
    tied = recovered.pruned.tied if recovered.pruned else {}
    dense = loaded.checkpoint.generator
    before, after, left = widths(dense), widths(generator), prunable_layers(generator)
    found = []
    for name, layer in prunable_layers(dense).items():
        if name in tied:
            kept = 0
        elif name in masks:
            kept = nonzero(masks[name])
        else:
            kept = left[name].weight.numel() if name in left else 0
        cut = LayerCut(
            name,
            type(layer).__name__,
            layer.weight.numel(),
            kept,
            before[name],
            after.get(name, (0, 0)),
            notes.get(name, ""),
        )
        found.append(Layer(**vars(cut)))
    return found


def _achieved_params(loaded: Loaded, size: Footprint, tied: Mapping[str, str]) -> float:
    """Achieved sparsity in weights, counted on the network itself: zeros and weights taken from elsewhere are gone."""
    dense = sum(layer.weight.numel() for layer in prunable_layers(loaded.checkpoint.generator).values())
    return 1 - sum(layer.nonzero for name, layer in size.layers.items() if name not in tied) / dense


def _keep(
    cell: Cell, keys: Keys, recovered: Recovered, images: Tensor, shop: Workshop, numbers: dict[str, Number]
) -> None:
    """Keep a few images for the grids, and the weights where they are asked for or cannot be had again cheaply."""
    if shop.paths is None:
        return
    with writable(shop.paths.root):
        if cell.seed == shop.settings.sample_seed:
            state = {"images": images[:SAMPLE_IMAGES].contiguous()}
            write_atomically(shop.paths.cell_samples(keys.eval), save(state))
        if recovered.curve or shop.settings.save:
            save_artifact(
                shop.paths.artifact(keys.prune),
                recovered,
                workload=cell.workload,
                made_by=cell.model_dump(exclude=set() if shop.streams(cell) else {"seed"}),
                provenance=shop.provenance,
                inputs=shop.load(cell.workload, cell.checkpoint).workload.inputs.sample(1, stream(0, "eval")),
                numbers=numbers,
                judged_seed=cell.seed,
            )
