"""The comparison as people and machines read it."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from bench.base.errors import UserError
from bench.gate.compare import compare
from bench.gate.render import FORMATS, as_json, format_of
from bench.gate.render.junit import junit
from bench.gate.render.markdown import LIMIT, markdown
from bench.gate.render.order import changed_first
from bench.gate.render.terminal import terminal
from bench.gate.verdicts import Result, Row
from tests.gate.sides import PLACE, cell, side

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def result() -> Result:
    """A regression in FID, fewer parameters, other widths, the rest equal."""
    return compare(side(), side(cell(fid=(15.0, 16.5, 18.0), params=90, shape="wide")))


def test_changed_rows_come_first_and_gated_before_others(result: Result) -> None:
    rows = changed_first(result.rows)
    assert [row.verdict for row in rows[:4]] == ["regression", "changed", "improved", "ok"]
    gated = [row.gated for row in rows]
    assert gated == sorted(gated, reverse=True)


def test_the_terminal_shows_what_changed_and_counts_the_rest(result: Result) -> None:
    text = terminal(result)
    assert text.index("regression") < text.index("changed") < text.index("improved")
    assert "+50.0 %" in text and "-10.0 %" in text
    assert text.splitlines()[-1] == "mini: REGRESSION (1 regression, 1 changed, 1 improved, 9 ok)"
    assert f"{len(result.rows) - 3} rows are equal" in text


def test_json_has_every_row_and_is_read_back(result: Result) -> None:
    value = json.loads(as_json(result))
    assert (value["verdict"], value["exit_code"], len(value["rows"])) == ("regression", 1, len(result.rows))
    assert Result.model_validate_json(as_json(result)) == result


def test_every_field_of_the_json_is_documented() -> None:
    text = (DOCS / "gate.md").read_text()
    for field in (*Result.model_fields, *Row.model_fields):
        assert f"`{field}`" in text, field


def test_junit_has_a_case_for_each_gated_row(result: Result) -> None:
    suites = ET.fromstring(junit(result))
    (suite,) = suites
    cases = suite.findall("testcase")
    gated = [row for row in result.rows if row.gated]
    assert len(cases) == len(gated) == int(suite.attrib["tests"])
    assert (suite.attrib["failures"], suite.attrib["errors"], suite.attrib["skipped"]) == ("1", "0", "0")
    (failure,) = suite.iter("failure")
    assert failure.attrib["type"] == "regression" and "worse by" in failure.attrib["message"]


def test_junit_calls_missing_an_error_and_inconclusive_skipped() -> None:
    missing = ET.fromstring(junit(compare(side(), side(without=(PLACE,)))))
    assert (missing.attrib["errors"], missing.attrib["failures"]) == ("1", "0")
    unclear = ET.fromstring(junit(compare(side(), side(cell(fid=(10.5, 11.6, 12.6))))))
    assert (unclear.attrib["skipped"], unclear.attrib["failures"]) == ("1", "0")


NASTY = 'a|b <script>alert("x")</script> \x00\x1b[31m [x](y) & `z`'


def test_names_from_files_are_text_everywhere(result: Result) -> None:
    row = result.rows[0].model_copy(update={"cell": NASTY, "reason": NASTY, "verdict": "regression"})
    nasty = result.model_copy(update={"rows": [row], "base": NASTY, "notes": [NASTY], "experiment": NASTY})
    text = markdown(nasty)
    assert "<script>" not in text and "[x](y)" not in text
    table_line = next(line for line in text.splitlines() if line.startswith("| regression"))
    assert table_line.replace("\\|", "").count("|") == 9
    (case,) = ET.fromstring(junit(nasty)).iter("testcase")
    assert "<script>" in case.attrib["classname"]
    for render in FORMATS.values():
        assert render(nasty)


def test_markdown_fits_into_a_comment(result: Result) -> None:
    row = next(row for row in result.rows if row.verdict == "regression")
    many = result.model_copy(update={"rows": [row] * 2_000})
    text = markdown(many)
    assert len(text) <= LIMIT
    assert "Cut off here" in text and "REGRESSION" in text.splitlines()[0]


def test_the_suffix_of_a_file_names_its_format() -> None:
    assert [format_of(Path(name)) for name in ("a.md", "a.json", "a.xml", "a.txt")] == [
        "markdown", "json", "junit", "table",
    ]  # fmt: skip
    with pytest.raises(UserError, match=r"no format for '\.html'"):
        format_of(Path("a.html"))
