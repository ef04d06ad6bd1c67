"""The figures behind the headline ones: what was reached, where, how stably, and how training went."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from bench.records import Record
from bench.report.achieved import achieved_figure
from bench.report.answer import judged_by
from bench.report.curves import TOLD_APART, curves_figure, curves_frame
from bench.report.figures import MOST_ROWS, Drawn, pages
from bench.report.hypervolume import hypervolume_figure
from bench.report.layers import layers_figure
from bench.report.quality import quality_label
from bench.report.ranking import Ranking, agreements, is_table, ranking_figure, rankings
from bench.report.slices import Slice, slices_of
from bench.tables import granularity_of, lead_metric, main_metric
from bench.tables.hypervolume import TOLERATED, hypervolume_table
from bench.tables.naming import DENSE

MOST_CURVES = 21
"""Strategies in one figure of curves, three lines of panels; beyond that each granularity has its own."""
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


def draw_more(
    records: Sequence[Record], frame: pd.DataFrame, aggregated: pd.DataFrame, summary: pd.DataFrame
) -> list[Drawn]:
    """Hypervolume, ranking, requested against achieved, sparsity by layer and learning curves, slice by slice.

    ``frame`` and ``aggregated`` are `tidy` and `aggregate`'s tables of ``records``; ``summary`` is not needed and
    accepted so that all figures are drawn from the same four. What a recovery does not change (what was removed, and
    where) is drawn once for all recoveries that agree.
    """
    drawn: list[Drawn] = []
    seen: set[tuple[object, ...]] = set()
    curves = curves_frame(records)
    for part in slices_of(aggregated):
        rows, mine = part.pick(frame), part.pick_records(records)
        drawn += _hypervolume(part, rows)
        drawn += _ranking(part, rows)
        fingerprint = _fingerprint(part, mine)
        if fingerprint not in seen:
            seen.add(fingerprint)
            drawn += [*_achieved(part, rows), *_layers(part, mine)]
        if not curves.empty:
            drawn += _curves(part, mine, rows)
    return drawn


def _hypervolume(part: Slice, frame: pd.DataFrame) -> list[Drawn]:
    table = hypervolume_table(frame)
    figure = hypervolume_figure(table)
    if figure is None:
        return []
    metric = "; ".join(sorted(set(table["fid_metric"])))
    caption = (
        f"Hypervolume of MACs and {metric} (both log10) against a reference of the dense MACs and {TOLERATED:g} times "
        "the dense FID of the same seed: decades of MACs saved, averaged over the tolerated FID from dense to "
        f"{TOLERATED:g} times dense. Mean, 95 % t-interval and seeds; filled: executed MACs, hollow: effective MACs "
        f"of masked networks, which dense kernels do not realise ({_seeds(frame)}{_images(frame)})"
    )
    return [Drawn(f"hypervolume{part.suffix}", caption + part.note, figure)]


def _ranking(part: Slice, frame: pd.DataFrame) -> list[Drawn]:
    found = rankings(frame)
    figure = ranking_figure(found)
    if figure is None:
        return []
    judge = " or ".join(judged_by(frame))
    spread = "" if is_table(found) else "and range "
    caption = (
        f"Rank of the {judge} among the strategies that reached the level on every workload: mean {spread}over the "
        f"seeds, collapsed seeds last, tied ({_seeds(frame)}{_images(frame)}). Spearman's rho and Kendall's tau "
        f"between the workloads' mean ranks: {'; '.join(map(_agreement, found))}"
    )
    return [Drawn(f"ranking{part.suffix}", caption + part.note, figure)]


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


def _achieved(part: Slice, frame: pd.DataFrame) -> list[Drawn]:
    found = [(page, achieved_figure(frame[frame["workload"].isin(page)])) for page in pages(frame)]
    missed = frame[frame["status"] == "infeasible"].drop_duplicates(["workload", "strategy", "level", "seed"])
    caption = (
        f"Achieved against requested sparsity of the {'MACs' if part.target == 'macs' else 'parameters'}: means and "
        "seeds; strategies are set apart along the diagonal, which keeps their distance to it. MACs: effective, zeros "
        "skipped" + (f"; {len(missed)} infeasible cells have no point" if len(missed) else "") + f" ({_seeds(frame)})"
    )
    names = [f"-{_safe(page[0])}" if len(found) > 1 else "" for page, _ in found]
    return [
        Drawn(f"achieved{name}{part.suffix}", caption + part.note, figure)
        for name, (_, figure) in zip(names, found, strict=True)
        if figure is not None
    ]


def _layers(part: Slice, records: Sequence[Record]) -> list[Drawn]:
    workloads = sorted({record.cell.workload for record in records})
    strategies = {record.cell.strategy for record in records}
    groups = [[name] for name in workloads] if len(strategies) * len(workloads) > MOST_ROWS else [workloads]
    drawn = []
    for group in groups:
        mine = [record for record in records if record.cell.workload in group]
        figure = layers_figure(mine)
        if figure is None:
            continue
        seeds = len({record.cell.seed for record in mine})
        caption = (
            "Percent of each layer's weights that are gone, by strategy and level: masked strategies first (blue), "
            "then those that remove physically (orange); beside the layers their share of the generator's weights "
            f"(mean of {seeds} seed{'s' if seeds != 1 else ''}; a dash: no network)"
        )
        name = f"-{_safe(group[0])}" if len(groups) > 1 else ""
        drawn.append(Drawn(f"layers{name}{part.suffix}", caption + part.note, figure))
    return drawn


def _curves(part: Slice, records: Sequence[Record], frame: pd.DataFrame) -> list[Drawn]:
    curves = curves_frame(records)
    drawn = []
    for workload in sorted(set(curves["workload"])):
        metric = main_metric(frame.loc[frame["workload"] == workload, "metric"].tolist(), "fid") or "fid"
        mine = curves[curves["workload"] == workload]
        kinds = mine["strategy"].map(granularity_of)
        many = mine["strategy"].nunique() > MOST_CURVES
        for kind in sorted(set(kinds) - {DENSE}, key=lambda name: (name != "weight", name)) if many else [""]:
            shown = mine[kinds.isin([kind, DENSE])] if kind else mine
            label = quality_label(metric, "lower").replace(", ", ",\n")
            for stem, what, figure in (
                ("curves", metric, curves_figure(shown, "fid", label)),
                ("d-accuracy", TOLD_APART_WORDS, curves_figure(shown, TOLD_APART, "accuracy of D", (0.4, 1.02))),
            ):
                if figure is not None:
                    name = "-".join(filter(None, (f"{stem}-{_safe(workload)}", kind)))
                    caption = _curve_caption(workload, what, frame) + part.note
                    drawn.append(Drawn(f"{name}{part.suffix}", caption, figure))
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
    metrics = {lead_metric(rows["metric"]) for _, rows in frame.groupby("workload")}
    counts = sorted(set(frame.loc[frame["metric"].isin([name for name in metrics if name]), "num_images"].dropna()))
    return f", N = {' or '.join(f'{count:.0f}' for count in counts)}" if counts else ""


def _safe(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-+._" else "_" for c in name)
