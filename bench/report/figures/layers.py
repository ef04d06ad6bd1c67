"""Where each strategy took its weights from: sparsity, layer by layer."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

from bench.report.layer_shares import LayerBlock
from bench.report.style import PAGE, SMALL, paper_style

CELL = 0.165
"""Inches: height of a cell."""
NARROWEST = 0.14
"""Inches: least width of a cell that holds a number."""
WIDEST = 0.34
"""Inches: greatest width of a cell."""
GAP = 0.16
"""Inches between blocks."""
LONGEST = 60
"""Characters of a row's label."""
TITLE = 0.24
"""Inches above a line of blocks."""
LEGEND = 0.42
"""Inches below the blocks for what the two colours mean."""
MISSING = "#f2f2f2"

COLOURS: dict[bool, Colormap] = {
    False: LinearSegmentedColormap.from_list("masked", ["#ffffff", "#9ecae9", "#0072B2", "#003355"]),
    True: LinearSegmentedColormap.from_list("removed", ["#ffffff", "#f7c39a", "#D55E00", "#5c2800"]),
}
"""Masked and physically removed, equally dark at equal sparsity."""
WORDS = {False: "masked (zeros stay stored)", True: "physically removed"}


def layers_figure(blocks: Sequence[LayerBlock]) -> Figure | None:
    """Sparsity of each layer (columns) under each strategy (rows), a block for each workload and level.

    Takes `layer_blocks` of the records of a slice; seeds are averaged. Numbers are percent removed (99: less than 100).
    The axis names the layers with their share of the generator's weights. Masked strategies stand first in blue,
    physically smaller ones below a gap in orange. Strategies with a knob of their own share one block, a row for each
    of their levels.

    Returns:
        The figure, or None where no record has layers.
    """
    if not blocks:
        return None
    names = [_text_width(block.workload) * 8 / SMALL for block in blocks]
    left = 0.1 + max([*names, *(_text_width(_shown(label)) for block in blocks for label in block.rows)])
    lines = _lines(blocks, PAGE - left)
    below = [max(_text_width(_named(block, i)) for block in line for i in range(len(block.layers))) for line in lines]
    heights = [max(map(_height, line)) for line in lines]
    total = sum(heights) + sum(below) + len(lines) * (TITLE + 0.1) + LEGEND
    with paper_style():
        figure = Figure(figsize=(PAGE, total))
        top = total
        for line, height, under in zip(lines, heights, below, strict=True):
            top -= TITLE
            cell, x = _width(lines, line, PAGE - left), left
            for index, block in enumerate(line):
                across = cell * len(block.layers)
                tall = _height(block)
                axes = figure.add_axes((x / PAGE, (top - tall) / total, across / PAGE, tall / total))
                _draw(axes, block, cell, named=index == 0)
                start = min(x, PAGE - 0.05 - _text_width(block.title) * 8 / SMALL)
                figure.text(start / PAGE, (top + 0.05) / total, block.title, va="bottom")
                if index == 0:
                    figure.text((x - 0.05) / PAGE, (top + 0.05) / total, block.workload, va="bottom", ha="right")
                x += across + GAP
            top -= height + under + 0.1
        _legends(figure, {value for block in blocks for value in block.physical.values()}, left, total)
    return figure


def _lines(blocks: Sequence[LayerBlock], width: float) -> list[list[LayerBlock]]:
    """Blocks with the same rows side by side, evenly over as few lines as cells of the least width allow."""
    groups: list[list[LayerBlock]] = []
    for block in blocks:
        last = groups[-1][-1] if groups else None
        if last and (last.workload, list(last.rows)) == (block.workload, list(block.rows)):
            groups[-1].append(block)
        else:
            groups.append([block])
    lines = []
    for group in groups:
        most = max(1, int((width + GAP) // (len(group[0].layers) * NARROWEST + GAP)))
        most = math.ceil(len(group) / math.ceil(len(group) / most))
        lines += [group[start : start + most] for start in range(0, len(group), most)]
    return lines


def _width(lines: Sequence[Sequence[LayerBlock]], line: Sequence[LayerBlock], width: float) -> float:
    """Of a cell: the same in all lines of a workload."""
    workload = line[0].workload
    mine = [other for other in lines if other[0].workload == workload]
    return min(WIDEST, *((width - 0.05 - (len(o) - 1) * GAP) / sum(len(b.layers) for b in o) for o in mine))


def _text_width(text: str) -> float:
    """Inches of a tick label."""
    font = FontProperties(family="DejaVu Sans", size=SMALL)
    return float(text_to_path.get_text_width_height_descent(text, font, False)[0]) / 72


def _shown(label: str) -> str:
    """A row's label, cut in the middle (the level stands last) where it would leave no room for its cells."""
    return label if len(label) <= LONGEST else f"{label[: LONGEST - 21]}…{label[-20:]}"


def _height(block: LayerBlock) -> float:
    return CELL * (len(block.rows) + 0.35 * (len(set(block.physical.values())) - 1))


def _named(block: LayerBlock, index: int) -> str:
    share = block.shares[index]
    return f"{block.layers[index]}  {'<1' if 0 < share < 0.005 else f'{share:.0%}'[:-1]} %"


def _draw(axes: Axes, block: LayerBlock, cell: float, *, named: bool) -> None:
    """Rows from the top, a gap between masked and removed ones."""
    places, y = [], 0.0
    previous: bool | None = None
    for label in block.rows:
        if previous is not None and block.physical[label] != previous:
            y += 0.35
        previous = block.physical[label]
        places.append(y + 0.5)
        y += 1
    for kind in (False, True):
        rows = [index for index, label in enumerate(block.rows) if block.physical[label] == kind]
        if rows:
            labels = list(block.rows)
            values = np.array([block.rows[labels[index]] for index in rows])
            bottom, top = places[rows[-1]] + 0.5, places[rows[0]] - 0.5
            cells = np.ma.masked_invalid(values)
            edges = (np.arange(len(block.layers) + 1), np.linspace(top, bottom, len(rows) + 1))
            colours = COLOURS[kind].with_extremes(bad=MISSING)
            axes.pcolormesh(*edges, cells, cmap=colours, vmin=0, vmax=1, edgecolors="white", linewidth=0.5)
    for place, (label, row) in zip(places, block.rows.items(), strict=True):
        for column, value in enumerate(row):
            text = "–" if math.isnan(value) else _percent(value)
            colour = "#999999" if math.isnan(value) else _ink(COLOURS[block.physical[label]](value))
            size = min(6.0, cell * 72 / (0.64 * len(text) + 0.2))
            if cell >= NARROWEST:
                axes.text(column + 0.5, place, text, fontsize=size, color=colour, ha="center", va="center_baseline")
    axes.set_xlim(0, len(block.layers))
    axes.set_ylim(y, 0)
    ticks = np.arange(len(block.layers)) + 0.5
    axes.set_xticks(ticks, [_named(block, index) for index in range(len(block.layers))], rotation=90, fontsize=SMALL)
    axes.set_yticks(places if named else [], list(map(_shown, block.rows)) if named else [])
    axes.tick_params(length=0, pad=2)
    sns.despine(ax=axes, left=True, bottom=True)


def _ink(background: tuple[float, float, float, float]) -> str:
    """Black or white, whichever has the higher contrast (WCAG)."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in background[:3]]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "white" if 1.05 / (luminance + 0.05) > (luminance + 0.05) / 0.06 else "#222222"


def _percent(value: float) -> str:
    """Whole percent, 100 and 0 only where they are exact."""
    if value in (0.0, 1.0):
        return f"{value:.0%}"[:-1]
    return f"{min(max(round(100 * value), 1), 99)}"


def _legends(figure: Figure, kinds: set[bool], left: float, total: float) -> None:
    """A colour bar for each of the kinds that occur."""
    width, apart = 1.5, 0.9
    left = min(left, PAGE - len(kinds) * (width + apart) + apart - 0.4)
    for index, kind in enumerate(sorted(kinds)):
        box = ((left + index * (width + apart)) / PAGE, 0.17 / total, width / PAGE, 0.08 / total)
        bar = figure.colorbar(
            ScalarMappable(Normalize(0, 100), COLOURS[kind]), cax=figure.add_axes(box), orientation="horizontal"
        )
        bar.set_ticks([0, 50, 100], labels=["0", "50", "100 %"])
        bar.ax.tick_params(length=2, pad=1)
        bar.ax.set_title(WORDS[kind], fontsize=SMALL, pad=2, loc="left")
        bar.outline.set_linewidth(0.4)
