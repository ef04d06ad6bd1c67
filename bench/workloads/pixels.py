"""One picture file as 8 bit, as it is meant: depth, palette, alpha and orientation are carried out, never cut off."""

from __future__ import annotations

import stat
import warnings
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import UserError
from bench.workloads.walk import kind_of, shown

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "PPM", "GIF")
"""What is opened, whatever the ending says: pixels. Others (EPS) are programs, which Pillow would have run."""

MOST_PIXELS = 100_000_000
"""A larger picture is refused before it is decoded: a file of some kB can hold pixels for all memory."""

MODES = {1: "L", 3: "RGB", 4: "RGBA"}
"""Channels that are wanted -> Pillow's mode."""

SIXTEEN = ("I;16", "I;16L", "I;16B", "I;16N")
ALPHA = ("LA", "La", "PA", "RGBA", "RGBa")

DIM = 32
"""Of 255. Where no picture has a value as bright as this, they hold perhaps 12 bits in 16, or numbers of classes."""

ORIENTATION, PHOTOMETRIC, BITS, SAMPLE_FORMAT = 274, 262, 258, 339
"""Tags of TIFF, the first also of EXIF."""

WHITE_IS_ZERO, SIGNED = 0, 2
"""A value of `PHOTOMETRIC`, and one of `SAMPLE_FORMAT`."""

TURNS = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
"""Orientation -> what makes the picture upright, as Pillow calls it."""

LYING = (5, 6, 7, 8)
"""Orientations in which height and width change places."""

ADVICE = "Save it as PNG with 8 or 16 bits a channel, or take it out of the folder."

LAID, TURNED, SEVERAL, DEEP, DARK = "transparent", "turned", "several", "16 bit", "dark"

WORDS = {
    LAID: "{} with transparency, laid on white",
    TURNED: "{} turned as the orientation in its EXIF says",
    SEVERAL: "of {} with several pictures the first",
    DEEP: "{} of 16 bit, scaled to 8",
}


@dataclass(frozen=True)
class Picture:
    """A file's picture in 8 bit: of mode ``L``, ``RGB``, or ``RGBA`` where four channels are wanted."""

    image: Image
    done: frozenset[str]
    """What was done to it that somebody should know: keys of `WORDS`, and `DARK`."""


def read_picture(path: Path, channels: int, here: str) -> Picture:
    """The picture in ``path``, a regular file, with so many ``channels``: 1 (grey), 3 (colour) or 4 (and alpha).

    Grey and colour are converted into each other; 16 bit are scaled (65,535 is 255); an EXIF orientation is carried
    out; what is transparent is laid on white. Of several pictures in a file it is the first.

    Raises:
        UserError: no picture, a damaged one, one of too many pixels, or one whose values have no defined scale.
    """
    from PIL import Image, UnidentifiedImageError

    place = f"{here}: {shown(path)}"
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            raise UserError(f"{place} is {kind_of(mode)}; expected an image file.")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's words for what is said here, or is no matter
            with Image.open(path, formats=FORMATS) as opened:
                return _read(opened, channels, place)
    except UserError:
        raise
    except Image.DecompressionBombError as error:
        raise UserError(f"{place}: {_too_large('far more pixels than a picture has')}") from error
    except Exception as error:  # a damaged file makes decoders raise whatever they like
        unknown = isinstance(error, UnidentifiedImageError)
        reason = f"it is none of {', '.join(FORMATS)} with pixels of a known kind" if unknown else _words(error)
        raise UserError(f"{place} cannot be read as an image: {reason}. {ADVICE}") from error


def _words(error: Exception) -> str:
    return shown(str(error).rstrip(".")[:300]) or type(error).__name__


def _too_large(found: str) -> str:
    return f"{found}; at most {MOST_PIXELS:,} pixels are read. Make it smaller, or take it out of the folder."


def _read(opened: Image, channels: int, place: str) -> Picture:
    width, height = opened.size
    if width * height > MOST_PIXELS:
        raise UserError(f"{place}: {_too_large(f'{height:,} x {width:,} (height x width)')}")
    if width < 1 or height < 1:
        raise UserError(f"{place}: {height} x {width} (height x width): no pixels. {ADVICE}")
    tags = dict(getattr(opened, "tag_v2", {}))
    if (
        tags.get(ORIENTATION) in LYING
        and width != height
        and any(t[0] != "libtiff" for t in getattr(opened, "tile", []))
    ):
        # Pillow 13 fills the turned size row by row with what was stored unturned, and then turns that.
        raise UserError(
            f"{place}: an uncompressed TIFF that lies on its side (orientation {tags[ORIENTATION]}), which is not read "
            "rightly. Save it upright, or compressed."
        )
    opened.load()  # which carries out a TIFF's orientation
    image, done = eight_bit(opened, place, tags)
    if channels != 4 and _transparent(image):
        image, done = _laid_on_white(image), done | {LAID}
    image, turned = _upright(image, opened)
    if turned or tags.get(ORIENTATION) in TURNS:
        done |= {TURNED}
    if getattr(opened, "is_animated", False):
        done |= {SEVERAL}
    wanted = MODES[channels]
    if image.mode not in ("1", "L", "LA", "P", "RGB", "RGBA"):
        image = image.convert("RGBA" if channels == 4 else "RGB")  # the others know no way to grey
    image = image if image.mode == wanted else image.convert(wanted)
    return Picture(image, done | {DARK} if dark(np.asarray(image)) else done)


def dark(values: NDArray[np.uint8]) -> bool:
    """Whether no value comes near white."""
    return bool(values.max() < DIM)


def eight_bit(image: Image, place: str, tags: Mapping[int, Any] = MappingProxyType({})) -> tuple[Image, frozenset[str]]:
    """A loaded image with 8 bit a channel, in whatever mode; and `DEEP` where it had 16.

    Args:
        tags: those of a TIFF.

    Raises:
        UserError: values that have no defined scale.
    """
    if tags.get(SAMPLE_FORMAT, (1,))[0] == SIGNED:
        raise UserError(f"{place}: signed integers{_no_scale(image)}")
    if image.mode in SIXTEEN or (image.mode == "I" and image.format in ("PNG", "PPM")):
        return _from_sixteen(image, tags)
    if image.mode == "F":
        raise UserError(f"{place}: floating-point values{_no_scale(image)}")
    if image.mode.startswith("I"):
        raise UserError(f"{place}: integers of 32 bit{_no_scale(image)}")
    return image, frozenset()


def _no_scale(image: Image) -> str:
    """What is wrong with numbers of which nobody says what is black and what is white."""
    values = np.asarray(image)
    if values.dtype.kind not in "iuf":
        return f", mode {image.mode}, which have no scale of their own. {ADVICE}"
    low, high = np.fmin.reduce(values, axis=None), np.fmax.reduce(values, axis=None)
    return (
        f" (from {low:.6g} to {high:.6g}), and nothing says which is black and which is white. Scale it so that black "
        "is 0 and white 255, and save it as PNG with 8 bits a channel (or 0 and 65,535 with 16)."
    )


def _from_sixteen(image: Image, tags: Mapping[int, Any]) -> tuple[Image, frozenset[str]]:
    """Grey: white, 65,535 or what the TIFF's bits allow, becomes 255; rounded, so that 257 k is k."""
    from PIL import Image

    values = np.asarray(image).astype(np.int64)
    white = 2 ** min(int(tags.get(BITS, (16,))[0]), 16) - 1
    grey = (white - values) if tags.get(PHOTOMETRIC) == WHITE_IS_ZERO else values
    scaled = Image.fromarray(((grey * 255 + white // 2) // white).clip(0, 255).astype(np.uint8))
    clear = image.info.get("transparency")
    if isinstance(clear, int):
        scaled = Image.merge("LA", (scaled, Image.fromarray(np.where(values == clear, 0, 255).astype(np.uint8))))
    return scaled, frozenset({DEEP})


def _transparent(image: Image) -> bool:
    """Whether anything behind it would be seen."""
    if not image.has_transparency_data:
        return False
    return bool(np.asarray(image.convert("RGBA").getchannel("A")).min() < 255)


def _laid_on_white(image: Image) -> Image:
    from PIL import Image

    above = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", above.size, (255, 255, 255, 255)), above).convert("RGB")


def _upright(image: Image, opened: Image) -> tuple[Image, bool]:
    """``image`` as the EXIF of the file that it was read from says; whether that made a difference."""
    from PIL import Image

    try:
        name = TURNS.get(int(opened.getexif().get(ORIENTATION, 1)))
    except Exception:  # noqa: BLE001 - damaged EXIF says nothing about the pixels
        return image, False
    return (image, False) if name is None else (image.transpose(Image.Transpose[name]), True)


def in_words(done: Counter[str], total: int, where: str) -> tuple[str, ...]:
    """What was done to the ``total`` pictures of ``where``, with counts; empty: nothing."""
    parts = [
        text.format(_count(done[key], "file" if key == SEVERAL else "picture"))
        for key, text in WORDS.items()
        if done[key]
    ]
    if done[DARK] == total:
        parts.append("all are nearly black, below an eighth of white: if they hold fewer bits, or classes, scale them")
    return (f"{where}: {'; '.join(parts)}",) if parts else ()


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'s' if number != 1 else ''}"
