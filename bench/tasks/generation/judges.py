"""Finding the feature network of an experiment by its name: our own, a public one, or the user's."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import torch
from torch import nn

from bench.base.errors import UserError
from bench.tasks.generation.classifier import auto_classifier
from bench.tasks.generation.extractors import EXTRACTORS, Extractor, ImageShape, extractor_of
from bench.tasks.generation.public import PUBLIC, Weights, public_extractor
from bench.workloads.data import ImageData
from bench.workloads.factories import find_function, find_module
from bench.workloads.spec import CLASSIFIER
from bench.workloads.store import state_hash


def find_extractor(
    name: str,
    image_shape: ImageShape,
    weights: Weights | None = None,
    labelled: Callable[[], ImageData] | None = None,
) -> Extractor:
    """The extractor of that name, for images of ``image_shape``.

    Args:
        labelled: the images that ``auto:classifier`` learns from.

    Raises:
        UserError: missing or foreign weights; a user's module that cannot be imported or gives no features.
        UnknownName: no such extractor.
    """
    if name in PUBLIC:
        return public_extractor(name, weights)
    if name == CLASSIFIER and labelled is not None:
        return auto_classifier(labelled(), image_shape)
    return own_extractor(name, image_shape) if ":" in name else EXTRACTORS[name]()


def own_extractor(name: str, image_shape: ImageShape) -> Extractor:
    """What ``function`` of ``module``, or of a Python file that the user names, returns: an `nn.Module` from images in
    [-1, 1] to features, or to features and logits. Its columns are called ``fid[module.function]``.

    Its fingerprint is that of its weights and of the source of its module.

    Raises:
        UserError: no such module, file or function, or it gives something else.
    """
    here = f"quality.extractor: {name!r}"
    module = find_module(name, Path(), here)
    factory = find_function(name, Path(), here)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = factory()
    if not isinstance(network, nn.Module):
        raise UserError(f"{here} returned {type(network).__name__}, expected a torch.nn.Module.")
    fingerprint = hashlib.sha256((state_hash(network.state_dict()) + _source(module)).encode()).hexdigest()
    place, _, function = name.rpartition(":")
    shown = f"{Path(place).stem if place.endswith('.py') else place}.{function}"
    try:
        return extractor_of(shown, network, image_shape, fingerprint=fingerprint)
    except (ValueError, RuntimeError, TypeError, LookupError, AttributeError) as error:
        raise UserError(f"{here} does not judge images of {image_shape}: {error}") from error


def _source(module: ModuleType) -> str:
    try:
        return inspect.getsource(module)
    except (OSError, TypeError):
        path = getattr(module, "__file__", None)
        return Path(path).name if path else module.__name__
