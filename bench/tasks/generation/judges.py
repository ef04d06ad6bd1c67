"""Finding the feature network of an experiment by its name: our own, a public one, or the user's."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor, nn

from bench.base.errors import UserError
from bench.base.process import unchanged
from bench.base.raised import in_words
from bench.tasks.generation.classifier import auto_classifier
from bench.tasks.generation.extractors import EXTRACTORS, Extractor, ImageShape, extractor_of
from bench.tasks.generation.public import PUBLIC, Weights, public_extractor
from bench.workloads.data import ImageData
from bench.workloads.factories import find_function, find_module
from bench.workloads.prepare import prepared
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
    try:
        with unchanged(here), torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            module = find_module(name, Path(), here)
            network = find_function(name, Path(), here)()
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"{here} fails: {in_words(error)}") from error
    if not isinstance(network, nn.Module):
        raise UserError(f"{here} returned {type(network).__name__}, expected a torch.nn.Module.")
    network = prepared(network, here)
    fingerprint = hashlib.sha256((state_hash(network.state_dict()) + _source(module)).encode()).hexdigest()
    place, _, function = name.rpartition(":")
    shown = f"{Path(place).stem if place.endswith('.py') else place}.{function}"
    try:
        return extractor_of(shown, Guarded(network, here), image_shape, fingerprint=fingerprint)
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"{here} does not judge images of {image_shape}: {in_words(error)}") from error


class Guarded(nn.Module):
    """A judge of the user's: what it raises is a `UserError` that names it, wherever it is called."""

    def __init__(self, network: nn.Module, here: str) -> None:
        super().__init__()
        self.network, self.here = network, here

    def forward(self, images: Tensor) -> object:
        """Float images ``(N, C, H, W)`` in [-1, 1] -> whatever the user's network gives. Raises UserError."""
        try:
            return self.network(images)
        except Exception as error:
            raise UserError(f"{self.here} fails on images {tuple(images.shape)}: {in_words(error)}") from error


def _source(module: ModuleType) -> str:
    try:
        return inspect.getsource(module)
    except (OSError, TypeError):
        path = getattr(module, "__file__", None)
        return Path(path).name if path else module.__name__
