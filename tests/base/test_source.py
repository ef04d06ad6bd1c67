"""Python files are read in the encoding that Python reads them in; what was raised can always be said."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.base.raised import LONGEST, in_words
from bench.base.source import source_text

TEXT = "# caf\u00e9\nx = 1\n"


@pytest.mark.parametrize(
    "content",
    [
        TEXT.encode(),
        b"\xef\xbb\xbf" + TEXT.encode(),
        ("# -*- coding: latin-1 -*-\n" + TEXT).encode("latin-1"),
        ("#!/usr/bin/env python\n# vim: set fileencoding=cp1252 :\n" + TEXT).encode("cp1252"),
    ],
    ids=["utf-8", "with a byte order mark", "latin-1", "cp1252 in the second line"],
)
def test_the_text_is_the_one_that_python_runs(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.py"
    path.write_bytes(content)
    assert source_text(path).endswith(TEXT)
    assert not source_text(path).startswith("\ufeff")


@pytest.mark.parametrize("content", [b"# \xe9\n", b"# coding: no-such\n"], ids=["foreign bytes", "no such encoding"])
def test_what_python_would_refuse_is_a_syntax_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.py"
    path.write_bytes(content)
    with pytest.raises(SyntaxError):
        source_text(path)


class Unprintable(Exception):
    def __str__(self) -> str:
        raise KeyError("no text")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("no such width"), "ValueError: no such width"),
        (ValueError(), "ValueError"),
        (Unprintable(), "Unprintable (its message cannot be printed)"),
        (ValueError("\ud800"), "ValueError: \\ud800"),
    ],
)
def test_an_exception_in_words(error: Exception, said: str) -> None:
    assert in_words(error) == said


@pytest.mark.parametrize("text", ["x" * 10**6, "a line\n" * 10**5], ids=["long", "many lines"])
def test_a_long_message_is_cut(text: str) -> None:
    assert len(in_words(ValueError(text))) < LONGEST + 50
    assert in_words(ValueError(text)).endswith(" ...")
