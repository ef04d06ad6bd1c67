"""The tables of fields in the description of the files are the schema's own words, and describe all of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.documentation.files import classes_with_fields, described_in, fields_of, filled

PAGE = Path(__file__).parents[2] / "docs" / "results-format.md"
DESCRIBED = described_in(PAGE.read_text(encoding="utf-8"))


def test_the_page_is_that_of_the_schema() -> None:
    written = PAGE.read_text(encoding="utf-8")
    assert written == filled(written), "write it anew: make docs"


def test_every_class_of_the_records_is_on_the_page() -> None:
    assert {name for module, name in DESCRIBED if module == "bench.records.schema"} == set(
        classes_with_fields("bench.records.schema")
    )


@pytest.mark.parametrize(("module", "name"), DESCRIBED, ids=lambda part: part.rpartition(".")[2])
def test_every_field_has_a_docstring(module: str, name: str) -> None:
    assert [field.name for field in fields_of(module, name) if not field.text] == []


def test_a_block_holds_the_words_of_the_code() -> None:
    page = filled("before\n<!-- fields of bench.records.schema.PlannedCell -->\nold\n<!-- end -->\nafter\n")
    assert page == (
        "before\n<!-- fields of bench.records.schema.PlannedCell -->\n"
        "### `PlannedCell`\n\nA cell of the manifest and where its record is.\n\n"
        "| field | type | content |\n|---|---|---|\n"
        "| `cell` | `Cell` | The cell. |\n| `keys` | `Keys` | Those of its record. |\n<!-- end -->\nafter\n"
    )
