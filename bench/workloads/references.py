"""The real images of a user's workload: a folder, an .npz, a torchvision data set, or the dense generator's own."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save
from torch import Tensor

from bench.base.cache import cached
from bench.base.errors import UserError
from bench.workloads.archives import Archive
from bench.workloads.data import DATA_SOURCES, ImageData, split_by_hash
from bench.workloads.images import Folder, fitted, read_folder
from bench.workloads.moments import COUNT, COVARIANCE, MEAN, read_statistics
from bench.workloads.room import check_room
from bench.workloads.spec import DENSE_SAMPLES, FOLDER, TORCHVISION, ReferenceSpec
from bench.workloads.store import read_weights
from bench.workloads.torchvision_data import read_torchvision
from bench.workloads.walk import shown

if TYPE_CHECKING:
    from PIL.Image import Image

DENSE_IMAGES = 5_000
"""How many images of the dense generator are its reference where nothing else is said."""

FEWEST = 2
"""Images that each side of the split needs: a covariance has no value below."""

MOST_CLASSES = 10**6
"""Whole numbers beside images that reach further are no labels: as many classes as `[[workload]]` tables allow."""

LEAST_DIFFERENT = 4
"""Images of the dense generator that its reference needs at least."""

Shape = tuple[int, int, int]


def read_reference(
    spec: ReferenceSpec, path: Path, shape: Shape, here: str, dense: Callable[[int], tuple[Tensor, Tensor, str]]
) -> ImageData:
    """The reference of a workload whose generator makes images of ``shape`` (channels, height, width).

    Args:
        path: ``spec.source`` as a path.
        dense: so many images of the dense generator, uint8, the classes that it was given, and what identifies them.

    Raises:
        UserError: nothing there, unreadable, too few images, or of another size.
    """
    source = spec.source
    if source == DENSE_SAMPLES:
        return _of_dense(spec, shape, here, dense)
    if source.startswith(TORCHVISION):
        return _checked(_of_torchvision(spec, path, shape, here), here)
    if source in DATA_SOURCES and not path.exists():
        data = DATA_SOURCES[source]()
        found = tuple(data.train.shape[1:])
        if found != shape:
            raise UserError(f"{here}: {source!r} has images of {found}, the generator makes {shape}.")
        return data
    if path.suffix == ".npz":
        return _of_npz(spec, path, shape, here)
    return _of_folder(path, read_folder(path, shape, resize=spec.resize, limit=spec.limit, here=here), here)


def images_named(name: str, shape: Shape | None, here: str) -> ImageData:
    """A registered data source, or ``folder:PATH``. Raises UserError."""
    return folder_data(name, shape, here) if name.startswith(FOLDER) else DATA_SOURCES[name]()


def folder_data(name: str, shape: Shape | None, here: str) -> ImageData:
    """``folder:PATH``, what `ganprune train --data FOLDER` was given: cut and resized to ``shape``, what is made.

    Args:
        shape: None: who asks does not learn from any folder of images.
        here: the place, for messages.
    """
    if shape is None:
        raise UserError(f"{here}: it does not learn from a folder of images.")
    path = Path(name.removeprefix(FOLDER))
    return _of_folder(path, read_folder(path, shape, resize=True, here=here), here)


def _of_folder(path: Path, folder: Folder, here: str) -> ImageData:
    data = _checked(split_by_hash(path.name or "folder", folder.images, folder.labels), here)
    return replace(data, classes=folder.classes, notes=folder.notes)


def _checked(data: ImageData, here: str) -> ImageData:
    if min(len(data.train), len(data.held_out)) < FEWEST:
        raise UserError(
            f"{here}: {len(data.train)} training and {len(data.held_out)} held-out images are left after the split "
            "(four fifths and one fifth, by hash); at least 2 of each are needed, and thousands for a number to quote."
        )
    return data


def _of_npz(spec: ReferenceSpec, path: Path, shape: Shape, here: str) -> ImageData:
    """uint8 images ``(N, H, W, C)`` as the field stores them, or the statistics ``mu`` and ``sigma`` of features."""
    archive = Archive(path, here)
    headers = archive.headers
    if {MEAN, COVARIANCE} <= set(headers):
        return replace(_of_statistics(archive, path, shape), notes=_unread(archive, {MEAN, COVARIANCE, COUNT}))
    name = next((n for n, h in headers.items() if len(h.shape) in (3, 4) and h.dtype == np.uint8), None)
    if name is None:
        raise UserError(f"{here}: {shown(path)} holds {archive}; expected uint8 images (N, H, W, C), or mu and sigma.")
    place = f"{here}: {shown(path)}, array {shown(name)!r}"
    count, *size = headers[name].shape
    _check_size((*size, 1)[:3], spec, shape, place)
    numbers = next((n for n, h in headers.items() if h.shape == (count,) and h.dtype.kind in "iu"), None)
    images = archive.read(name, spec.limit)
    labels = None if numbers is None else archive.read(numbers)
    notes = _unread(archive, {name, numbers})
    if labels is not None and len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < MOST_CLASSES:
        notes += (f"{shown(path)}: array {numbers!r} goes from {labels.min()} to {labels.max()}: not read as labels",)
        labels = None
    images = images[..., None] if images.ndim == 3 else images
    data = _of_arrays(path.stem, images, labels, spec, shape, place)
    return replace(_checked(data, here), notes=notes)


def _unread(archive: Archive, read: set[str | None]) -> tuple[str, ...]:
    """Which arrays of a file were not looked at."""
    names = [shown(name) for name in archive.headers if name not in read]
    few = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
    arrays = f"{len(names)} array{'s' if len(names) != 1 else ''}"
    return (f"{shown(archive.path)}: left out: {arrays} ({few})",) if names else ()


def _of_statistics(archive: Archive, path: Path, shape: Shape) -> ImageData:
    found = read_statistics(archive)
    digest = hashlib.sha256(b"mu-sigma|" + found.mean.tobytes() + found.covariance.tobytes()).hexdigest()
    none, labels = torch.empty(0, *shape, dtype=torch.uint8), torch.empty(0, dtype=torch.int64)
    return ImageData(path.stem, none, labels, none, labels, digest, found)


def _of_torchvision(spec: ReferenceSpec, path: Path, shape: Shape, here: str) -> ImageData:
    rows = read_torchvision(spec, path, lambda image: _fit(image[None], spec, shape, here)[0], here)
    return replace(_of_arrays(rows.name, rows.images, rows.labels, spec, shape, here), notes=rows.notes)


def _of_arrays(
    name: str,
    images: NDArray[np.uint8],
    labels: NDArray[Any] | None,
    spec: ReferenceSpec,
    shape: Shape,
    here: str,
) -> ImageData:
    """Images ``(N, H, W, C)``, resized on request, split."""
    if spec.limit is not None:
        images, labels = images[: spec.limit], None if labels is None else labels[: spec.limit]
    images = _fit(images, spec, shape, here)
    numbers = np.zeros(len(images), np.int64) if labels is None else np.asarray(labels, np.int64)
    return split_by_hash(name, np.ascontiguousarray(images.transpose(0, 3, 1, 2)), numbers)


def _fit(images: NDArray[np.uint8], spec: ReferenceSpec, shape: Shape, here: str) -> NDArray[np.uint8]:
    """Images ``(N, H, W, C)`` in the size of ``shape``, cut and resized where that is asked for."""
    channels, height, width = shape
    _check_size(images.shape[1:], spec, shape, here)
    if images.shape[1:3] == (height, width):
        return images
    done = [np.asarray(fitted(_image(image), height, width)) for image in images]
    return np.array(done, np.uint8).reshape(len(images), height, width, channels)


def _check_size(size: tuple[int, ...], spec: ReferenceSpec, shape: Shape, here: str) -> None:
    """Raises UserError where images of ``size`` (height, width, channels) cannot become such of ``shape``."""
    channels, height, width = shape
    if size[2] != channels:
        raise UserError(f"{here}: images of {size[2]} channels, the generator makes {channels}.")
    if size[:2] != (height, width) and not spec.resize:
        raise UserError(
            f"{here}: images of {size[0]} x {size[1]} (height x width), the generator makes {height} x {width}. "
            "Write {source = ..., resize = true} to have them cut and resized."
        )
    if 0 in size:
        raise UserError(f"{here}: images of {size[0]} x {size[1]} (height x width): no pixels.")


def _image(array: NDArray[np.uint8]) -> Image:
    """An array ``(H, W, C)`` as Pillow's image."""
    from PIL import Image

    return Image.fromarray(array[..., 0] if array.shape[2] == 1 else array)


def _of_dense(
    spec: ReferenceSpec, shape: Shape, here: str, dense: Callable[[int], tuple[Tensor, Tensor, str]]
) -> ImageData:
    """Images from the dense generator on a stream of its own, so that dense is not compared with itself."""
    count = spec.limit or DENSE_IMAGES
    check_room(count, shape, f"{here}: {DENSE_SAMPLES}", "Set reference.limit to fewer.")
    images, labels, identity = dense(count)
    if (different := len({image.tobytes() for image in images.numpy()})) < LEAST_DIFFERENT:
        raise UserError(
            f"{here}: the dense generator makes {different} different images of {len(images)} inputs, which cannot be "
            "compared with. Are its inputs used, its values floats, and is output.range right? Else give real images."
        )
    data = _checked(split_by_hash(DENSE_SAMPLES, images.numpy(), labels.numpy()), here)
    # Named by what makes them: pixels could differ in the last bit between processes, what is meant does not.
    fingerprint = hashlib.sha256(f"{DENSE_SAMPLES}|{identity}|{count}".encode()).hexdigest()
    return ImageData(data.name, data.train, data.train_labels, data.held_out, data.held_out_labels, fingerprint)


def cached_images(identity: str, count: int, make: Callable[[], Tensor]) -> Tensor:
    """``count`` images that ``make`` draws, once for all processes."""
    digest = hashlib.sha256(f"{identity}|{count}".encode()).hexdigest()
    path = cached(f"dense-samples/{digest[:32]}.safetensors", lambda: save({"images": make().contiguous()}))
    return read_weights(path)["images"]
