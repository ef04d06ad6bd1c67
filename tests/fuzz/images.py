"""Damaged pictures, damaged archives of arrays, and folders of all kinds of things: read or refused, never more."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import time
import zipfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from bench.base.errors import UserError
from bench.tasks.generation.frechet import frechet_distance
from bench.tasks.generation.gaussian import Gaussian
from bench.workloads.images import read_folder
from bench.workloads.references import read_reference
from bench.workloads.spec import ReferenceSpec
from tests.fuzz.tally import Tally
from tests.helpers.png import PALETTE, png

KIND = "files"
SHAPE = (3, 8, 8)
LONGEST = 10.0
"""Seconds: a hundred times what the slowest takes."""

Rng = np.random.Generator


def attempts(seed: int, count: int, folder: Path) -> Tally:
    """``count`` files and folders, the i-th made from ``(seed, i)`` alone, in ``folder``."""
    tally = Tally(KIND)
    with _without_libtiffs_words():
        _try_all(tally, seed, count, folder)
    return tally


def _try_all(tally: Tally, seed: int, count: int, folder: Path) -> None:
    for i in range(count):
        rng = np.random.default_rng([seed, i])
        place = folder / f"{i}"
        place.mkdir(parents=True)
        kind = str(rng.choice(["picture", "picture", "statistics", "arrays", "tree"]))
        began = time.perf_counter()
        try:
            outcome = KINDS[kind](rng, place)
        except Exception as error:  # noqa: BLE001 - which is what is looked for
            tally.wrong.append(f"images, seed {seed}, attempt {i}, {kind}: {type(error).__name__}: {error}")
            continue
        if (seconds := time.perf_counter() - began) > LONGEST:
            tally.wrong.append(f"images, seed {seed}, attempt {i}, {kind}: took {seconds:.0f} s")
            continue
        tally.outcomes[f"{kind}: {outcome}"] += 1
        shutil.rmtree(place)


@contextlib.contextmanager
def _without_libtiffs_words() -> Iterator[None]:
    """It writes to the standard error of the process by itself, past Python."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _outcome(read: Callable[[], object], name: str) -> str:
    """``accepted``, or ``refused`` with words that name the file and can be printed."""
    try:
        read()
    except UserError as error:
        assert name in str(error), f"does not name {name}: {error}"
        assert str(error).isprintable(), f"cannot be printed: {error!r}"
        return "refused"
    return "accepted"


def _picture(rng: Rng, place: Path) -> str:
    suffix, content = _pictures()[int(rng.integers(len(_pictures())))]
    (place / f"x{suffix}").write_bytes(damaged(rng, content))

    def read() -> None:
        found = read_folder(place, SHAPE, resize=True, here="here").images
        assert found.shape == (1, *SHAPE)
        assert found.dtype == np.uint8

    return _outcome(read, f"x{suffix}")


def _statistics(rng: Rng, place: Path) -> str:
    """What is accepted has a finite distance to something else, zero or more."""
    features = rng.normal(size=(int(rng.integers(3, 30)), 5))
    arrays = {"mu": features.mean(0), "sigma": np.cov(features, rowvar=False), "num_images": np.array(len(features))}
    name = str(rng.choice([*arrays]))
    if rng.random() < 0.4:
        arrays[name] = _other_values(rng, arrays[name])
    members = {key: _npy(array) for key, array in arrays.items()}
    if rng.random() < 0.4:
        members[name] = damaged(rng, members[name])
    _write_archive(rng, place / "x.npz", members)

    def read() -> None:
        found = _reference(place / "x.npz")
        if found.statistics is not None:
            other = Gaussian(np.zeros(5), np.eye(5), 100)
            mine = Gaussian(found.statistics.mean, found.statistics.covariance, 100)
            if len(mine.mean) == 5:
                assert 0 <= frechet_distance(mine, other) < np.inf

    return _outcome(read, "x.npz")


def _arrays(rng: Rng, place: Path) -> str:
    images = rng.integers(0, 256, (40, 8, 8, 3), dtype=np.uint8)
    members = {"images": _npy(images), "labels": _npy(np.arange(40) % 3)}
    name = str(rng.choice([*members]))
    if rng.random() < 0.5:
        members[name] = damaged(rng, members[name])
    _write_archive(rng, place / "x.npz", members)
    return _outcome(lambda: _reference(place / "x.npz"), "x.npz")


def _reference(path: Path):  # type: ignore[no-untyped-def]
    def nobody(count: int):  # type: ignore[no-untyped-def]
        raise AssertionError("the dense generator was asked")

    return read_reference(ReferenceSpec(source=str(path), resize=True), path, SHAPE, f"here: {path}", nobody)


def _tree(rng: Rng, place: Path) -> str:
    """Folders, links in all directions, pipes, hidden things: what is read is there, and everything else is counted."""
    home = place / "photos"
    home.mkdir()
    folders = [home]
    content = _pictures()[0][1]
    for i in range(int(rng.integers(4, 25))):
        inside = folders[int(rng.integers(len(folders)))]
        name = str(rng.choice(["", ".", "\x1b["])) + f"{i}"
        what = str(rng.choice(["picture", "picture", "folder", "link", "broken", "pipe", "words"]))
        if what == "picture":
            (inside / f"{name}.png").write_bytes(content)
        elif what == "folder":
            (inside / name).mkdir()
            folders.append(inside / name)
        elif what == "link":
            (inside / name).symlink_to(folders[int(rng.integers(len(folders)))])
        elif what == "broken":
            (inside / f"{name}.png").symlink_to(place / "nowhere")
        elif what == "pipe":
            os.mkfifo(inside / f"{name}.png")
        else:
            (inside / f"{name}.txt").write_text("words")

    def read() -> None:
        found = read_folder(home, SHAPE, resize=True, here=f"here: {home}")
        assert len(found.images) == _reachable(home)
        assert all(note.isprintable() for note in found.notes)

    return _outcome(read, str(home))


def _reachable(home: Path) -> int:
    """Pictures in all folders that can be come to by names that are not hidden, each folder counted once."""
    todo, seen, count = [home.resolve()], set(), 0
    while todo:
        if (folder := todo.pop()) in seen:
            continue
        seen.add(folder)
        for path in folder.iterdir():
            if not path.name.startswith("."):
                todo += [path.resolve()] if path.is_dir() else []
                count += path.suffix == ".png" and path.is_file()
    return count


KINDS: dict[str, Callable[[Rng, Path], str]] = {
    "picture": _picture,
    "statistics": _statistics,
    "arrays": _arrays,
    "tree": _tree,
}


def damaged(rng: Rng, content: bytes) -> bytes:
    """``content`` with a few things done to it: bits, bytes, blocks, its end."""
    data = bytearray(content)
    for _ in range(int(rng.integers(1, 6))):
        if not data:
            break
        at = int(rng.integers(len(data)) * rng.random() ** rng.integers(0, 3))  # more often near the beginning
        block = int(rng.integers(1, 40))
        what = str(rng.choice(["bit", "byte", "extreme", "cut", "remove", "insert", "double", "number"]))
        if what == "bit":
            data[at] ^= 1 << int(rng.integers(8))
        elif what == "byte":
            data[at] = int(rng.integers(256))
        elif what == "extreme":
            data[at : at + 4] = bytes([int(rng.choice([0, 127, 128, 255]))]) * 4
        elif what == "cut":
            del data[at:]
        elif what == "remove":
            del data[at : at + block]
        elif what == "insert":
            data[at:at] = rng.bytes(block)
        elif what == "double":
            data[at:at] = data[at : at + block]
        else:  # digits, as in headers that are text
            data[at : at + 6] = str(int(rng.integers(10**6))).encode()
    return bytes(data)


def _other_values(rng: Rng, array: np.ndarray) -> np.ndarray:
    """Statistics of another kind, shape or size; or no statistics at all."""
    changes: list[Callable[[], np.ndarray]] = [
        lambda: -array,
        lambda: array * rng.choice([1e-300, 1e300, np.nan, np.inf, 0]),
        lambda: array + rng.normal(size=array.shape) * 10.0 ** rng.integers(-18, 3),
        lambda: array + 1j * rng.normal(),
        lambda: array.astype(rng.choice(["f2", "f4", "i4", "?", "U5", "O"])),
        lambda: array[..., None],
        lambda: array[:-1] if array.ndim else array,
        lambda: np.array("words"),
    ]
    with np.errstate(all="ignore"):
        return np.asarray(changes[int(rng.integers(len(changes)))]())


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.asarray(array), allow_pickle=True)
    return buffer.getvalue()


def _write_archive(rng: Rng, path: Path, members: dict[str, bytes]) -> None:
    """Compressed or not; damaged as a whole in a third of all cases, a bare array in a few."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED if rng.random() < 0.5 else zipfile.ZIP_STORED) as file:
        for name, content in members.items():
            file.writestr(zipfile.ZipInfo(f"{name}.npy"), content)
    content = buffer.getvalue()
    chance = rng.random()
    path.write_bytes(damaged(rng, content) if chance < 0.35 else members[min(members)] if chance < 0.38 else content)


@cache
def _pictures() -> tuple[tuple[str, bytes], ...]:
    """Small files of every kind that is read: ending, content."""
    rng = np.random.default_rng(0)
    colour = Image.fromarray(rng.integers(0, 256, (12, 10, 3), dtype=np.uint8))
    grey, deep = colour.convert("L"), Image.fromarray(rng.integers(0, 2**16, (12, 10), dtype=np.uint16))
    alpha = colour.convert("RGBA")
    alpha.putalpha(grey)
    exif = Image.Exif()
    exif[274] = 6
    inks = colour.convert("CMYK")
    numbers = Image.fromarray(rng.normal(size=(12, 10)).astype(np.float32))
    saved: list[tuple[Image.Image, str, dict[str, object]]] = [
        (colour, ".png", {}),
        (grey, ".png", {}),
        (deep, ".png", {}),
        (alpha, ".png", {"exif": exif}),
        (colour.quantize(8), ".png", {}),
        (grey.convert("1"), ".png", {}),
        (colour, ".png", {"save_all": True, "append_images": [colour.rotate(90)]}),
        (colour, ".jpg", {"exif": exif}),
        (colour, ".jpg", {"progressive": True}),
        (inks, ".jpg", {}),
        (colour, ".tif", {"tiffinfo": {274: 3}}),
        (deep, ".tif", {}),
        (numbers, ".tif", {}),
        (inks, ".tif", {"compression": "tiff_adobe_deflate"}),
        (colour, ".tif", {"compression": "tiff_lzw", "tiffinfo": {274: 6}}),
        (grey, ".tif", {"save_all": True, "append_images": [grey]}),
        (grey.convert("1"), ".tif", {"compression": "group4"}),
        (colour, ".webp", {"exif": exif}),
        (alpha, ".webp", {"lossless": True}),
        (colour, ".webp", {"save_all": True, "append_images": [colour.rotate(90)]}),
        (colour, ".bmp", {}),
        (colour.quantize(8), ".bmp", {}),
        (colour, ".ppm", {}),
        (deep, ".pgm", {}),
        (colour, ".gif", {}),
    ]
    files = [(suffix, _saved(image, suffix, said)) for image, suffix, said in saved]
    files.append((".png", png(2, 1, 8, PALETTE, [b"\0\1"], (b"PLTE", bytes(6)), (b"tRNS", b"\0\xff"))))
    return tuple((".png" if suffix == ".gif" else suffix, content) for suffix, content in files)


def _saved(image: Image.Image, suffix: str, said: dict[str, object]) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, {".jpg": "JPEG", ".tif": "TIFF", ".pgm": "PPM"}.get(suffix, suffix[1:].upper()), **said)
    return buffer.getvalue()
