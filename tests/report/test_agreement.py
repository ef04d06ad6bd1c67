"""Page, Markdown and LaTeX say the same of every row, and how many processes draw changes nothing."""

from __future__ import annotations

import csv
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from bench.report import pictures
from bench.report.build import build_report
from bench.report.inputs import ReportInputs
from bench.report.paper_equal import VERDICTS
from bench.report.pictures import Artists
from bench.tables import tidy
from bench.tables.claims import claims_of
from bench.tasks import TASKS
from tests.report.second_task import RESTORATION, mixed_run
from tests.report.synthetic import make_latency, make_records

Row = tuple[str, str, str]
"""Workload, strategy, level."""

WORDS = {
    "lower": "lower", "higher": "higher", "not separable": "n.s.", "identical": "identical",
    "not compared, some seeds collapsed": "collapsed", "not compared: some seeds collapsed": "collapsed",
    "worse, collapsed": "worse: coll.", "worse: collapsed": "worse: coll.",
    "better, as the other collapsed": "better: ref. coll.", "better: the other collapsed": "better: ref. coll.",
    "not compared, both collapsed": "both coll.", "both collapsed": "both coll.",
    "not compared, another achieved sparsity": "other size", "not compared: another achieved sparsity": "other size",
    "not compared, too few shared seeds": "few seeds", "not compared: too few shared seeds": "few seeds",
}  # fmt: skip


def said(words: str) -> str:
    """The verdict in words, without what was judged."""
    return WORDS[re.sub(r"^(lower|higher) \w+$", r"\1", words)]


def in_markdown(text: str) -> dict[Row, str]:
    part = text.split("**Against `l1-weight-global`**", 1)[1].split("\n\n", 2)[1]
    found = {}
    for line in part.splitlines():
        place, rest = line.removeprefix("- for this one network, ").removesuffix(".").split(": ", 1)
        workload, level = place.rsplit(", ", 1)
        for segment in rest.split("; "):
            words, names = segment.split(": ", 1)
            found |= {(workload, name, level): said(words) for name in re.findall(r"`([^`]+)`", names)}
    return found


class Marks(HTMLParser):
    """The cells of the tables of verdicts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.inside, self.small, self.rows = False, False, []  # type: ignore[var-annotated]
        self.caption, self.cell = "", ""
        self.found: dict[Row, str] = {}
        self.levels: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "table" and ("class", "verdicts") in attrs:
            self.inside, self.caption, self.levels = True, "", []
        self.small |= tag == "small"
        if tag in ("td", "th", "caption"):
            self.cell = ""
        if tag == "tr":
            self.rows = []

    def handle_data(self, data: str) -> None:
        if self.inside and not self.small:
            self.cell += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "table":
            self.inside = False
        self.small &= tag != "small"
        if not self.inside:
            return
        if tag == "caption":
            self.caption = self.cell.split(":")[0]
        if tag in ("td", "th"):
            self.rows.append(self.cell.strip())
        if tag == "tr" and not self.levels:
            self.levels = self.rows[1:]
        elif tag == "tr":
            for level, cell in zip(self.levels, self.rows[1:], strict=True):
                if cell != "—":
                    self.found[self.caption, self.rows[0], level] = said(cell.split(" ", 1)[1])


def in_latex(text: str) -> dict[Row, str]:
    """Cells are found by the columns that those of the head span."""
    found = {}
    keys = ["", ""]
    for body in re.findall(r"\\toprule(.*?)\\bottomrule", text, re.DOTALL):
        lines = [line.strip().removesuffix(r"\\") for line in body.splitlines() if line.strip().endswith(r"\\")]
        place = positions(lines[0])
        at = next(index for name, index in place.items() if "vs." in name)
        for line in lines[2:]:
            cells = spread(line)
            for index in (0, 1):
                word = re.sub(r"\\multirow\{\d+\}\{\*\}\{(.*)\}", r"\1", cells[index])
                keys[index] = word or keys[index]
            level = f"{float(re.match(r'[0-9.]+', keys[1])[0]) / 100:g}"  # type: ignore[index]
            strategy = re.sub(r"\\textbf\{(.*?)\}|\$.*?\$", r"\1", cells[2])
            if cells[at] not in (r"\textemdash{}", "ref."):
                found[keys[0], strategy, level] = cells[at]
    return found


def spread(line: str) -> list[str]:
    """The cells of a line, empty ones after those that span several columns."""
    found = []
    for cell in line.split("&"):
        word = cell.strip()
        wide = re.fullmatch(r"\\multicolumn\{(\d)\}\{c\}\{(.*)\}", word)
        found += [wide[2], *[""] * (int(wide[1]) - 1)] if wide else [word]
    return found


def positions(head: str) -> dict[str, int]:
    return {name: index for index, name in enumerate(spread(head)) if name}


@pytest.mark.parametrize("tasks", ["one", "two"])
def test_page_markdown_and_latex_say_the_same_of_every_row(
    tasks: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(TASKS, RESTORATION.name, RESTORATION)
    monkeypatch.setattr(Artists, "begin", lambda self, drawings: None)  # the words alone
    records = make_records() if tasks == "one" else mixed_run()
    page = build_report(ReportInputs({"name": "x"}, "main", records, make_latency(records)), tmp_path)
    claims = claims_of(tidy(records), "l1-weight-global").against_reference
    expected = {(claim.workload, claim.strategy, claim.level): VERDICTS[claim.verdict] for claim in claims}
    assert len(expected) > 40 and {"lower", "higher", "n.s.", "collapsed"} & set(expected.values())
    assert in_markdown((tmp_path / "report.md").read_text()) == expected
    assert Marks(page.read_text()).found == expected
    papers = sorted((tmp_path / "tables").glob("equal-params*.tex"))
    assert len(papers) == (1 if tasks == "one" else 2)
    shown: dict[Row, str] = {}
    for paper in papers:
        shown |= in_latex(paper.read_text()) if tasks == "one" else alone(paper, records[0].cell.workload)
    assert shown == expected
    for paper in papers:
        for row in csv.DictReader(paper.with_suffix(".csv").read_text().splitlines()):
            better = "higher" if "psnr" in row else "lower"
            if row["best"]:
                assert row["against_reference"] in (better, "ref.", "n.s.", "identical")


def alone(paper: Path, first: str) -> dict[Row, str]:
    """Of a table of one workload, which does not name it in its rows."""
    workload = first if "mnist-lenet" in paper.name else "mnist-mlp"
    text = re.sub(r"(\\midrule|\\cmidrule\{[^}]*\})\n", r"\1\n", paper.read_text())
    found = {}
    level = ""
    for body in re.findall(r"\\toprule(.*?)\\bottomrule", text, re.DOTALL):
        lines = [line.strip().removesuffix(r"\\") for line in body.splitlines() if line.strip().endswith(r"\\")]
        at = next(index for name, index in positions(lines[0]).items() if "vs." in name)
        for line in lines[2:]:
            cells = spread(line)
            level = re.sub(r"\\multirow\{\d+\}\{\*\}\{(.*)\}", r"\1", cells[0]) or level
            strategy = re.sub(r"\\textbf\{(.*?)\}|\$.*?\$", r"\1", cells[1])
            if cells[at] not in (r"\textemdash{}", "ref."):
                asked = f"{float(re.match(r'[0-9.]+', level)[0]) / 100:g}"  # type: ignore[index]
                found[workload, strategy, asked] = cells[at]
    return found


def test_one_process_or_two_write_the_same_bytes(tmp_path: Path) -> None:
    kept = ("dense", "l1-weight-global", "l1-channel-uniform")
    records = [each for each in make_records() if each.cell.strategy in kept and each.cell.seed < 2]
    inputs = ReportInputs({"name": "x"}, "main", records, make_latency(records))
    for jobs in (1, 2):
        build_report(inputs, tmp_path / str(jobs), artists=Artists(jobs))
    first, second = ({p.relative_to(tmp_path / n): p.read_bytes() for p in (tmp_path / n).rglob("*.*")} for n in "12")
    assert len(first) > 20 and first == second


def test_where_the_drawing_process_dies_the_figures_are_drawn_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "_STUDIO", "raise SystemExit(1)")
    records = [each for each in make_records() if each.cell.strategy in ("dense", "l1-weight-global")]
    build_report(ReportInputs({"name": "x"}, "main", records), tmp_path)
    assert (tmp_path / "figures" / "quality-fid.pdf").exists()
