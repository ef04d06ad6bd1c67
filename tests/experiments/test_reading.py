"""The experiment file: what is read, and files that cannot be."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bench.base.errors import Mistakes
from bench.experiments import Experiment, Known, load_experiment, shipped_experiments
from bench.experiments.gate import Gate
from bench.experiments.schema import Sweep
from tests.experiments.known import HEAD, KNOWN, Load, mistakes


def test_a_minimal_file_gets_the_documented_defaults(load: Load) -> None:
    experiment = load(HEAD)
    assert experiment.name == "mine"
    assert experiment.sweep.checkpoints == ("shipped",)
    assert experiment.sweep.target == "params"
    assert experiment.sweep.sparsities == (0.3, 0.5, 0.7, 0.9)
    assert experiment.sweep.recovery == ("bn-recalibrate",)
    assert experiment.sweep.seeds == (0, 1, 2)
    assert (experiment.quality.metrics, experiment.quality.extractor) == (("fid", "is"), "workload")
    assert experiment.quality.num_images == 1000
    assert (experiment.latency.devices, experiment.latency.batches) == (("cpu",), (1, 16))
    assert (experiment.latency.backends, experiment.latency.enabled) == (("eager",), True)
    assert experiment.gate == Gate()
    assert experiment.report.reference == "l1-weight-global"


def test_quick_writes_out_every_default_as_it_is() -> None:
    quick = load_experiment("quick", known=Known.installed())
    sweep = Sweep(name="quick", workloads=quick.sweep.workloads, strategies=quick.sweep.strategies)
    assert quick == Experiment(experiment=sweep)


@pytest.mark.parametrize("name", shipped_experiments())
def test_a_shipped_experiment_loads_under_its_own_name(name: str) -> None:
    assert load_experiment(name).name == name


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    path = tmp_path / "bom.toml"
    path.write_bytes(b"\xef\xbb\xbf" + HEAD.encode())
    assert load_experiment(path, known=KNOWN).name == "mine"


def test_reading_the_module_imports_no_torch() -> None:
    code = "import bench.experiments, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_unknown_shipped_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(Mistakes, match=r"^quik: no such file, .*Did you mean 'quick'\?"):
        load_experiment("quik", known=KNOWN)


def test_a_folder_is_not_an_experiment(tmp_path: Path) -> None:
    with pytest.raises(Mistakes, match="cannot be read"):
        load_experiment(tmp_path, known=KNOWN)


def test_bytes_that_are_not_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_bytes(b"name = '\xff'")
    with pytest.raises(Mistakes, match=r"x\.toml: not a text in UTF-8 \(byte 8\)"):
        load_experiment(tmp_path / "x.toml", known=KNOWN)


def test_a_path_that_cannot_be_is_refused() -> None:
    with pytest.raises(Mistakes, match="not a path"):
        load_experiment("a\0b", known=KNOWN)


def test_a_syntax_error_names_the_line(load: Load) -> None:
    assert mistakes(load, "[experiment]\nname = \nseeds = [0]\n") == [
        "mine.toml, line 2, column 8: not valid TOML: Invalid value."
    ]


@pytest.mark.parametrize("text", ["a = " + "[" * 9000, HEAD + "seeds." + "a." * 9000 + "a = 1"])
def test_nesting_without_end_is_a_mistake_not_a_crash(load: Load, text: str) -> None:
    assert "nested too deeply" in mistakes(load, text)[0]


def test_a_number_too_long_to_read_is_a_mistake_not_a_crash(load: Load) -> None:
    assert "not valid TOML" in mistakes(load, f"a = {'9' * 5000}")[0]
