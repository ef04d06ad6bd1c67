"""The real images of a user's workload: a folder, an .npz, a torchvision data set, or the dense generator's own."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save
from torch import Tensor

from bench.base.cache import cached
from bench.base.errors import UserError
from bench.workloads.data import DATA_SOURCES, ImageData, Statistics, split_by_hash
from bench.workloads.images import read_folder
from bench.workloads.spec import DENSE_SAMPLES, FOLDER, TORCHVISION, ReferenceSpec
from bench.workloads.store import read_weights

DENSE_IMAGES = 5_000
"""How many images of the dense generator are its reference where nothing else is said."""

FEWEST = 2
"""Images that each side of the split needs: a covariance has no value below."""

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
        return _of_dense(spec, dense, here)
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
    folder = read_folder(path, shape, resize=spec.resize, limit=spec.limit, here=here)
    return _checked(split_by_hash(path.name or "folder", folder.images, folder.labels), here)


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
    folder = read_folder(path, shape, resize=True, here=here)
    return _checked(split_by_hash(path.name, folder.images, folder.labels), here)


def _checked(data: ImageData, here: str) -> ImageData:
    if min(len(data.train), len(data.held_out)) < FEWEST:
        raise UserError(
            f"{here}: {len(data.train)} training and {len(data.held_out)} held-out images are left after the split "
            "(four fifths and one fifth, by hash); at least 2 of each are needed, and thousands for a number to quote."
        )
    return data


def _of_npz(spec: ReferenceSpec, path: Path, shape: Shape, here: str) -> ImageData:
    """uint8 images ``(N, H, W, C)`` as the field stores them, or the statistics ``mu`` and ``sigma`` of features."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, KeyError) as error:
        raise UserError(f"{here}: {path} cannot be read as an .npz of arrays ({error}).") from error
    if {"mu", "sigma"} <= set(arrays):
        return _of_statistics(path, arrays["mu"], arrays["sigma"], shape, here)
    name, images = next(
        ((n, a) for n, a in arrays.items() if a.ndim in (3, 4) and a.dtype == np.uint8),
        (None, None),
    )
    if images is None:
        found = ", ".join(f"{n}: {a.dtype} {a.shape}" for n, a in arrays.items()) or "nothing"
        raise UserError(f"{here}: {path} holds {found}; expected uint8 images (N, H, W, C), or mu and sigma.")
    images = images[..., None] if images.ndim == 3 else images
    labels = next((a for a in arrays.values() if a.shape == (len(images),) and a.dtype.kind in "iu"), None)
    return _checked(_of_arrays(path.stem, images, labels, spec, shape, f"{here}: {path}, array {name!r}"), here)


def _of_statistics(
    path: Path, mu: NDArray[np.floating], sigma: NDArray[np.floating], shape: Shape, here: str
) -> ImageData:
    mean, covariance = mu.astype(np.float64), sigma.astype(np.float64)
    if mu.ndim != 1 or sigma.shape != (len(mu), len(mu)):
        raise UserError(f"{here}: {path}: mu {mu.shape} and sigma {sigma.shape}; expected (d,) and (d, d).")
    if not (np.isfinite(mean).all() and np.isfinite(covariance).all()):
        raise UserError(f"{here}: {path}: mu or sigma is not finite.")
    digest = hashlib.sha256(b"mu-sigma|" + mean.tobytes() + covariance.tobytes()).hexdigest()
    none, labels = torch.empty(0, *shape, dtype=torch.uint8), torch.empty(0, dtype=torch.int64)
    return ImageData(path.stem, none, labels, none, labels, digest, Statistics(mean, covariance))


def _of_torchvision(spec: ReferenceSpec, path: Path, shape: Shape, here: str) -> ImageData:
    from torchvision import datasets

    name = spec.source.removeprefix(TORCHVISION)
    kind = getattr(datasets, name, None) if name in datasets.__all__ else None
    if kind is None:
        known = ", ".join(n for n in datasets.__all__ if n[0].isupper())
        raise UserError(f"{here}: torchvision has no data set {name!r}. Known: {known}.")
    arguments: dict[str, Any] = dict(spec.arguments)
    if name != "FakeData":
        arguments |= {"root": str(path)} | ({"download": True} if spec.download else {})
    try:
        data = kind(**arguments)
        count = len(data) if spec.limit is None else min(spec.limit, len(data))
        rows = [data[i] for i in range(count)]
    except Exception as error:
        advice = "" if spec.download else " To allow a download write reference.download = true."
        raise UserError(f"{here}: torchvision's {name} in {path}: {error}.{advice}") from error
    images = [np.asarray(row[0]) for row in rows]
    sizes = {image.shape for image in images}
    if len(sizes) != 1:
        raise UserError(
            f"{here}: the images of torchvision's {name} differ in size ({len(sizes)} sizes). "
            "Write them to a folder, and read that with resize = true."
        )
    labels = [row[1] for row in rows]
    array = np.stack(images)
    whole = np.array(labels) if all(isinstance(label, int | np.integer | Tensor) for label in labels) else None
    return _of_arrays(name, array[..., None] if array.ndim == 3 else array, whole, spec, shape, here)


def _of_arrays(
    name: str,
    images: NDArray[np.uint8],
    labels: NDArray[Any] | None,
    spec: ReferenceSpec,
    shape: Shape,
    here: str,
) -> ImageData:
    """Images ``(N, H, W, C)``, resized on request, split."""
    if images.dtype != np.uint8:
        raise UserError(f"{here}: {images.dtype} values; expected uint8 images.")
    if spec.limit is not None:
        images, labels = images[: spec.limit], None if labels is None else labels[: spec.limit]
    channels, height, width = shape
    if images.shape[3] != channels:
        raise UserError(f"{here}: images of {images.shape[3]} channels, the generator makes {channels}.")
    if images.shape[1:3] != (height, width):
        if not spec.resize:
            raise UserError(
                f"{here}: images of {images.shape[1]} x {images.shape[2]} (height x width), the generator makes "
                f"{height} x {width}. Write {{source = ..., resize = true}} to have them cut and resized."
            )
        images = _resized(images, height, width)
    numbers = np.zeros(len(images), np.int64) if labels is None else np.asarray(labels, np.int64)
    return split_by_hash(name, np.ascontiguousarray(images.transpose(0, 3, 1, 2)), numbers)


def _resized(images: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    from PIL import Image

    from bench.workloads.images import fitted

    done = [np.asarray(fitted(Image.fromarray(image.squeeze()), height, width)) for image in images]
    return np.stack(done).reshape(len(images), height, width, images.shape[3])


def _of_dense(spec: ReferenceSpec, dense: Callable[[int], tuple[Tensor, Tensor, str]], here: str) -> ImageData:
    """Images from the dense generator on a stream of its own, so that dense is not compared with itself."""
    count = spec.limit or DENSE_IMAGES
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
