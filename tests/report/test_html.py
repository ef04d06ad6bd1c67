"""The page: whole without a network, safe whatever names say, and usable in a real browser."""

from __future__ import annotations

import base64
import itertools
import re
from collections.abc import Iterator, Sequence
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from bench.records import Record
from bench.report.blocks import Code, Heading, Items, Paragraph, Preformatted, Strong, grid
from bench.report.html import AUTHORS, TITLE, render_html
from bench.report.html_blocks import html, inline
from bench.report.html_images import svg_html
from bench.report.inputs import ReportInputs
from bench.report.model import build_model
from bench.report.pictures import draw
from bench.report.style import files_of
from tests.report.browser import Browser, browser, missing
from tests.report.drawn import HEADLINE
from tests.report.synthetic import make_failure, make_latency, make_record, make_records

HOSTILE = "</style></script><script>window.hacked=1</script><img src=x onerror=window.hacked=1>\"']]>&`|$_x_-channel"
TABLES = ("summary", "cells", "metrics", "latency", "claims", "hypervolume")
QUICK = {"name": "quick", "report": {"reference": "l1-weight-global"}}
VOID = {"meta", "img", "input", "br", "hr", "link"}


class Page(HTMLParser):
    """Every element with its attributes, in order, and whether elements are closed in the order they opened."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.stack: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.stack or self.stack[-1] not in ("script", "style"):
            self.words.append(data)

    def values(self, name: str) -> list[str]:
        return [attributes[name] for _, attributes in self.elements if name in attributes]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def write(folder: Path, records: Sequence[Record], **more: object) -> Path:
    inputs = ReportInputs(**({"experiment": QUICK, "run": "main", "records": records} | more))  # type: ignore[arg-type]
    model = build_model(inputs)
    shown = [each for each in model.figures if each.function.split(".")[0] in HEADLINE]
    drawn = {each.name: picture for each in (*shown, *model.grids) if (picture := draw(each))}
    figures, sheets = ([each for each in some if each.name in drawn] for some in (shown, model.grids))
    path = folder / "index.html"
    path.write_text(render_html(model, figures, sheets, drawn), encoding="utf-8")
    return path


def write_whole(folder: Path) -> Path:
    records = make_records()
    images = np.random.default_rng(0).integers(0, 256, (16, 1, 28, 28), dtype=np.uint8)
    levels = [("dense", "0"), ("l1-weight-global", "0.5"), ("l1-channel-global", "0.5")]
    return write(
        folder, records, latency=make_latency(records), failures=[make_failure()], excluded=["left | out <b>"],
        samples={("mnist-dcgan", *level): images for level in levels}, environment={"started": "2026-01-01T00:00:00Z"},
    )  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_whole(tmp_path_factory.mktemp("page"))


def check(text: str) -> Page:
    """What holds for every page, whatever is in it."""
    page = Page(text)
    assert page.stack == []
    tags = [tag for tag, _ in page.elements]
    assert {"iframe", "object", "embed", "link", "base"}.isdisjoint(tags)
    assert (tags.count("script"), tags.count("style"), tags.count("h1"), tags.count("main")) == (1, 1, 1, 1)
    for address in page.values("src") + page.values("href") + page.values("xlink:href"):
        assert address.startswith(("#", "data:image/png;base64,", "data:text/csv;base64,"))
    assert re.search(r"@import|url\((?!#)", text) is None
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
    idents = page.values("id")
    assert len(idents) == len(set(idents))
    targets = [value[1:] for value in page.values("href") if value.startswith("#")]
    targets += [value for name in ("aria-controls", "aria-labelledby") for value in page.values(name)]
    targets += re.findall(r"url\(#([^)]*)\)", " ".join(v for _, a in page.elements for v in a.values()))
    assert set(targets) <= set(idents)
    assert all(attributes.get("alt") for tag, attributes in page.elements if tag == "img")
    headings = [int(tag[1]) for tag in tags if re.fullmatch(r"h[1-6]", tag)]
    assert headings[0] == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(headings))
    (policy,) = [a["content"] for tag, a in page.elements if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    return page


def test_a_whole_run_is_one_valid_page_that_asks_for_nothing(whole: Path):
    page = check(whole.read_text())
    assert [entry.name for entry in whole.parent.iterdir()] == ["index.html"]
    assert whole.stat().st_size < 5_000_000
    for said in ("collapsed 1/3", "no BatchNorm layer | nothing", "RuntimeError: <script>alert(1)</script> | boom",
                 "left | out <b>", "Each workload is one training", "description, not a test"):  # fmt: skip
        assert said in page.text


def test_the_same_inputs_give_the_same_bytes(whole: Path, tmp_path: Path):
    assert write_whole(tmp_path).read_bytes() == whole.read_bytes()


def test_rows_and_samples_link_to_each_other(whole: Path):
    text = whole.read_text()
    links = _links(text)
    assert len(links) == 3
    for row, sample in links:
        block = text.split(f'id="{sample}"', 1)[1].split("</figure>", 1)[0]
        assert f'href="#{row}"' in block


def _links(text: str) -> list[tuple[str, str]]:
    rows = re.findall(r'<tr id="(row-\d+)"[^>]*>(.*?)</tr>', text, re.S)
    return [(row, found[0]) for row, body in rows if (found := re.findall(r'href="#(samples-\d+)"', body))]


def test_downloads_hold_the_tables(whole: Path):
    page = check(whole.read_text())
    files = {a["download"]: a["href"] for _, a in page.elements if "download" in a}
    assert set(files) == {*(f"{name}.csv" for name in TABLES), "samples-mnist-dcgan.png"}
    summary = base64.b64decode(files["summary.csv"].partition(",")[2]).decode()
    assert summary.startswith("workload,checkpoint,strategy")
    assert summary.count("\n") == 1 + 66


def test_numbers_are_sorted_by_value(whole: Path):
    row = re.search(r'<tr id="row-2".*?</tr>', whole.read_text(), re.S)
    assert row is not None
    assert re.search(r'data-v="30\.\d+" class="num">30\.\d\d ±', row[0])


def test_hostile_names_stay_text(tmp_path: Path):
    records = []
    for seed in range(3):
        records += [make_record(HOSTILE, "dense", 0.0, seed, recovery=HOSTILE, fid=5.0 + seed)]
        for name in (HOSTILE, "l1-weight-global"):
            records.append(make_record(HOSTILE, name, 0.5, seed, recovery=HOSTILE, fid=6.0 + seed, reason=HOSTILE))
    images = np.zeros((4, 3, 8, 8), np.uint8)
    path = write(
        tmp_path, records, run=HOSTILE, experiment=QUICK | {"name": HOSTILE, HOSTILE: HOSTILE},
        samples={(HOSTILE, HOSTILE, "0.5"): images, (HOSTILE, "dense", "0"): images},
        environment={HOSTILE: HOSTILE, "started": HOSTILE}, excluded=[HOSTILE],
    )  # fmt: skip
    page = check(path.read_text())
    assert page.text.count(HOSTILE) > 10
    if not missing():
        with browser() as window:
            window.open(path)
            assert window.run("return window.hacked === undefined && document.scripts.length") == 1
            assert window.console() == []


@pytest.mark.parametrize(
    ("records", "said"),
    [
        ([], "No cell has a usable result"),
        ([make_record(status="collapsed", seed=seed, reason="IS 1.0") for seed in range(3)], "collapsed 3/3"),
        ([make_record(status="infeasible", empty=True, reason="at most 0.8")], "at most 0.8"),
        ([make_record()], "without an interval: no claim"),
        (
            [
                make_record(strategy=name, seed=seed, fid=9.0 + len(name))
                for seed in range(2)
                for name in ("l1-weight-global", "dense")
            ],
            "could be compared with dense",
        ),
        ([make_record(seed=seed) for seed in range(3)], "Latency was not measured"),
        ([make_record(level={"threshold": 0.2})], "knob of their own"),
    ],
    ids=["empty", "collapsed", "infeasible", "one seed", "two seeds", "no latency", "own knob"],
)
def test_what_is_missing_is_said(tmp_path: Path, records: list[Record], said: str):
    assert said in check(write(tmp_path, records).read_text()).text


def test_several_recoveries_are_told_apart_and_only_one_has_the_samples(tmp_path: Path):
    records = [make_record(recovery=name, seed=seed) for name in ("none", "finetune-200") for seed in range(3)]
    images = np.zeros((4, 1, 8, 8), np.uint8)
    samples = {("mnist-dcgan", "l1-weight-global", "0.5"): images}
    text = write(tmp_path, records, samples=samples, samples_recovery="finetune-200").read_text()
    check(text)
    assert len(_links(text)) == 1
    assert 'id="filter-recovery"' in text


def test_it_is_cited_as_the_repository_says(whole: Path):
    cited = (Path(__file__).parents[2] / "CITATION.cff").read_text()
    assert f'title: "{TITLE}"' in cited
    assert f'name: "{AUTHORS}"' in cited
    assert "note = {experiment quick, run main}" in check(whole.read_text()).text


def test_two_figures_share_no_id_and_no_style():
    figure = Figure()
    figure.subplots().plot([1, 2], marker="o", label="]]></svg><script>")
    figure.axes[0].legend()
    content = files_of(figure)["svg"]
    one, two = svg_html(content, "a-"), svg_html(content, "b-")
    assert set(re.findall(r'id="([^"]+)"', one)).isdisjoint(re.findall(r'id="([^"]+)"', two))
    assert all(f'id="a-{name}"' in one for name in re.findall(r"(?:url\(#|href=\"#)a-([^)\"]+)", one))
    assert "<style" not in one
    assert "<script" not in one


@pytest.mark.parametrize("name", [HOSTILE, r"back\slash", "a*b*c", "x://y", "&lt;", "[a](b)", "``", "\\|"])
def test_names_come_out_as_they_went_in(name: str):
    for content in ((name,), (Code(name),), (Strong((name,)),)):
        assert Page(str(inline(content))).text == name
    assert Page(str(html([grid(["what"], [[name]])]))).text == f"Table what {name}"


def test_blocks_are_elements():
    blocks = [
        Paragraph(("one ", Code("<b>"))),
        Items((("a",), (Strong(("b",)),))),
        Heading(("title",)),
        Preformatted("<b>\nx", "json"),
    ]
    assert html(blocks) == (
        "<p>one <code>&lt;b&gt;</code></p>\n<ul><li>a</li><li><strong>b</strong></li></ul>\n<h3>title</h3>\n"
        '<pre tabindex="0"><code>&lt;b&gt;\nx</code></pre>'
    )


# In a browser


@pytest.fixture(scope="module")
def window() -> Iterator[Browser]:
    if reason := missing():
        pytest.skip(reason)
    with browser() as opened:
        yield opened


@pytest.fixture
def opened(window: Browser, whole: Path) -> Browser:
    window.scripting(on=True)
    window.view(1280)
    window.open(whole)
    return window


COLUMN = """
const table = document.querySelector("table.results");
const at = [...table.querySelectorAll("th[data-type]")].findIndex((th) => th.textContent.startsWith(arguments[0]));
return [table.querySelectorAll("th[data-type]")[at].getAttribute("aria-sort"),
        [...table.querySelectorAll("tbody.entry")].map((body) => body.rows[0].cells[at].dataset.v)];
"""
FOCUS = """
[...document.querySelectorAll("button.sort")].find((b) => b.textContent.startsWith(arguments[0])).focus();
"""
SHOWN = 'return document.querySelectorAll("tbody.entry:not([hidden])").length'


def test_nothing_is_requested_and_nothing_complains(window: Browser, whole: Path):
    window.requests(), window.console()
    window.open(whole)
    asked = [address for address in window.requests() if not address.startswith(("data:", "chrome"))]
    assert asked == [whole.as_uri()]
    assert window.console() == []


@pytest.mark.parametrize("key", ["Enter", "Space"])
def test_columns_sort_by_value_with_the_keyboard(opened: Browser, key: str):
    _, original = opened.run(COLUMN, "fid[")
    for order, sign in (("ascending", 1), ("descending", -1)):
        opened.run(FOCUS, "fid[")
        opened.press(key)
        state, values = opened.run(COLUMN, "fid[")
        known = [float(value) for value in values if value]
        assert state == order
        assert known == sorted(known, key=lambda value, sign=sign: sign * value)  # type: ignore[misc]
        assert values[len(known) :] == [""] * (len(values) - len(known))
    opened.press(key)
    assert opened.run(COLUMN, "fid[") == ["none", original]


def test_columns_sort_with_a_click_and_words_as_words(opened: Browser):
    opened.click("table.results th[data-type] button.sort")
    state, values = opened.run(COLUMN, "strategy")
    assert state == "ascending"
    assert values == sorted(values)


def test_filters(opened: Browser):
    assert opened.run(SHOWN) == 66
    opened.run('document.getElementById("filter-text").focus()')
    opened.press(*"uniform 0.5")
    assert opened.run(SHOWN) == 6
    choose = """const s = document.getElementById(arguments[0]); s.value = arguments[1];
                s.dispatchEvent(new Event("input", {bubbles: true}))"""
    opened.run(choose, "filter-granularity", "channel")
    assert opened.run(SHOWN) == 4
    opened.run(choose, "filter-workload", "mnist-mlp")
    assert opened.run(SHOWN) == 2
    assert opened.run('return document.querySelectorAll(".workload:not([hidden])").length') == 1
    assert opened.run('return document.getElementById("count").textContent') == "2 of 66 rows"
    opened.click("button[type=reset]")
    assert opened.run("return new Promise((done) => setTimeout(() => done(document.querySelectorAll("
                      '"tbody.entry:not([hidden])").length), 20))') == 66  # fmt: skip


def test_seeds_unfold(opened: Browser):
    seen = 'return document.getElementById("row-1-seeds").offsetHeight > 0'
    assert opened.run(seen) is False
    opened.click("#row-1 button.more")
    assert opened.run(seen) is True
    assert opened.run('return document.querySelectorAll("#row-1-seeds tbody tr").length') == 3
    opened.click("#row-1 button.more")
    assert opened.run(seen) is False


@pytest.mark.parametrize("figure", ["#figure-1", "#samples-2"])
def test_a_picture_opens_and_closes_and_gives_the_focus_back(opened: Browser, figure: str):
    before = opened.run("return document.querySelector(arguments[0] + ' .card').innerHTML", figure)
    is_open = 'return document.getElementById("zoom").open'
    opened.run("document.querySelector(arguments[0] + ' .enlarge').focus()", figure)
    opened.press("Enter")
    assert opened.run(is_open) is True
    assert opened.run('return document.querySelector("#zoom .stage").childElementCount') == 1
    opened.press("Escape")
    assert opened.run(is_open) is False
    assert opened.run("return document.activeElement === document.querySelector(arguments[0] + ' .enlarge')", figure)
    opened.click(f"{figure} .card")
    assert opened.run(is_open) is True
    opened.click("#zoom-close")
    assert opened.run(is_open) is False
    after = opened.run("return document.querySelector(arguments[0] + ' .card').innerHTML", figure)
    assert after.replace(' style=""', "") == before.replace(' style=""', "")


def test_a_link_finds_a_row_that_a_filter_hides(opened: Browser):
    opened.run('document.getElementById("filter-text").focus()')
    opened.press(*"mlp")
    opened.click("#samples-2 a")
    focused = "return new Promise((done) => setTimeout(() => done(document.activeElement.id), 50))"
    assert opened.run(focused).startswith("row-")


@pytest.mark.parametrize("width", [320, 375, 768, 1280, 1920])
@pytest.mark.parametrize("dark", [False, True])
def test_the_page_never_scrolls_sideways(window: Browser, whole: Path, width: int, dark: bool):
    window.view(width, dark=dark, phone=width < 500)
    window.open(whole)
    assert window.run("return document.documentElement.scrollWidth <= document.documentElement.clientWidth")


CONTRAST = """
const value = (rgb) => rgb.match(/[\\d.]+/g).map(Number);
const light = (rgb) => { const [r, g, b] = value(rgb).slice(0, 3).map((c) => c / 255)
  .map((c) => c <= .03928 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4); return .2126 * r + .7152 * g + .0722 * b; };
const ground = (e) => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor;
  if (value(c)[3] !== 0) return c; } return "rgb(255, 255, 255)"; };
const bad = new Set();
for (const e of document.body.querySelectorAll("*")) {
  if (e.closest("svg, .hidden, dialog") || !e.checkVisibility()) continue;
  if (![...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim())) continue;
  const [a, b] = [light(getComputedStyle(e).color), light(ground(e))].sort((x, y) => y - x);
  if ((a + .05) / (b + .05) < 4.5) bad.add(`${e.tagName}.${e.className}`);
}
return [...bad];
"""


@pytest.mark.parametrize("dark", [False, True])
def test_text_has_enough_contrast(window: Browser, whole: Path, dark: bool):
    window.view(1280, dark=dark)
    window.open(whole)
    assert window.run(CONTRAST) == []


def test_the_theme_is_the_readers_choice(opened: Browser):
    paper = "return getComputedStyle(document.body).backgroundColor"
    light = opened.run(paper)
    opened.click("#theme")
    assert opened.run(paper) != light
    assert opened.run('return document.getElementById("theme").getAttribute("aria-pressed")') == "true"
    assert opened.run("return getComputedStyle(document.querySelector('.card')).backgroundColor") == (
        "rgb(255, 255, 255)"
    )
    opened.click("#theme")
    assert opened.run(paper) == light


def test_everything_can_be_read_without_a_script(window: Browser, whole: Path):
    window.scripting(on=False)
    window.view(1280)
    window.open(whole)
    dead = [".filters", ".enlarge", ".more", "#theme"]
    seen = "return arguments[0].map((what) => document.querySelector(what).checkVisibility())"
    assert window.run(seen, ["#row-1-seeds", "#figure-1 svg", "#samples-1 img", "#cite"]) == [True] * 4
    assert window.run(seen, dead) == [False] * len(dead)
    window.scripting(on=True)


def test_it_prints(opened: Browser):
    assert opened.pdf().startswith(b"%PDF")
