"""Finding the feature network of an experiment by its name: our own, a public one, or the user's."""

from __future__ import annotations

import hashlib
import importlib
import inspect
import sys
from pathlib import Path

import torch
from torch import nn

from bench.errors import UserError
from bench.measure.extractors import EXTRACTORS, Extractor, ImageShape, extractor_of
from bench.measure.public import PUBLIC, Weights, public_extractor
from bench.workloads.store import state_hash


def find_extractor(name: str, image_shape: ImageShape, weights: Weights | None = None) -> Extractor:
    """The extractor of that name, for images of ``image_shape``.

    Raises:
        UserError: missing or foreign weights; a user's module that cannot be imported or gives no features.
        UnknownName: no such extractor.
    """
    if name in PUBLIC:
        return public_extractor(name, weights)
    return own_extractor(name, image_shape) if ":" in name else EXTRACTORS[name]()


def own_extractor(name: str, image_shape: ImageShape) -> Extractor:
    """What ``function`` of ``module`` returns: an `nn.Module` from images in [-1, 1] to features, or to features
    and logits. Its columns are called ``fid[module.function]``.

    Its fingerprint is that of its weights and of the source of its module.

    Raises:
        UserError: no such module or function, or it gives something else.
    """
    place, _, function = name.partition(":")
    here = f"quality.extractor: {name!r}"
    try:
        module = importlib.import_module(place)
    except ImportError as error:
        raise UserError(f"{here}: {error}. The module must be importable: installed, or on PYTHONPATH.") from error
    factory = getattr(module, function, None)
    if not callable(factory):
        raise UserError(f"{here}: module {place!r} has no function {function!r}.")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = factory()
    if not isinstance(network, nn.Module):
        raise UserError(f"{here} returned {type(network).__name__}, expected a torch.nn.Module.")
    fingerprint = hashlib.sha256((state_hash(network.state_dict()) + _source(place)).encode()).hexdigest()
    try:
        return extractor_of(name.replace(":", "."), network, image_shape, fingerprint=fingerprint)
    except (ValueError, RuntimeError, TypeError, LookupError, AttributeError) as error:
        raise UserError(f"{here} does not judge images of {image_shape}: {error}") from error


def _source(module: str) -> str:
    try:
        return inspect.getsource(sys.modules[module])
    except (OSError, TypeError):
        path = getattr(sys.modules[module], "__file__", None)
        return Path(path).name if path else module
