"""What a run says of generators that it cannot use: one message, before any work or as a failed cell."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.base.errors import UserError
from bench.experiments import check_workloads, load_experiment
from bench.sweep.run import Outcome, run_experiment
from tests.fuzz.misbehaving import HARMLESS, PRELUDE
from tests.helpers.executor import InProcess
from tests.helpers.pictures import pictures, write_pictures


def run(name: str, folder: Path, num_images: int = 20) -> Outcome:
    (folder / "mine.py").write_text(PRELUDE + HARMLESS[name][1])
    write_pictures(folder / "photos", pictures(24, 8, 8))
    table = {
        "name": "mine",
        "factory": "mine.py:G",
        "inputs": [{"kind": "normal", "shape": [8]}],
        "reference": "photos",
        "extractor": "mine.py:judge",
        "folder": str(folder),
    }
    file = folder / "mine.toml"
    file.write_text(
        "[experiment]\nname = 'mine'\nworkloads = ['mine']\nstrategies = ['l1-weight-global']\nsparsities = [0.5]\n"
        f"recovery = ['none']\nseeds = [0]\n[quality]\nmetrics = ['fid']\nnum_images = {num_images}\n"
        "[latency]\nenabled = false\n"
    )
    loaded = load_experiment(file, own=check_workloads([table], "test"))
    return run_experiment(loaded, results=folder / "results", executor=InProcess())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("raises at the third call", "the generator fails on inputs float32"),
        ("returns sparse", "makes sparse_coo values"),
        ("returns on the meta device", "makes meta values"),
        ("returns complex numbers", "makes complex64 values"),
        ("returns too few", "made 4 images"),
        ("recurses in getattr", "G cannot be used: RecursionError"),
        ("overrides parameters", "G cannot be used: ValueError: mine"),
        ("overrides state_dict", "G cannot be used: AttributeError"),
        ("patches conv2d", "changes the function torch.nn.functional.conv2d"),
        ("sets the default dtype", "changes the default dtype"),
        ("is scripted", "is a TorchScript module"),
        ("is one for all", "gives the same module again"),
    ],
)
def test_what_cannot_be_used_is_refused_before_any_work(tmp_path: Path, name: str, message: str) -> None:
    if name == "returns too few":  # four are enough for the first look: the cells fail, each with the reason
        assert run(name, tmp_path).failed == 2
        return
    with pytest.raises(UserError, match=message):
        run(name, tmp_path)


def test_a_generator_that_fails_late_makes_failed_cells(tmp_path: Path) -> None:
    assert run("raises for batches of 50", tmp_path, num_images=50).failed == 2
