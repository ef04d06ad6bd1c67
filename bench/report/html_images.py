"""Figures and samples that need no second file: SVG in the page, PNG as data URIs."""

from __future__ import annotations

import base64
import io
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from xml.etree import ElementTree

import numpy as np
from markupsafe import Markup
from PIL import Image

from bench.report.inputs import Images, SampleKey
from bench.tables import strategy_order
from bench.tables.naming import DENSE

SHOWN = 16
"""Samples of a block at most."""
BLOCK = 256
"""Pixels that a block is wide at most, unless one image alone is wider."""
_REFERENCE = re.compile(r"url\(#([^)]+)\)")
_IMAGE_ATTRIBUTES = {"href", "{http://www.w3.org/1999/xlink}href"}


@dataclass(frozen=True)
class Block:
    """The samples of one network as one picture; every image pixel is ``zoom`` pixels of the page."""

    key: SampleKey
    uri: str
    width: int
    height: int
    count: int


def data_uri(content: bytes | str, kind: str) -> str:
    """``content`` as a link that needs no file."""
    raw = content.encode() if isinstance(content, str) else content
    return f"data:{kind};base64,{base64.b64encode(raw).decode()}"


def svg_html(content: bytes, prefix: str) -> Markup:
    """An SVG file as an ``<svg>`` element with every id behind ``prefix``, so that several can stand in one page.

    The style sheet that matplotlib adds would reach the whole page; it is left out (the page has the same rule for
    figures only). Identifiers that nothing refers to go, too.
    """
    root = ElementTree.fromstring(content)
    for parent in list(root.iter()):
        for child in list(parent):
            if _local(child.tag) in ("style", "metadata", "script"):
                parent.remove(child)
    used = {name for element in root.iter() for name in _references(element)}
    for element in root.iter():
        element.tag = _local(element.tag)
        for name, value in list(element.attrib.items()):
            del element.attrib[name]
            new = _renamed(name, value, prefix, used)
            if new is not None:
                element.set(_local(name), new)
    for name in ("version", "width", "height"):
        root.attrib.pop(name, None)
    root.set("aria-hidden", "true")
    root.set("focusable", "false")
    return Markup(ElementTree.tostring(root, encoding="unicode"))  # serialised by ElementTree: names are escaped


def css_width(inches: float) -> int:
    """CSS pixels of a figure at its own size in print."""
    return round(inches * 96)


def sample_blocks(samples: Mapping[SampleKey, Images]) -> dict[str, list[Block]]:
    """For each workload, its blocks: dense first, then by strategy and level."""
    found: dict[str, list[Block]] = {}
    for key in sorted(samples, key=lambda key: (key[0], key[1] != DENSE, strategy_order(key[1]), _number(key[2]), key)):
        if len(samples[key]):
            found.setdefault(key[0], []).append(_block(key, samples[key][:SHOWN]))
    return found


def _block(key: SampleKey, images: Images) -> Block:
    _, channels, height, width = images.shape
    columns = max(1, min(4, len(images), BLOCK // width))
    rows = math.ceil(len(images) / columns)
    zoom = max(1, BLOCK // (columns * width))
    canvas = np.full((rows * height, columns * width, channels), 255, dtype=np.uint8)
    for index, image in enumerate(images):
        y, x = divmod(index, columns)
        canvas[y * height : (y + 1) * height, x * width : (x + 1) * width] = image.transpose(1, 2, 0)
    buffer = io.BytesIO()
    picture = Image.fromarray(canvas[:, :, 0] if channels == 1 else canvas)
    picture.save(buffer, format="PNG", optimize=True)
    uri = data_uri(buffer.getvalue(), "image/png")
    return Block(key, uri, columns * width * zoom, rows * height * zoom, len(images))


def _references(element: ElementTree.Element) -> list[str]:
    found = [match for value in element.attrib.values() for match in _REFERENCE.findall(value)]
    return found + [
        value[1:] for name, value in element.attrib.items() if name in _IMAGE_ATTRIBUTES and value.startswith("#")
    ]


def _renamed(name: str, value: str, prefix: str, used: set[str]) -> str | None:
    """The new value of an attribute; None where it goes: unused ids, links, handlers."""
    if name == "id":
        return f"{prefix}{value}" if value in used else None
    if name in _IMAGE_ATTRIBUTES:
        if value.startswith("#"):
            return f"#{prefix}{value[1:]}"
        return value if value.startswith("data:image/png") else None
    if name.lower().startswith("on"):
        return None
    return _REFERENCE.sub(lambda match: f"url(#{prefix}{match[1]})", value)


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def _number(label: str) -> float:
    """The number in ``0.7`` or ``threshold-0.2``."""
    for text in (label, label.rpartition("-")[2]):
        try:
            return float(text)
        except ValueError:
            continue
    return math.inf
