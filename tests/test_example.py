"""The examples do what they say, as a user starts them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import ganprune
from tests.helpers.processes import SOURCES

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.slow
def test_the_example_of_an_own_gan_compares_its_own_criterion_on_its_own_images(tmp_path: Path) -> None:
    source = (EXAMPLES / "own_gan.py").read_text()
    assert len(source.splitlines()) <= 40
    # The same, with fewer cells: one seed, one level, no timing.
    short = '"seeds=[0]", "sparsities=[0.5]", "num_images=100", "latency.enabled=false", '
    text = source.replace('ganprune.run("quick", [', f'ganprune.run("quick", [{short}')
    assert text != source
    (tmp_path / "own_gan.py").write_text(text)
    environment = {**os.environ, "PYTHONPATH": SOURCES, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "own_gan.py"], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=500
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "reports" / "own" / "index.html").is_file()
    table = ganprune.load_run("own", results=tmp_path / "results")
    fid = table[table.metric == "fid[auto-classifier]"].set_index("strategy")
    assert list(fid.index) == ["dense", "l1-channel-global", "spread-channel-global"]
    assert set(fid.status) == {"ok"}
    assert fid.achieved_params["spread-channel-global"] == pytest.approx(0.5, abs=0.05)


def test_loss_scored_masks_spoil_the_pixels_that_are_always_dark(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(EXAMPLES / "saturated_pixels.py"), "0"],
        env={**os.environ, "PYTHONPATH": SOURCES},
        capture_output=True,
        text=True,
        check=True,
    )
    found = {
        row.split()[0]: [float(word.rstrip("%")) for word in row.split()[2:]] for row in done.stdout.splitlines()[2:]
    }
    dark, other, _, pruned, restored = found["taylor-weight-global"]
    assert dark > 20 * other and pruned > 99 and restored < 96
    dark, other, *_ = found["l1-weight-global"]
    assert dark < other
