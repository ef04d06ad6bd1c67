"""Constraints from the command line to the artefact and the report."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import bench
from bench.experiments import load_experiment
from bench.report.blocks import Inline
from bench.report.constraints import constraint_notes
from bench.report.loading import read_run
from bench.sweep.run import run_experiment
from bench.tables import tidy
from bench.tables.claims import claims_of
from strategies.layers import widths
from tests.helpers.cells import write_experiment
from tests.helpers.command import Command
from tests.helpers.executor import InProcess
from tests.helpers.sweeps import Sweeps


@pytest.fixture
def sweep(tmp_path: Path) -> Sweeps:
    return Sweeps(tmp_path)


PRUNE = ["prune", "mnist-dcgan", "--strategy", "l1-channel-global", "--sparsity", "0.5", "--recovery", "none"]


def test_prune_obeys_them_and_the_artefact_says_so(ganprune: Command, tmp_path: Path) -> None:
    answer = ganprune(
        *PRUNE, "--multiple", "16", "--exclude", "net.6", "--cap", "0.6", "--at-least", "20", "--ratio", "net.3=0.25",
        "--out", "out",
    )  # fmt: skip
    assert (answer.code, answer.err) == (0, "")
    found = {name: out for name, (out, _) in widths(bench.load("out")).items()}
    assert found == {"net.0": 96, "net.3": 80, "net.6": 48, "net.9": 1}  # of 192, 96, 48: 72 of 96 are nearest to 80
    made_by = json.loads((tmp_path / "out" / "manifest.json").read_text())["made_by"]
    assert made_by["strategy"] == "l1-channel-global+not-net.6+cap0.6+at-net.3-0.25+x16+min20"
    assert made_by["constraints"] == {
        "exclude": ["net.6"], "cap": 0.6, "ratios": {"net.3": 0.25}, "multiple": 16, "at_least": 20,
    }  # fmt: skip
    card = next((tmp_path / "out").glob("*.md")).read_text()
    assert (
        "ganprune prune mnist-dcgan --strategy l1-channel-global --sparsity 0.5 --exclude net.6 --cap 0.6 "
        "--ratio net.3=0.25 --multiple 16 --at-least 20 --recovery none --out DIR"
    ) in card


def test_the_maximum_is_said_where_they_leave_too_little(ganprune: Command, tmp_path: Path) -> None:
    said = "0.5 of params cannot be removed with cap = 0.25; the maximum is "
    ganprune(*PRUNE, "--cap", "0.25", "--out", "out").refused(f"l1-channel-global on mnist-dcgan: {said}")
    (maximum,) = re.findall(r"maximum is (0\.\d+)\.", ganprune(*PRUNE, "--cap", "0.25", "--out", "out").err)
    at_most = [word if word != "0.5" else maximum for word in PRUNE]
    assert ganprune(*at_most, "--cap", "0.25", "--out", "out").code == 0


DUMMY = ["prune", "dummy", "--strategy", "l1-channel-global", "--sparsity", "0.5", "--out", "out"]


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (["--multiple", "1"], "the constraints: 1 is not a whole number from 2"),
        (["--cap", "1.5"], "the constraints: 1.5 is not in (0, 1)"),
        (["--ratio", "net.0"], "--ratio net.0: expected PATTERN=SHARE, such as 'main.3=0.5'."),
        (["--ratio", "=0.5"], "--ratio =0.5: expected PATTERN=SHARE"),
        (["--ratio", "net.0=much"], "--ratio net.0=much: expected PATTERN=SHARE"),
        (["--ratio", "a=0.5", "--ratio", "a=0.6"], "--ratio a=0.6: 'a' has one already."),
        (["--ratio", "a=0.5", "--exclude", "a"], "the constraints: 'a' is in exclude, and ratios take 0.5 of it."),
        (["--exclude", "net.99"], "exclude: 'net.99' matches no layer of dummy. "),
        (["--exclude", "*", "--ratio", "*.0=0.5"], "on dummy: 'net.0' stands in exclude, and ratios take 0.5."),
        (["--strategy", "l1-weight-global", "--at-least", "4"], "at_least is for channels."),
        (["--strategy", "l1-nm-2-4", "--cap", "0.5"], "constraints are for strategies that remove single weights"),
    ],
)
def test_what_is_malformed_is_one_sentence(options: list[str], part: str, ganprune: Command, tmp_path: Path) -> None:
    ganprune(*DUMMY, *options).refused(part)
    assert not (tmp_path / "out").exists()


PAIR = [
    "l1-channel-global",
    {"name": "l1-channel-global", "multiple": 2},
    {"name": "l1-weight-global", "exclude": ["*.0"]},
]


def write_pair(folder: Path, table: list[object]) -> None:
    text = write_experiment(folder, sparsities=[0.3], seeds=[0, 1]).read_text()
    written = ", ".join(
        f'"{one}"' if isinstance(one, str) else "{" + ", ".join(f"{k} = {json.dumps(v)}" for k, v in one.items()) + "}"
        for one in table  # type: ignore[union-attr,attr-defined]
    )
    text = text.replace('["l1-weight-global"]', f"[{written}]")
    (folder / "mini.toml").write_text(f'{text}[report]\nreference = "l1-channel-global+x2"\n')


STRATEGIES = ["dense", "l1-channel-global", "l1-channel-global+x2", "l1-weight-global+not-0-9276c0"]


def test_variants_of_one_strategy_are_told_apart_in_records_and_claims(sweep: Sweeps) -> None:
    write_pair(sweep.folder, PAIR)
    run_experiment(load_experiment(sweep.folder / "mini.toml"), results=sweep.results, executor=InProcess())
    inputs = read_run(sweep.results / "runs" / "mini" / "main")
    frame = tidy(inputs.records)
    assert sorted(set(frame["strategy"])) == STRATEGIES
    assert set(frame.loc[frame["strategy"] == STRATEGIES[2], "granularity"]) == {"channel"}
    assert frame.groupby("strategy")["eval_key"].nunique().tolist() == [2, 2, 2, 2]
    plain, even = (frame[frame["strategy"] == name]["achieved_params"].iloc[0] for name in STRATEGIES[1:3])
    assert plain != even
    claims = claims_of(frame, "l1-channel-global+x2", inputs.evidence)
    assert {(claim.strategy, claim.other) for claim in claims.against_reference} >= {
        ("l1-channel-global", "l1-channel-global+x2")
    }
    assert [_plain(note) for note in constraint_notes(inputs.records)] == [
        "l1-channel-global+x2 is l1-channel-global under multiple = 2.",
        'l1-weight-global+not-0-9276c0 is l1-weight-global under exclude = ["*.0"].',
    ]


def _plain(note: Inline) -> str:
    return "".join(part if isinstance(part, str) else part.text for part in note)


@pytest.mark.slow
def test_a_report_names_them(ganprune: Command, tmp_path: Path) -> None:
    write_pair(tmp_path, PAIR)
    answer = ganprune("run", "mini.toml")
    assert answer.code == 0, answer.err
    page = (tmp_path / "reports" / "mini" / "index.html").read_text()
    assert all(name in page for name in STRATEGIES)
    markdown = next((tmp_path / "reports" / "mini").glob("*.md")).read_text()
    assert "`l1-channel-global+x2` is `l1-channel-global` under `multiple = 2`." in markdown
    assert "8 of 8 cells finished" in ganprune("run", "mini.toml").out


def test_plan_and_run_refuse_a_pattern_that_matches_nothing(ganprune: Command, tmp_path: Path) -> None:
    table = {"name": "l1-channel-global", "exclude": ["net.17"]}
    write_pair(tmp_path, ["l1-channel-global", {"name": "l1-channel-global", "multiple": 2}, table])
    assert ganprune("validate", "mini.toml").code == 0  # reads no workload
    for command in ("plan", "run"):
        ganprune(command, "mini.toml").refused(
            "l1-channel-global+not-net.17: exclude: 'net.17' matches no layer of dummy. ", "1 mistake; nothing was run."
        )
