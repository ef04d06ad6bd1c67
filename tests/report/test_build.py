"""The report comes out whatever is missing, and claims only what holds."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from bench.base.errors import UserError
from bench.records import Record
from bench.report.build import build_report
from bench.report.inputs import ReportInputs
from bench.report.markdown import fenced
from bench.tables import tidy
from bench.tables.claims import against_dense, against_reference
from tests.report.synthetic import make_failure, make_latency, make_record, make_records

QUICK = {"name": "quick", "report": {"reference": "l1-weight-global"}}
SECTIONS = [
    "What was asked", "The answer", "Results", "Figures", "Samples", "Method", "What pruning cost",
    "Environment", "Failures", "Exclusions", "How to read the columns", "Experiment",
]  # fmt: skip


def report_of(folder: Path, records: Sequence[Record], **more: object) -> str:
    inputs = ReportInputs(**({"experiment": QUICK, "run": "main", "records": records} | more))  # type: ignore[arg-type]
    assert build_report(inputs, folder) == folder / "index.html"
    text = (folder / "report.md").read_text()
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == SECTIONS
    for link in re.findall(r"\]\(((?:figures|tables)/[^)]*)\)", text):
        assert (folder / link).is_file()
    return text


def runs(differences: Sequence[float], strategy: str = "l1-channel-global", **more: object) -> list[Record]:
    """Dense and the reference at FID 10, 12, 11; ``strategy`` at these differences from them."""
    records = []
    for seed, difference in enumerate(differences):
        base = [10.0, 12.0, 11.0, 13.0][seed]
        records += [
            make_record(strategy="dense", sparsity=0.0, seed=seed, fid=base),
            make_record(strategy="l1-weight-global", seed=seed, fid=base),
            make_record(strategy=strategy, seed=seed, fid=base + difference, **more),  # type: ignore[arg-type]
        ]
    return records


def test_a_whole_run(tmp_path: Path):
    records = make_records()
    images = np.zeros((4, 1, 8, 8), np.uint8)
    samples = {("mnist-dcgan", "dense", "0"): images, ("mnist-dcgan", "l1-weight-global", "0.5"): images}
    text = report_of(
        tmp_path, records, latency=make_latency(records), failures=[make_failure()], excluded=["a | <b>"],
        samples=samples, environment={"python": "3.11", "libraries": {"torch": "2"}},
    )  # fmt: skip
    assert "collapsed 1/3" in text
    assert "no BatchNorm layer \\| nothing" in text
    assert "<script" not in text
    assert "<b>" not in text
    assert "a \\| &lt;b&gt;" in text
    assert "samples-mnist-dcgan.png" in text


def test_the_same_inputs_give_the_same_report(tmp_path: Path):
    records = runs([1.0, 1.1, 0.9])
    assert report_of(tmp_path / "a", records) == report_of(tmp_path / "b", records[::-1])


def test_no_records_at_all(tmp_path: Path):
    text = report_of(tmp_path, [], experiment={})
    assert "nothing can be concluded" in text
    assert "# unnamed experiment" in text


def test_everything_collapsed(tmp_path: Path):
    text = report_of(tmp_path, [make_record(status="collapsed", seed=seed, reason="IS 1.0") for seed in range(3)])
    assert "nothing can be concluded" in text
    assert "collapsed 3/3" in text


def test_without_dense_it_says_so(tmp_path: Path):
    text = report_of(tmp_path, [make_record(seed=seed) for seed in range(3)])
    assert "has no dense cell" in text
    assert "There are no pruned cells with a dense cell" in text
    assert "Latency was not measured" in text


def test_one_seed_makes_no_claim(tmp_path: Path):
    text = report_of(tmp_path, runs([5.0]))
    assert "One seed: nothing is seen of what pruning and training draw" in text
    assert "cannot be told apart" in text
    assert "(one seed)" in text


def test_mixed_versions_are_refused(tmp_path: Path):
    with pytest.raises(UserError, match="never put side by side"):
        report_of(tmp_path, [make_record(), make_record(seed=1, version="2")])


@pytest.mark.parametrize(
    ("differences", "verdict"),
    [
        ([1.0, 1.1, 0.9], "higher"),
        ([-1.0, -1.1, -0.9], "lower"),
        ([1.0, -1.0, 0.3], "not separable"),
        ([0.0, 0.0, 0.0], "identical"),
        ([9.0, 9.1], "too few seeds"),
    ],
)
def test_a_claim_needs_three_seeds_and_a_separated_interval(differences: list[float], verdict: str):
    (claim,) = against_reference(tidy(runs(differences)), "l1-weight-global")
    assert claim.verdict == verdict


def test_a_family_takes_away_what_one_of_many_would_show():
    alone = against_reference(tidy(runs([1.0, 1.6, 0.6])), "l1-weight-global")
    others = [
        record
        for i in range(9)
        for record in runs([1.0, 1.6, 0.6], f"other{i}-channel")
        if "other" in record.cell.strategy
    ]
    many = against_reference(tidy(runs([1.0, 1.6, 0.6]) + others), "l1-weight-global")
    assert [claim.verdict for claim in alone] == ["higher"]
    assert {claim.verdict for claim in many} == {"not separable"}


def test_networks_of_another_size_are_not_compared():
    records = [
        record.model_copy(update={"achieved_params": 0.4}) if "channel" in record.cell.strategy else record
        for record in runs([-5.0, -5.1, -4.9])
    ]
    assert [claim.verdict for claim in against_reference(tidy(records), "l1-weight-global")] == ["other size"]


def test_holding_the_dense_fid_has_to_be_shown(tmp_path: Path):
    held = {claim.strategy: claim.verdict for claim in against_dense(tidy(runs([0.01, 0.012, 0.011])))}
    assert held == {"l1-channel-global": "holds", "l1-weight-global": "identical"}
    noisy = {claim.strategy: claim.verdict for claim in against_dense(tidy(runs([0.5, -0.6, 0.2])))}
    assert noisy["l1-channel-global"] == "not separable"
    assert "sparsest network shown to be as good as dense within 5%" in report_of(tmp_path, runs([0.01, 0.012, 0.011]))


def test_a_collapsed_seed_is_never_claimed_about():
    records = runs([1.0, 1.1, 0.9])
    records[-1] = records[-1].model_copy(update={"status": "collapsed"})
    assert [claim.verdict for claim in against_reference(tidy(records), "l1-weight-global")] == ["collapsed"]


def test_a_code_block_cannot_be_ended_from_inside():
    text = fenced(json.dumps({"name": "```\n<script>"}))
    assert text.startswith("````\n")
    assert text.endswith("\n````")
