"""Names of others on a terminal and in a report: nothing in them is obeyed, everything is seen."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table
from rich.text import Text

from bench.base.consoles import clean_console
from bench.base.printable import cleaned, few, one_line, printable, printable_json, shortened, strange_json

RED = "\x1b[31mred\x1b[0m"


def test_escape_sequences_are_written_out() -> None:
    assert printable(RED) == r"\x1b[31mred\x1b[0m"
    assert printable("a\nb\tc") == "a\nb\tc"
    assert one_line("a\nb\tc\r") == r"a\nb\tc\x0d"
    assert printable("\u202eabc\x9b2J\ud800") == r"\u202eabc\x9b2J\ud800"


@given(st.text())
def test_what_is_printable_stays_so_and_ordinary_text_is_left_alone(text: str) -> None:
    assert printable(printable(text)) == printable(text)
    assert all(c in "\n\t" or c.isprintable() or c >= "\xa0" for c in printable(text))
    if text.isprintable():
        assert printable(text) == text


@given(st.recursive(st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_json_for_a_terminal_is_the_same_json(value: object) -> None:
    text = printable_json(value)
    assert json.loads(text) == value
    assert printable(text) == text


@pytest.mark.parametrize("value", [RED, "a\x7f", "\u2028", "\x9b", "a\nb", "\u202e", "\ufeff"])
def test_strange_json_is_found_written_out_or_escaped(value: str) -> None:
    assert strange_json(json.dumps({"a": value}, ensure_ascii=False))
    assert strange_json(json.dumps({value: 1}))


def test_ordinary_json_is_not_strange() -> None:
    assert not strange_json(json.dumps({"conv.weight": ["Zürich", 1.5, "{threshold = 0.1}"]}))


def test_names_become_one_line_and_tracebacks_keep_theirs() -> None:
    found = cleaned({"layer\n": [RED], "traceback": f"a\n{RED}"})
    assert found == {"layer\\n": [r"\x1b[31mred\x1b[0m"], "traceback": "a\n\\x1b[31mred\\x1b[0m"}


def test_long_texts_lose_their_middle_and_lists_their_end() -> None:
    text = shortened("a" * 500 + "b" * 500, 90)
    assert text.startswith("a" * 60)
    assert text.endswith("b" * 30)
    assert "910 characters more" in text
    assert few([str(i) for i in range(100_000)], 3) == "0, 1, 2 and 99,997 more"


def test_a_console_prints_names_as_they_are_seen() -> None:
    out = io.StringIO()
    console = clean_console(file=out, width=200, force_terminal=True)
    table = Table()
    table.add_column("layer")
    table.add_row(Text(f"{RED}\x9b2J", style="bold"))
    console.print(table)
    console.print(f"note: {RED}", markup=False)
    assert "\x1b[31m" not in out.getvalue()
    assert "\x9b" not in out.getvalue()
    assert out.getvalue().count(r"\x1b[31mred\x1b[0m") == 2
    assert "\x1b[1m" in out.getvalue(), "its own styles stay"
