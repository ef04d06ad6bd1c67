"""The tables of `docs/statistics.md`, from the collected data alone, between two markers of the page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from bench.base.errors import UserError
from bench.gate.calibration.document import rate_words, table
from bench.gate.calibration.statistics.cells import Variant
from bench.gate.calibration.statistics.collect import LEADING, RECOVERY, sums_file
from bench.gate.calibration.statistics.errors import Ratio, limits, pair, single, unpaired_same
from bench.gate.calibration.statistics.read import Collected, read_collected
from bench.gate.calibration.statistics.runs import ERROR, LARGE, Family, decided, twins, widths
from bench.gate.calibration.statistics.sums import read_sums
from bench.tasks.generation import GENERATION
from bench.tasks.generation.quantities import CALIBRATED
from strategies.builtin import DENSE

BEGIN, END = "<!-- calibration: begin -->", "<!-- calibration: end -->"
SEEDS_OF_A_RUN = (1, 3, 5)
LEVELS = (0.05, 0.001)
REFERENCES = ((DENSE, 0.0), ("l1-weight-global", 0.5))
TITLE = GENERATION.quantity(LEADING).title

KINDS = (
    "A network that is *drawn* is made anew under each seed, as a cell of a run is; its *twin* is made with another "
    "seed and judged on the same inputs, so that the two do not differ in truth; a *fixed* one is made once, so that "
    "only evaluation inputs are drawn. Bounds in brackets (95 %) cover the finite number of seeds, and of drawn runs."
)

SAME = (
    "*Other inputs*: a fixed network in two runs of so many seeds, no seed in both, by the images' errors alone. "
    "*Twins*: a drawn network and its twin, paired, with the variance that its draws give, moderated beside the "
    "comparisons of its family."
)

ERRORS = (
    "Fixed networks, and drawn ones of which calibration alone is drawn (the images' error is then a little too small, "
    "and by right). Error: root of the mean variance."
)

LIMITS = (
    f"Does {TITLE} of one seed, with 1.96 of its errors to either side, cover the value of all images "
    "of all seeds together (their distance less its bias)? Of drawn networks these are images of as many "
    "networks, which differ by their calibration."
)

WIDTHS = (
    "Half width of the 95 % interval of one difference, nothing corrected: as a run has it, and of the t interval of "
    "its seeds; root mean squares over runs. The square of their ratio is how many times more seeds, and so CPU "
    "seconds, the t interval costs at equal width, where both widths fall with the root of the seeds. *Covers*: how "
    "often the run's interval covers the mean of all seeds."
)

VERDICTS = (
    "*False*: runs with any verdict where every difference is moved to mean 0. *Wrong*: runs with a verdict in the "
    f"wrong direction, nothing moved. *Found*: of the true differences of at least {100 * LARGE:g} % of the reference "
    "and two errors of such a run, the share that gets its verdict; *by t tests*: the same by Holm's procedure over "
    "t tests of the seeds, which know nothing of the images."
)


def write_between(page: Path, text: str) -> None:
    """Put ``text`` between the markers of a page. Raises UserError where it has none."""
    before, begin, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise UserError(f"{page}: expected the lines {BEGIN} and {END}; the tables stand between them.")
    page.write_text(f"{before}{BEGIN}\n\n{text.strip()}\n\n{END}{after}", encoding="utf-8")


def document(folder: Path) -> str:
    """All tables."""
    found = read_collected(folder)
    if not found:
        return "Not collected yet."
    return "\n".join(
        [*_about(found), *_errors(found), *_same(found), *_limits(found, folder), *_widths(found), *_verdicts(found)]
    )


def _about(found: Sequence[Collected]) -> Iterator[str]:
    seeds = ", ".join(f"`{data.workload}` {len(data.seeds)} seeds" for data in found)
    yield f"{seeds}; {found[0].num_images} images each, recovery `{RECOVERY}`. {KINDS}\n"


def _errors(found: Sequence[Collected]) -> Iterator[str]:
    yield "### Error from the images against the spread over seeds\n"
    yield f"{ERRORS}\n"
    rows = []
    for data in found:
        for i in [*data.of("fixed"), *data.calibrated()]:
            level = f"{data.raw[LEADING][:, i].mean():.2f}"
            own = single(data, LEADING, i)
            others = [_ratio(single(data, name, i)) if _there(data, name) else "" for name in _beside()]
            rows.append(
                [data.workload, _name(data, i), data.networks[i].kind, level, f"{own.spread:.3f}", _ratio(own), *others]
            )
    titles = [GENERATION.quantity(name).title for name in _beside()]
    yield table(["workload", "network", "made", TITLE, "spread", f"error / spread, {TITLE}", *titles], rows) + "\n"
    yield "Differences on common inputs:\n"
    beside = [name for name in _beside() if name in found[0].paired]
    rows = []
    for data in found:
        values = data.raw[LEADING]
        for one, other in [*_pairs(data.of("fixed")), *_pairs(data.calibrated())]:
            both = pair(data, LEADING, one, other)
            others = [_ratio(pair(data, name, one, other)) if _there(data, name) else "" for name in beside]
            change = f"{(values[:, one] - values[:, other]).mean():.2f}"
            name = f"{_name(data, one)} less {_name(data, other)}"
            rows.append(
                [data.workload, name, data.networks[one].kind, change, f"{both.spread:.3f}", _ratio(both), *others]
            )
    titles = [GENERATION.quantity(name).title for name in beside]
    yield table(["workload", "difference", "made", TITLE, "spread", f"error / spread, {TITLE}", *titles], rows) + "\n"
    yield "How much of the spread of drawn networks the images account for (the rest must come from seeds):\n"
    rows = []
    for data in found:
        drawn = data.of("drawn")
        for i in drawn[1:]:
            kind = "+".join(sorted(data.varies[i])) or "nothing"
            both = pair(data, LEADING, i, drawn[0])
            rows.append([data.workload, _name(data, i), kind, f"{both.spread:.3f}", _ratio(both)])
    yield (
        table(["workload", "network less dense", "drawn beside inputs", "spread", "error from images / spread"], rows)
        + "\n"
    )


def _same(found: Sequence[Collected]) -> Iterator[str]:
    yield "### A/A: a difference where there is none\n"
    yield f"{SAME}\n"
    rows = []
    for data in found:
        for seeds in SEEDS_OF_A_RUN:
            rates = unpaired_same(data, seeds, LEVELS)
            rows.append([data.workload, "other inputs", str(seeds), *map(rate_words, rates)])
        family = _family(data, *REFERENCES[0])
        for i in data.of("twin", whole=True):
            original = data.index(Variant(data.networks[i].strategy, data.networks[i].sparsity))
            if not data.varies[i]:  # nothing but inputs is drawn: the twin is the network itself
                continue
            rates = twins(family, i, original, 3, LEVELS)
            rows.append([data.workload, f"twins of {_name(data, original)}", "3", *map(rate_words, rates)])
    yield table(["workload", "what", "seeds", "said to differ at 5 %", "at .1 %"], rows) + "\n"


def _limits(found: Sequence[Collected], folder: Path) -> Iterator[str]:
    yield "### What very many images give\n"
    yield f"{LIMITS}\n"
    sums = read_sums(sums_file(folder, ""))
    rows = []
    for data in found:
        plain = data.raw[GENERATION.leaders[1]]
        for each in limits(data, sums):
            i = each.network
            rows.append([
                data.workload, _name(data, i), data.networks[i].kind, f"{each.images}", f"{each.pooled:.3f}",
                f"{each.mean:.3f}", f"{plain[:, i].mean():.3f}", rate_words(each.covered),
            ])  # fmt: skip
    heading = ["workload", "network", "made", "images", f"{TITLE} of all", f"mean {TITLE} of a seed",
               f"mean {GENERATION.quantity(GENERATION.leaders[1]).title} of a seed", "covered"]  # fmt: skip
    yield table(heading, rows) + "\n"


def _widths(found: Sequence[Collected]) -> Iterator[str]:
    yield "### Intervals of single differences, three seeds\n"
    yield f"{WIDTHS}\n"
    rows = []
    for data in found:
        for kind in _kinds(data):
            family = _family(data, DENSE, 0.0, kind)
            for i, each in zip(family.others, widths(family, 3), strict=True):
                rows.append([
                    data.workload, kind, _name(data, i), f"{each.own:.3g}", f"{each.by_t:.3g}",
                    f"{(each.by_t / each.own) ** 2:.1f}", rate_words(each.covered),
                ])  # fmt: skip
    heading = ["workload", "networks", "less dense", "half width", "of the t interval", "(t / own) squared", "covers"]
    yield table(heading, rows) + "\n"


def _verdicts(found: Sequence[Collected]) -> Iterator[str]:
    yield "### Verdicts of whole runs\n"
    yield f"Family-wise error {ERROR:g}, {TITLE}, groups are strategies. {VERDICTS}\n"
    rows = []
    for data in found:
        for kind in _kinds(data):
            for strategy, level in REFERENCES:
                family = _family(data, strategy, level, kind)
                for seeds in SEEDS_OF_A_RUN:
                    each = decided(family, seeds)
                    rows.append([
                        data.workload, kind, f"{_name(data, family.reference)}", str(len(family.others)), str(seeds),
                        rate_words(each.false_runs), rate_words(each.wrong), str(each.large),
                        _percent(each.found), _percent(each.found_by_t),
                    ])  # fmt: skip
    heading = [
        "workload",
        "networks",
        "against",
        "comparisons",
        "seeds",
        "false",
        "wrong",
        "to be found",
        "found",
        "by t tests",
    ]
    yield table(heading, rows) + "\n"


def _family(data: Collected, strategy: str, level: float, kind: str = "drawn") -> Family:
    reference = data.index(Variant(strategy, level, kind))  # type: ignore[arg-type]
    return Family(data, reference, tuple(i for i in data.of(kind, whole=True) if i != reference))


def _kinds(data: Collected) -> list[str]:
    """Which of the two were collected."""
    return [kind for kind in ("drawn", "fixed") if data.of(kind)]


def _pairs(networks: Sequence[int]) -> list[tuple[int, int]]:
    """All with the first, all others with the second."""
    return [(i, networks[0]) for i in networks[1:]] + [(i, networks[1]) for i in networks[2:]]


def _beside() -> list[str]:
    """Other quantities with an error from images."""
    return [quantity.name for quantity in CALIBRATED if quantity.name not in GENERATION.leaders[:2]]


def _there(data: Collected, name: str) -> bool:
    return bool(np.isfinite(data.variances[name]).all())


def _name(data: Collected, network: int) -> str:
    variant = data.networks[network]
    return variant.strategy + ("" if variant.strategy == DENSE else f" @{variant.sparsity:g}")


def _ratio(each: Ratio) -> str:
    return f"{each.value:.2f} ({each.low:.2f} to {each.high:.2f})"


def _percent(value: float) -> str:
    return "" if np.isnan(value) else f"{100 * value:.0f} %"
