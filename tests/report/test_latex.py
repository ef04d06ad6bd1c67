"""Paper tables: what is bold, how names are escaped, that the three forms agree and that LaTeX accepts them."""

from __future__ import annotations

import csv
import io
import re
import shutil
import string
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.records import LatencyRecord, Record
from bench.report.best import leading, leading_without, not_separable
from bench.report.latex import escape_latex, label, latex, preview
from bench.report.paper import paper_tables, write_paper_tables
from bench.report.paper_equal import VERDICTS, equal_params
from bench.report.papertable import Column, Line, PaperTable, Value, comma_separated, counted, decimals, markdown, parts
from bench.tables import run_tables
from bench.tables.claims import claims_of
from tests.report.synthetic import make_latency, make_record, make_records

NASTY = r"a_b#$%&{}~^\<d>|e\"f`g'h--i[j]*k ?`é ß Ł α ≤ 中 ŝ“”…"
KEYS = {"workload", "checkpoint", "recovery", "sparsity", "macs_removed", "speedup", "margin"}
COMPILER = next((name for name in ("pdflatex", "lualatex", "tectonic") if shutil.which(name)), None)
needs_latex = pytest.mark.skipif(COMPILER is None, reason="no pdflatex, lualatex or tectonic on this machine")


def written(folder: Path, records: Sequence[Record], latency: Sequence[LatencyRecord] = ()) -> dict[str, Path]:
    numbers = run_tables(records, latency)
    return write_paper_tables(folder, paper_tables(numbers, claims_of(numbers.frame, "l1-weight-global")))


def compiled(folder: Path) -> str:
    """The log of compiling ``preview.tex`` in ``folder``."""
    assert COMPILER is not None
    command = [
        COMPILER,
        *([] if COMPILER == "tectonic" else ["-interaction=nonstopmode", "-halt-on-error"]),
        "preview.tex",
    ]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", timeout=300)
    assert done.returncode == 0, done.stdout[-3000:]
    return done.stdout


def table(*lines: Line, name: str = "t", caption: tuple[str, ...] = ()) -> PaperTable:
    columns = (
        Column("sparsity", "Sparsity", key=True),
        Column("strategy", "Strategy"),
        Column("fid", "FID", "[m]", "lower"),
    )
    return PaperTable(name, "Title", caption, columns, lines)


def line(level: str, strategy: str, fid: Value, **more: bool) -> Line:
    best = frozenset([2]) if more.pop("best", False) else frozenset()
    return Line((Value(level, number=False), Value(strategy, number=False), fid), best, **more)


def rows_in_latex(tex: str, keys: int) -> list[str]:
    """The measured part of each row without blanks; dense, which comes again in each piece, once."""
    found = []
    for body in re.findall(r"\\midrule(.*?)\\bottomrule", tex, re.DOTALL):
        for row in re.findall(r"^ *(.*) \\\\$", body, re.MULTILINE):
            words = " & ".join(row.split("&")[keys:])
            words = re.sub(r"\\multicolumn\{\d\}\{c\}|\\mathbf|\\textbf|\\,|\\scriptsize", "", words)
            signs = {r"\pm": "±", r"\times": "x", r"\le": "≤", r"\ge": "≥", r"^\dagger": "†", r"\textemdash": "—"}
            for command, sign in signs.items():
                words = words.replace(command, sign)
            found.append(re.sub(r"[{}$& ]", "", words) + ("best" if r"\textbf" in row else ""))
    return list(dict.fromkeys(found))


def rows_in_markdown(words: str, keys: int) -> list[str]:
    rows = [row for row in words.splitlines() if row.startswith("|")][2:]
    cells = ["".join(row.strip("|").split("|")[keys:]) for row in rows]
    return list(dict.fromkeys(re.sub(r"[* ]", "", row) + ("best" if "**" in row else "") for row in cells))


def rows_in_csv(words: str) -> list[str]:
    parts = ("_ci95", "_unit", "_ratio", "_bound", "_low", "_high")
    found = []
    for row in csv.DictReader(io.StringIO(words)):
        shown = ""
        for column in row:
            if column in KEYS or column.endswith(parts) or column in ("masked", "best"):
                continue
            half, unit, ratio, bound, low, high = (row.get(column + part, "") for part in parts)
            between = f"[{low},{high}]" if low else ""
            most, least = ("≤", "≥") if bound else ("", "")
            shown += (
                f"{most}{row[column] or '—'}{'±' + half if half else ''}{unit}{between}"
                f"{f'({least}{ratio}x)' if ratio else ''}"
            )
            shown += "†" if column == "strategy" and row["masked"] == "true" else ""
        found.append(shown.replace(" ", "") + ("best" if row["best"] else ""))
    return list(dict.fromkeys(found))


def test_rows_that_a_paired_test_cannot_tell_from_the_best_are_bold():
    values = {
        "best": {0: 10.0, 1: 12.0, 2: 11.0},
        "near": {0: 10.5, 1: 11.8, 2: 11.2},
        "far": {0: 20.0, 1: 24.0, 2: 22.1},
    }
    assert not_separable(values).rows == {"best", "near"}


def test_errors_that_grow_with_fid_do_not_make_a_bad_row_bold():
    values = {"good": {0: 3.3, 1: 3.0, 2: 3.5}, "bad": {0: 154.0, 1: 110.0, 2: 85.0}}
    assert not_separable(values).rows == {"good"}


def test_holm_within_the_group_needs_more_than_one_comparison_alone():
    base = {0: 10.0, 1: 10.0, 2: 10.0}
    other = {0: 11.0, 1: 11.6, 2: 11.9}  # p about .03 by itself
    assert not_separable({"a": base, "b": other}).rows == {"a"}
    group = {"a": base, **{f"b{index}": other for index in range(3)}}
    assert not_separable(group).rows == set(group)


def test_fewer_than_three_shared_seeds_make_nothing_bold():
    found = not_separable({"a": {0: 1.0, 1: 1.0}, "b": {0: 9.0, 1: 9.0}})
    assert found.rows == frozenset() and found.too_few_seeds
    found = not_separable({"a": {0: 1.0, 1: 1.0, 2: 1.1}, "b": {0: 9.0, 1: 9.0, 3: 9.0}})
    assert found.rows == frozenset() and found.too_few_seeds


def test_a_row_alone_is_not_the_best_of_anything_and_a_bound_is_never_worse():
    assert not_separable({"a": {0: 1.0, 1: 1.0, 2: 1.0}}).rows == frozenset()
    values = {"a": {0: 0.1, 1: 0.11, 2: 0.12}, "b": {0: 0.5, 1: 0.5, 2: 0.5}}
    assert not_separable(values).rows == {"a"}
    assert not_separable(values, frozenset(["b"])).rows == {"a", "b"}


def test_collapsed_rows_and_dense_are_never_bold():
    numbers = run_tables(make_records())
    built = equal_params(numbers, claims_of(numbers.frame, "l1-weight-global"))
    assert built is not None
    for row in built.lines:
        if row.dense or any("collapsed" in cell.text for cell in row.cells):
            assert not row.best
    assert any(row.best for row in built.lines)


def test_one_seed_has_no_bold_and_the_caption_says_why(tmp_path: Path):
    files = written(tmp_path, [record for record in make_records() if record.cell.seed == 0])
    words = files["equal-params.tex"].read_text()
    assert r"\mathbf" not in words and r"\pm" not in words.split(r"\begin{tabular}")[1]
    assert "Nothing is bold: no comparison could be tested" in words


def test_counts_have_three_digits_one_unit_and_their_ratio():
    assert counted(30_123_456, 3.21).text == "30.1M (3.2x)"
    assert counted(97_200, 10).text == "0.0972M (10.0x)"
    assert counted(3.97e9, 14.3).text == "3.97G (14.3x)"
    assert counted(1_234_000, 1.04).text == "1.23M (1.04x)"
    assert counted(190_000, 5.1, 11_000, bound=True).text == "≤ 0.190 ± 0.011M (≥ 5.1x)"
    assert decimals(12.345, 2, 0.5).text == "12.35 ± 0.50" or decimals(12.345, 2, 0.5).text == "12.34 ± 0.50"


@pytest.mark.parametrize(
    ("plain", "escaped"),
    [
        ("l1-weight-global", "l1-weight-global"),
        ("a--b", "a-{}-b"),
        ("100 % of a_b & c#1", r"100 \% of a\_b \& c\#1"),
        ("[x]", "{[}x]"),
        ("~^\\", r"\textasciitilde{}\textasciicircum{}\textbackslash{}"),
        ("Fréchet ≤ α", r"Fr\'{e}chet $\le$ $\alpha$"),
        ("中", "{[}U+4E2D]"),
        ("a\nb\tc\x00", "a b c"),
    ],
)
def test_escaping(plain: str, escaped: str):
    assert escape_latex(plain) == escaped


@given(st.text())
def test_any_text_becomes_ascii_without_an_active_character(plain: str):
    shown = escape_latex(plain)
    assert shown.isascii() and "\n" not in shown
    bare = re.sub(r"\\[a-zA-Z]+|\\[^a-zA-Z]", "", shown)
    assert not set('#%&_~\\<>|"') & set(bare)
    assert not re.search(r"--|''|^[*\[]", shown)
    depth = 0
    for one in bare:
        depth += {"{": 1, "}": -1}.get(one, 0)
        assert depth >= 0
    assert depth == 0 and bare.count("$") % 2 == 0


@given(st.text())
def test_a_label_has_only_characters_that_ref_takes(name: str):
    assert re.fullmatch(r"tab:[A-Za-z0-9.+-]+", label(name))


def test_rules_spans_and_bold_of_a_small_table():
    words = latex(
        table(
            line("0 %", "dense", decimals(2, 2, 0.1), dense=True),
            line("30 %", "a", decimals(3, 2, 0.1), best=True),
            line("30 %", "b", Value("collapsed 1/3", number=False), masked=True),
        )
    )
    assert r"\multirow{2}{*}{30 \%} & \textbf{a} & $\mathbf{3.00}$ & ${}\pm \mathbf{0.10}$ \\" in words
    assert r" & b$^\dagger$ & \multicolumn{2}{c}{collapsed 1/3} \\" in words
    assert words.count(r"\midrule") == 2 and r"\hline" not in words and "|" not in words
    assert r"\label{tab:t}" in words and r"FID $\downarrow$" in words


def test_a_long_table_is_cut_between_groups_and_dense_comes_again():
    rows = [line("0 %", "dense", decimals(1, 2), dense=True)]
    rows += [line(f"{level} %", f"s{index}", decimals(2, 2)) for level in (1, 2, 3) for index in range(4)]
    pieces = parts(table(*rows), 10)
    assert [len(piece.lines) for piece in pieces] == [9, 5]
    assert all(piece.lines[0].dense for piece in pieces)
    long = [rows[0], *(line("9 %", f"s{index}", decimals(2, 2)) for index in range(25))]
    assert [len(piece.lines) for piece in parts(table(*long), 10)] == [10, 10, 8]


def test_the_three_forms_have_the_same_rows_and_numbers(tmp_path: Path):
    records = make_records()
    files = written(tmp_path, records, make_latency(records))
    names = {name.removesuffix(".csv") for name in files if name.endswith(".csv")}
    assert names == {"equal-params", "equal-macs", "equal-speedup-b1", "equal-speedup-b16", "iso-quality"}
    for name in names:
        known = rows_in_csv(files[f"{name}.csv"].read_text())
        keys = len(KEYS & set(files[f"{name}.csv"].read_text().partition("\n")[0].split(",")))
        assert len(known) > 2
        assert rows_in_markdown(files[f"{name}.md"].read_text(), keys) == known
        assert rows_in_latex(files[f"{name}.tex"].read_text(), keys) == known


def test_csv_and_markdown_of_a_known_table():
    built = table(
        line("0 %", "dense", decimals(2, 2, 0.1), dense=True),
        line("30 %", "a|b", decimals(3, 2, 0.25), best=True, masked=True),
    )
    assert comma_separated(built) == (
        "sparsity,strategy,fid,fid_ci95,masked,best\n0 %,dense,2.00,0.10,false,\n30 %,a|b,3.00,0.25,true,fid\n"
    )
    assert "**a\\|b†**" in markdown(built) and "**3.00 ± 0.25**" in markdown(built)


def test_numbers_of_different_judges_never_share_a_table(tmp_path: Path):
    records = [record for record in make_records() if record.cell.workload == "mnist-dcgan"]
    other = [
        record.model_copy(
            update={"numbers": {name.replace("mnist-lenet", "my_net"): n for name, n in record.numbers.items()}}
        )
        for record in make_records()
        if record.cell.workload == "mnist-mlp"
    ]
    files = written(tmp_path, [*records, *other])
    assert {"equal-params-mnist-lenet.tex", "equal-params-my-net.tex"} <= set(files)
    assert r"FID[my\_net]" in files["equal-params-my-net.tex"].read_text()


def test_nothing_to_show_writes_nothing(tmp_path: Path):
    assert written(tmp_path, []) == {}
    assert written(tmp_path, [make_record(strategy="dense", sparsity=0.0)]) == {}


def test_only_booktabs_multirow_and_graphicx_are_used():
    assert re.findall(r"\\usepackage\{(.*)\}", preview(["a.tex"])) == ["booktabs,multirow,graphicx"]


@needs_latex
def test_a_whole_run_compiles_without_an_overfull_box(tmp_path: Path):
    records = make_records()
    written(tmp_path, records, make_latency(records))
    log = compiled(tmp_path)
    assert "Overfull \\hbox" not in log and "Float too large" not in log


@needs_latex
def test_every_character_compiles_in_cells_headers_and_captions(tmp_path: Path):
    texts = [NASTY, string.printable, *string.punctuation, "[a]", "*", "𝒳🙂\u202e\u0301", "é\u0301"]
    texts += ["".join(map(chr, range(first, first + 32))) for first in [*range(0xA0, 0x250, 32), 0x380, 0x3A0, 0x3C0]]
    lines = [line(f"{words}{index}", words, Value(words, number=False)) for index, words in enumerate(texts)]
    built = table(*lines, name=NASTY, caption=(NASTY, string.printable))
    columns = tuple(replace(column, title=NASTY, qualifier=NASTY) for column in built.columns)
    (tmp_path / "a.tex").write_text(latex(replace(built, columns=columns, title=NASTY)))
    (tmp_path / "b.tex").write_text(latex(built, wide=True))
    (tmp_path / "preview.tex").write_text(preview(["a.tex", "b.tex"]))
    assert "Missing character" not in compiled(tmp_path)


@needs_latex
@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="no pdftotext on this machine")
def test_ascii_prints_as_it_is_written(tmp_path: Path):
    words = r"#$%&_{}~^\<>|[]*@--?!;:,.()/+=0aZ"
    built = table(line("x", words, decimals(1, 2)), line("x", "b", decimals(1, 2)))
    write_paper_tables(tmp_path, [built])
    compiled(tmp_path)
    shown = subprocess.run(
        ["pdftotext", "-layout", "preview.pdf", "-"], cwd=tmp_path, capture_output=True, text=True
    ).stdout
    plain = re.sub(r"\s", "", shown).replace("˜", "~").replace("ˆ", "^").replace("−", "-")
    assert words.replace("_", "") in plain  # drawn as a line


def test_bold_is_what_the_claims_put_first_and_nothing_is_tested_for_it():
    claim = claims_of(run_tables(make_records()).frame, "l1-weight-global").against_reference[0]
    known = {
        "worse": replace(claim, verdict="higher"),
        "same": replace(claim, verdict="not separable"),
        "lost": replace(claim, verdict="collapsed"),
        "first": replace(claim, verdict="lower"),
    }
    assert leading(["ref", "worse", "same", "lost"], "ref", known) == {"ref", "same"}
    assert leading(["ref", "worse", "same", "first"], "ref", known) == {"first"}
    assert leading(["worse", "same"], None, known) == leading(["ref", "lost"], "ref", known) == frozenset()


def test_bold_beside_what_is_no_row_is_what_is_better_than_it_or_not_separable():
    claim = claims_of(run_tables(make_records()).frame, "l1-weight-global").against_reference[0]
    known = {
        "worse": replace(claim, verdict="higher"),
        "same": replace(claim, verdict="not separable"),
        "lost": replace(claim, verdict="worse: collapsed"),
        "first": replace(claim, verdict="lower"),
    }
    assert leading_without(["worse", "same", "lost"], known) == {"same"}
    assert leading_without(["worse", "same", "first"], known) == {"first"}
    assert leading_without(["worse", "lost", "unknown"], known) == frozenset()


@pytest.mark.parametrize(("reference", "rule"), [("best", "may be the best of its level"), ("dense", "than dense, in")])
def test_the_caption_says_what_is_bold_beside_dense_and_the_best(reference: str, rule: str):
    numbers = run_tables(make_records(), reference=reference)
    built = equal_params(numbers, numbers.claims)
    assert built is not None
    assert rule in " ".join(built.caption)
    assert any(row.best for row in built.lines) == (reference == "best")  # all are shown to be worse than dense


def test_the_claims_against_the_reference_stand_beside_the_quality():
    numbers = run_tables(make_records())
    built = equal_params(numbers, claims_of(numbers.frame, "l1-weight-global"))
    assert built is not None
    verdicts = {row.cells[built.strategy].text: row.cells[-1].text for row in built.lines}
    assert verdicts["l1-weight-global"] == "ref." and verdicts["dense"] == "—"
    assert set(verdicts.values()) <= {"ref.", "—", *VERDICTS.values()}
    without = equal_params(numbers, claims_of(numbers.frame, "not-in-this-run"))
    assert without is not None and without.columns == built.columns[:-1]
    assert not any(row.best for row in without.lines)
