"""Which figures a run has: of each the name of its files, what is said beside it, and how it is drawn.

Nothing is drawn here, and nothing that draws is imported: a `Drawing` names a function of `bench.report.figures` and
carries what the function is given, so that any process can draw it. What a figure shows of a task comes along as data.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from bench.records import Record
from bench.records.paths import safe
from bench.report.flags import of_dense
from bench.report.inputs import Images, ReportInputs, SampleKey
from bench.report.layer_shares import layer_blocks
from bench.report.learning import QUALITY, TOLD_APART, curves_frame
from bench.report.rankings import Ranking, agreements, is_table, rankings
from bench.report.rows import quality_words
from bench.report.slices import Slice, slices_of
from bench.report.words import quality_label
from bench.tables import granularity_of, main_metric, strategy_order
from bench.tables.hypervolume import hypervolume_table
from bench.tables.lead import Judge, areas_of, judges, judges_of, leads_of, task_of, tasks_of, watched_of
from bench.tables.naming import DENSE
from bench.tables.places import by_place
from bench.tables.run_tables import RunTables
from bench.tables.tidy import rows_of
from bench.tasks import Quantity

MOST_ROWS = 30
"""Strategies times workloads in one figure; beyond that each workload has its own."""
MOST_CURVES = 21
"""Strategies in one figure of curves, three lines of panels; beyond that each granularity has its own."""
MOST_STRATEGIES = 10
"""Strategies on one page of samples."""
TOLD_APART_WORDS = (
    "share of the real and generated training images, half each, that D names rightly "
    "(.5 is guessing, 1 a D that has won)"
)
_ROLES = {
    "prune": "the pruning",
    "calibrate": "the calibration",
    "train": "the training",
    "eval": "the evaluation inputs",
}


@dataclass(frozen=True)
class Drawing:
    """A figure that may be drawn; whether it has anything to show is known when it was tried."""

    name: str
    """Of its files."""
    caption: str
    function: str
    """``module.function`` in `bench.report.figures`."""
    arguments: tuple[Any, ...]


def figures_of(numbers: RunTables, records: Sequence[Record], backends: pd.DataFrame) -> list[Drawing]:
    """All figures of a run, slice by slice: first the headline ones, then those behind them."""
    frame, aggregated, summary = numbers.frame, numbers.aggregated, numbers.summary
    slices = list(slices_of(aggregated))
    drawn: list[Drawing] = []
    for part in slices:
        tables = [part.pick(table) for table in (frame, aggregated, summary)]
        drawn += _headline(*tables, own=of_dense(records), suffix=part.suffix, which=part.note)
    drawn += more_figures(records, frame, slices)
    text = "Measured against theoretical speed-up by backend; diagonal: what the MACs promise; dotted: no gain"
    if backends["backend"].nunique() > 1:
        drawn.append(Drawing("speedup-backends", text, "backends.backends_figure", (backends,)))
    return drawn


def more_figures(records: Sequence[Record], frame: pd.DataFrame, slices: Sequence[Slice]) -> list[Drawing]:
    """Hypervolume, ranking, requested against achieved, sparsity by layer and learning curves, slice by slice.

    What a recovery does not change (what was removed, and where) is drawn once for all recoveries that agree.
    """
    drawn: list[Drawing] = []
    seen: set[tuple[object, ...]] = set()
    trained = any(record.curve for record in records)
    for part in slices:
        rows, mine = part.pick(frame), part.pick_records(records)
        drawn += _hypervolume(part, rows)
        drawn += _ranking(part, rows)
        fingerprint = _fingerprint(part, mine)
        if fingerprint not in seen:
            seen.add(fingerprint)
            drawn += [*_achieved(part, rows), *_layers(part, mine)]
        if trained:
            drawn += _curves(part, mine, rows)
    return drawn


def grids_of(inputs: ReportInputs, summary: pd.DataFrame) -> list[Drawing]:
    """The sheets of samples: pages for each workload."""
    captions = _sample_captions(summary, inputs.samples, inputs.samples_recovery)
    drawn = []
    for index, workload in enumerate(sorted({key[0] for key in inputs.samples})):
        name = "".join(c if c.isalnum() or c in "-_" else "_" for c in workload) or str(index)
        pages_ = sample_pages({key: images for key, images in inputs.samples.items() if key[0] == workload})
        for number, page in enumerate(pages_, 1):
            which, of = (f"-{number}", f" ({number} of {len(pages_)})") if len(pages_) > 1 else ("", "")
            caption = f"{workload}: the same inputs in each block{of}"
            drawn.append(Drawing(f"samples-{name}{which}", caption, "grid.sample_grid", (page, captions, workload)))
    return drawn


def sample_pages(samples: Mapping[SampleKey, Images]) -> list[dict[SampleKey, Images]]:
    """One workload's samples in portions that fit a page each: `MOST_STRATEGIES`, and dense in all of them."""
    dense = {key: images for key, images in samples.items() if key[1] == DENSE}
    names = sorted({key[1] for key in samples if key[1] != DENSE}, key=strategy_order)
    size = math.ceil(len(names) / math.ceil(len(names) / MOST_STRATEGIES)) if names else 1
    portions = [names[start : start + size] for start in range(0, len(names), size)] or [[]]
    return [dense | {key: images for key, images in samples.items() if key[1] in portion} for portion in portions]


def _sample_captions(
    summary: pd.DataFrame, samples: Mapping[SampleKey, Images], recovery: str | None
) -> dict[SampleKey, str]:
    """The level and the quality of each block, a collapse in a line of its own; the level alone where the recovery is
    not clear.
    """
    if recovery is None and summary["recovery"].nunique() == 1:
        recovery = str(summary["recovery"].iloc[0])
    known = {}
    for place, group in by_place(summary):
        rows = rows_of(group[group["recovery"] == recovery])
        quality = quality_words(rows, interval=False)
        for row in rows:
            known[(place, row["strategy"], row["level"])] = quality(row)
            if row["strategy"] == DENSE:
                known[(place, DENSE, "")] = quality(row)
    captions = {}
    for key in samples:
        first = DENSE if key[1] == DENSE else key[2]
        found = known.get((key[0], DENSE, "") if key[1] == DENSE else key, "").replace(", collapsed", "\ncollapsed")
        captions[key] = f"{first}, {found}" if found else first
    return captions


def pages(frame: pd.DataFrame) -> list[list[str]]:
    """The workloads of each page: all on one, or each by itself where strategies are many."""
    workloads = sorted(set(frame["workload"]))
    rows = len(workloads) * frame["strategy"].nunique()
    return [workloads] if rows <= MOST_ROWS else [[name] for name in workloads]


def _headline(
    frame: pd.DataFrame,
    aggregated: pd.DataFrame,
    summary: pd.DataFrame,
    *,
    own: frozenset[str],
    suffix: str,
    which: str,
) -> list[Drawing]:
    """Quality against sparsity, and against costs. ``own``: the workloads whose reference is dense's own output."""
    seeds = frame["seed"].nunique()
    spread = f"{seeds} seed{'s' if seeds != 1 else ''}; what they vary is in the table"
    parts: list[tuple[str, str, str, tuple[Any, ...]]] = []
    for quantity, workloads in _quantities(frame):
        mine = frame[frame["workload"].isin(workloads)]
        metric = main_metric(mine["metric"].tolist(), quantity.name)
        if metric is None:
            continue
        images = mine.loc[mine["metric"] == metric, "num_images"].dropna()
        count = f", N = {int(images.iloc[0])}" if len(images) else ""
        text = f"{metric} against achieved sparsity: mean, 95 % interval and seeds ({spread}{count})"
        for page in pages(mine):
            on_page = mine["workload"].isin(page), aggregated["workload"].isin(page)
            name = f"quality-{quantity.name}"
            name += "" if page == sorted(set(mine["workload"])) else f"-{safe(page[0])}"
            tables = _of_metric(mine[on_page[0]], metric), aggregated[on_page[1]]
            known, left_out = floors(aggregated[on_page[1]], metric, own)
            arguments = (*tables, Judge(quantity, metric), known)
            parts.append((name, ". ".join([text, *left_out]), "quality.quality_figure", arguments))
    leads = leads_of(summary)
    text = "Quality against MACs; hollow: effective MACs of masked networks, which dense kernels do not realise"
    parts.append(("pareto-macs", text, "cost.macs_figure", (summary, leads)))
    text = "Quality against measured latency; bars across: 95 % interval within the measuring process"
    parts.append(("pareto-latency", text, "cost.latency_figure", (summary, leads)))
    text = "Measured against theoretical speed-up; diagonal: what the MACs promise; dotted: no gain"
    parts.append(("speedup", text, "cost.speedup_figure", (summary,)))
    return [Drawing(name + suffix, text + which, function, given) for name, text, function, given in parts]


def floors(aggregated: pd.DataFrame, metric: str, own: frozenset[str]) -> tuple[dict[str, str], list[str]]:
    """What the band of each workload is called whose floor may stand beside the cells, and why others have none.

    The floor is a distance of so many images, and a distance of few is larger: beside curves of another N a network
    could seem better than real. ``own``: the workloads whose reference is what dense itself makes.
    """
    family, _, rest = metric.partition("[")
    known, left_out = {}, []
    for workload, rows in aggregated[aggregated["strategy"] == DENSE].groupby("workload", sort=True):
        words = task_of(rows).floor_words[str(workload) in own] or "reference"
        floor, mine = (rows[rows["metric"] == name] for name in (f"{family}_floor[{rest}", metric))
        counts = [sorted(set(found["num_images"].dropna())) for found in (floor, mine)]
        if counts[0] and counts[0] == counts[1]:
            known[str(workload)] = words
        elif counts[0]:
            of, others = (" or ".join(f"{count:,.0f}" for count in each) or "no images" for each in counts)
            left_out.append(f"{workload}: no band for {words}, whose value is of N = {of} and not of {others}")
    return known, left_out


def _of_metric(frame: pd.DataFrame, metric: str) -> pd.DataFrame:
    """The rows of one metric, and one row of each cell that does not have it."""
    cell = ["workload", "strategy", "level", "seed"]
    mine = frame["metric"] == metric
    known = pd.MultiIndex.from_frame(frame.loc[mine, cell])
    others = ~pd.MultiIndex.from_frame(frame[cell]).isin(known) & ~frame.duplicated(cell)
    return frame[mine | others]


def _quantities(frame: pd.DataFrame) -> list[tuple[Quantity, list[str]]]:
    """Every quantity of the run's tasks in their order, with the workloads of the tasks that have it."""
    found: dict[str, tuple[Quantity, list[str]]] = {}
    workloads = {str(name): task_of(rows) for name, rows in frame.groupby("workload", sort=True)}
    for task in tasks_of(frame):
        for quantity in task.quantities:
            mine = [name for name, of in workloads.items() if of.name == task.name]
            known = found.setdefault(quantity.name, (quantity, []))
            known[1].extend(name for name in mine if name not in known[1])
    return list(found.values())


def _hypervolume(part: Slice, frame: pd.DataFrame) -> list[Drawing]:
    table = hypervolume_table(frame)
    if table.empty:
        return []
    metric = "; ".join(sorted(set(table["metric"])))
    bounding = judges(judge for name, judge in areas_of(frame).items() if name in set(table["workload"]))
    caption = (
        f"Hypervolume of MACs and {metric} {'; '.join(map(_box, bounding))}. Mean, 95 % t-interval and seeds; filled: "
        f"executed MACs, hollow: effective MACs of masked networks, which dense kernels do not realise "
        f"({_seeds(frame)}{_images(frame)})"
    )
    return [Drawing(f"hypervolume{part.suffix}", caption + part.note, "hypervolume.hypervolume_figure", (table,))]


def _box(quantity: Quantity) -> str:
    """What the reference point is, and what one decade stands for."""
    tolerated = quantity.tolerated or 0.0
    if quantity.scale == "log":
        worst = f"{tolerated:g} times" if quantity.sign > 0 else f"1/{tolerated:g} of"
        return (
            f"(both log10) against a reference of the dense MACs and {worst} the dense {quantity.title} of the same "
            f"seed: decades of MACs saved, averaged over the tolerated {quantity.title} from dense to {worst} dense"
        )
    loss = f"{quantity.amount(tolerated)} {'more' if quantity.sign > 0 else 'less'} than"
    return (
        f"(MACs log10) against a reference of the dense MACs and {loss} the dense {quantity.title} of the same seed: "
        f"decades of MACs saved, averaged over the tolerated {quantity.title} from dense to {loss} dense"
    )


def _ranking(part: Slice, frame: pd.DataFrame) -> list[Drawing]:
    found = rankings(frame)
    if not found:
        return []
    judge = " or ".join(quantity.title for quantity in judges(judges_of(frame).values()))
    spread = "" if is_table(found) else "and range "
    caption = (
        f"Rank of the {judge} among the strategies that reached the level on every workload: mean {spread}over the "
        f"seeds, collapsed seeds last, tied ({_seeds(frame)}{_images(frame)}). Spearman's rho and Kendall's tau "
        f"between the workloads' mean ranks: {'; '.join(map(_agreement, found))}"
    )
    return [Drawing(f"ranking{part.suffix}", caption + part.note, "ranking.ranking_figure", (found,))]


def _agreement(ranking: Ranking) -> str:
    """``level 0.5: rho 0.83, tau 0.69 (7 strategies)``, over many pairs of workloads their range."""
    pairs = agreements(ranking)
    words = []
    for name, values in (("rho", [pair.spearman for pair in pairs]), ("tau", [pair.kendall for pair in pairs])):
        known = [value for value in values if not math.isnan(value)]
        if not known:
            words.append(f"{name} undefined")
        elif len(pairs) == 1:
            words.append(f"{name} {known[0]:.2f}")
        else:
            words.append(f"{name} {min(known):.2f} to {max(known):.2f}")
    over = f" over {len(pairs)} pairs" if len(pairs) > 1 else ""
    return f"level {ranking.level:g}: {', '.join(words)}{over} ({len(ranking.ranks)} strategies)"


def _achieved(part: Slice, frame: pd.DataFrame) -> list[Drawing]:
    found = pages(frame)
    missed = frame[frame["status"] == "infeasible"].drop_duplicates(["workload", "strategy", "level", "seed"])
    caption = (
        f"Achieved against requested sparsity of the {'MACs' if part.target == 'macs' else 'parameters'}: means and "
        "seeds; strategies are set apart along the diagonal, which keeps their distance to it. MACs: effective, zeros "
        "skipped" + (f"; {len(missed)} infeasible cells have no point" if len(missed) else "") + f" ({_seeds(frame)})"
    )
    drawn = []
    for page in found:
        name = f"achieved{f'-{_safe(page[0])}' if len(found) > 1 else ''}{part.suffix}"
        rows = frame[frame["workload"].isin(page)]
        drawn.append(Drawing(name, caption + part.note, "achieved.achieved_figure", (rows,)))
    return drawn


def _layers(part: Slice, records: Sequence[Record]) -> list[Drawing]:
    workloads = sorted({record.cell.workload for record in records})
    strategies = {record.cell.strategy for record in records}
    groups = [[name] for name in workloads] if len(strategies) * len(workloads) > MOST_ROWS else [workloads]
    drawn = []
    for group in groups:
        mine = [record for record in records if record.cell.workload in group]
        seeds = len({record.cell.seed for record in mine})
        caption = (
            "Percent of each layer's weights that are gone, by strategy and level: masked strategies first (blue), "
            "then those that remove physically (orange); beside the layers their share of the generator's weights "
            f"(mean of {seeds} seed{'s' if seeds != 1 else ''}; a dash: no network)"
        )
        name = f"layers{f'-{_safe(group[0])}' if len(groups) > 1 else ''}{part.suffix}"
        drawn.append(Drawing(name, caption + part.note, "layers.layers_figure", (layer_blocks(mine),)))
    return drawn


def _curves(part: Slice, records: Sequence[Record], frame: pd.DataFrame) -> list[Drawing]:
    curves = curves_frame(records)
    drawn = []
    watched = watched_of(frame)
    for workload in sorted(set(curves["workload"])):
        judge = watched[workload]
        mine = curves[curves["workload"] == workload]
        kinds = mine["strategy"].map(granularity_of)
        many = mine["strategy"].nunique() > MOST_CURVES
        for kind in sorted(set(kinds) - {DENSE}, key=lambda name: (name != "weight", name)) if many else [""]:
            shown = mine[kinds.isin([kind, DENSE])] if kind else mine
            label = quality_label(judge.quantity, judge.metric).replace(", ", ",\n")
            for stem, what, arguments in (
                ("curves", judge.metric, (shown, QUALITY, label)),
                ("d-accuracy", TOLD_APART_WORDS, (shown, TOLD_APART, "accuracy of D", (0.4, 1.02))),
            ):
                name = "-".join(filter(None, (f"{stem}-{_safe(workload)}", kind)))
                caption = _curve_caption(workload, what, frame) + part.note
                drawn.append(Drawing(f"{name}{part.suffix}", caption, "curves.curves_figure", arguments))
    return drawn


def _curve_caption(workload: str, what: str, frame: pd.DataFrame) -> str:
    return (
        f"{workload}: {what} while the pruned generators train, with the dense generator under the same recovery "
        f"(stars). Thick: mean over the seeds; thin: each seed ({_seeds(frame[frame['workload'] == workload])})"
    )


def _fingerprint(part: Slice, records: Sequence[Record]) -> tuple[object, ...]:
    """Equal where the same was removed from the same layers: everything that `achieved` and `layers` show."""
    cells = [
        (
            record.cell.workload, record.cell.strategy, record.cell.level_label, record.cell.seed, record.status,
            record.physical, record.achieved_params, record.achieved_macs, tuple(layer.kept for layer in record.layers),
        )
        for record in records
    ]  # fmt: skip
    return (part.checkpoint, part.target, *sorted(cells, key=repr))


def _seeds(frame: pd.DataFrame) -> str:
    """``3 seeds, varying the calibration and the evaluation inputs``."""
    seeds = frame["seed"].nunique()
    pruned = frame[(frame["strategy"] != DENSE) & frame["status"].isin(["ok", "collapsed"])]
    streams = {word for words in pruned["varies"] for word in words.split("+") if word}
    known = [text for role, text in _ROLES.items() if role in streams]
    words = ", ".join(known[:-1]) + " and " + known[-1] if len(known) > 1 else "".join(known)
    some = pruned["varies"].nunique() > 1
    varied = f", varying {'at most ' if some else ''}{words}" if words else ""
    return f"{seeds} seed{'s' if seeds != 1 else ''}{varied}"


def _images(frame: pd.DataFrame) -> str:
    metrics = {judge.metric for judge in judges_of(frame).values() if judge}
    counts = sorted(set(frame.loc[frame["metric"].isin(metrics), "num_images"].dropna()))
    return f", N = {' or '.join(f'{count:.0f}' for count in counts)}" if counts else ""


def _safe(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-+._" else "_" for c in name)
