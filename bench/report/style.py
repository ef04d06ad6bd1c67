"""One look for every figure: sizes, fonts, and which strategy has which colour, marker and line.

Figures are byte-identical when drawn twice: no dates in the files, a fixed salt for SVG identifiers.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import matplotlib
import seaborn as sns
from matplotlib.figure import Figure

from bench.base.files import write_atomically
from bench.tables import granularity_of

COLUMN = 3.3
"""Width in inches of one column of a paper."""
PAGE = 6.9
"""Width in inches of a page."""
DPI = 300
"""Of the PNG files."""
SMALL = 7
"""Points, for labels inside of panels; everything else has 8."""

GREY = "#6e6e6e"

Line = Literal["-", "--", ":", "-."]

_LINE: dict[str, Line] = {"weight": "-", "channel": "--", "nm": ":", "block": "-.", "dense": "-"}
_CURATED = {
    "dense": ("#333333", "*"),
    "random-weight-global": ("#8c8c8c", "X"),
    "random-channel-uniform": ("#8c8c8c", "P"),
    "l1-weight-global": ("#0072B2", "o"),
    "l1-weight-uniform": ("#56B4E9", "s"),
    "l1-weight-lamp": ("#003A5C", "p"),
    "l1-channel-uniform": ("#E69F00", "s"),
    "l1-channel-global": ("#D55E00", "o"),
    "bnscale-channel-global": ("#009E73", "D"),
    "rownorm-channel+everystep": ("#CC79A7", "^"),
}
_COLOURS = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9",
    "#004B75", "#8A3D00", "#00614A", "#8E4870", "#9A6A00", "#2F7FAF",
)  # fmt: skip
_MARKERS = ("v", "<", ">", "p", "h", "d", "8", "H", "^", "D")
_CRITERIA = (
    "l1", "taylor", "snip", "grasp", "fisher", "movement", "fpgm", "hrank", "l2", "synflow", "bnscale", "rownorm",
)  # fmt: skip
"""Criteria in the order of their colours: only ever add at the end."""
_OF_SCHEDULES = {
    "cubic": "#009E73", "iterative": "#C2508E", "soft": "#8A3D00", "hard": "#F0A35E", "performance": "#004B75",
    "reinit": "#9A6A00", "rigl": "#00614A", "set": "#5FC9A4", "scratch": "#000000", "bnprox": "#8E4870",
    "lottery-init": "#B09000", "lottery-rewind": "#6A51A3", "everystep": "#D0759F",
    "greg": "#3E7D2A", "grouplasso": "#A23B3B", "svs": "#7A5CFF",
}  # fmt: skip
"""The colours of L1's schedules: where schedules are compared, it is mostly on magnitude."""
_ALLOCATIONS = ("global", "uniform", "erk", "lamp")
_SCHEDULES = ("", "cubic", "iterative", "rewind", "dynamic", "soft", "everystep")
"""With the allocations, the order of the markers: only ever add at the end."""
_FIRST = {"weight": 0, "channel": 4, "nm": 2, "block": 6}
"""Where a granularity begins among the markers, so that scatter plots, which have no lines, tell it too."""
_SHADES = (1.0, 0.62, 1.45)
"""How light a colour is where one criterion has more schedules than there are markers."""


@dataclass(frozen=True)
class Look:
    """How one strategy is drawn, in every figure."""

    colour: str
    marker: str
    line: Line


def look_of(strategy: str) -> Look:
    """The look follows from the name alone, so a new strategy never changes the others'. Random controls are grey.

    The criterion gives the colour (of L1 with a schedule: the schedule), allocation and schedule the marker, the
    granularity the line; what is not in the lists above follows from a hash of its name.
    """
    line: Line = _LINE.get(granularity_of(strategy), "-.")
    if strategy in _CURATED:
        colour, marker = _CURATED[strategy]
        return Look(colour, marker, line)
    base, _, schedule = strategy.partition("+")
    criterion, *rest = base.split("-")
    allocation = "-".join(rest[1:]) or "global"
    place = _place(_SCHEDULES, schedule) * len(_ALLOCATIONS) + _place(_ALLOCATIONS, allocation)
    marker = _MARKERS[(place + _FIRST.get(granularity_of(strategy), 0)) % len(_MARKERS)]
    if criterion == "random":
        return Look("#8c8c8c", marker, line)
    if criterion == "l1" and schedule in _OF_SCHEDULES:
        return Look(_OF_SCHEDULES[schedule], marker, line)
    colour = _COLOURS[_place(_CRITERIA, criterion) % len(_COLOURS)]
    shade = _SHADES[place // len(_MARKERS) % len(_SHADES)]
    return Look(_shaded(colour, shade), marker, line)


def _place(known: Sequence[str], word: str) -> int:
    return known.index(word) if word in known else _hash(word)


def _hash(word: str) -> int:
    return int.from_bytes(hashlib.sha256(word.encode()).digest()[:4], "big")


def _shaded(colour: str, shade: float) -> str:
    """Darker below 1, above 1 as much nearer to white."""
    parts = [int(colour[index : index + 2], 16) for index in (1, 3, 5)]
    light = shade - 1
    mixed = [part * shade if shade <= 1 else part + (255 - part) * light for part in parts]
    return "#" + "".join(f"{round(part):02X}" for part in mixed)


@contextmanager
def paper_style() -> Iterator[None]:
    """Everything inside is drawn in the project's style; settings of the process come back afterwards."""
    settings: dict[str, Any] = {
        "font.size": 8,
        "axes.titlesize": 8,
        "axes.labelsize": 8,
        "xtick.labelsize": SMALL,
        "ytick.labelsize": SMALL,
        "legend.fontsize": SMALL,
        "font.family": "sans-serif",
        "font.sans-serif": ["DejaVu Sans"],
        "axes.linewidth": 0.6,
        "xtick.major.width": 0.6,
        "ytick.major.width": 0.6,
        "xtick.minor.width": 0.4,
        "ytick.minor.width": 0.4,
        "xtick.major.size": 3,
        "ytick.major.size": 3,
        "xtick.minor.size": 1.5,
        "ytick.minor.size": 1.5,
        "lines.linewidth": 1.1,
        "lines.markersize": 4,
        "pdf.fonttype": 42,
        "svg.fonttype": "none",
        "svg.hashsalt": "ganprune",
        "savefig.bbox": None,
        "figure.autolayout": False,
        "figure.constrained_layout.use": False,
        "figure.dpi": DPI,
        "savefig.dpi": DPI,
        "text.parse_math": False,
    }
    with matplotlib.rc_context(sns.axes_style("ticks") | settings):
        yield


def settle(figure: Figure) -> None:
    """Let the layout engine place everything once, and take it away, so that no format does it again."""
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
        figure.set_layout_engine(None)  # not "none": its placeholder costs one more drawing for each format


def files_of(figure: Figure) -> dict[str, bytes]:
    """The content of the figure's files by their kind, at the figure's own size; the layout is settled once."""
    metadata: dict[str, dict[str, Any]] = {
        "pdf": {"CreationDate": None, "ModDate": None, "Producer": None, "Creator": "ganprune"},
        "svg": {"Date": None, "Creator": "ganprune"},
        "png": {"Software": None},
    }
    found = {}
    with paper_style():
        settle(figure)
        for kind, entries in metadata.items():
            buffer = io.BytesIO()
            figure.savefig(buffer, format=kind, metadata=entries, dpi=DPI)
            found[kind] = buffer.getvalue()
    return found


def save(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Write ``name.pdf``, ``name.svg`` and ``name.png``.

    Returns:
        The three paths, PDF first.
    """
    written = []
    for kind, content in files_of(figure).items():
        written.append(folder / f"{name}.{kind}")
        write_atomically(written[-1], content)
    return written
