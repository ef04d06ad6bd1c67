"""Values that look right and cannot be computed with are refused when the file is read, in time and in few words."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from bench.base.errors import Mistakes
from bench.experiments import check_workloads, load_experiment, load_workloads
from tests.experiments.known import HEAD, KNOWN, Load, mistakes

WORKLOAD = """
[[workload]]
name = "mine"
factory = "networks.py:Generator"
inputs = [{kind = "normal", shape = [16]}]
reference = "dense-samples"
"""

OWN = {
    "training.lr = inf": "lr: inf is not from 1e-12 to 1000: a learning rate",
    "training.lr_discriminator = 1e-300": "lr_discriminator: 1e-300 is not from 1e-12",
    "training.betas = [nan, 1]": "betas[0]: nan is not from 0 to 0.999999",
    "training.betas = [2, 3]": "betas[1]: 3.0 is not from 0 to 0.999999",
    "training.fake_weight = nan": "fake_weight: nan is not 0 or from 1e-06 to 1e+06",
    "training.batch_size = 100_000_000_000_000": "batch_size: 100000000000000 is not a whole number from 1 to 65,536",
    "training.ema_decay = nan": "ema_decay: nan is not",
    "training.shift = 9223372036854775807": "shift: 9223372036854775807 is not a whole number from 0 to 1,024",
    "reference = {source = 'x', limit = 100_000_000_000_000_000_000}": "limit: 100000000000000000000 is not",
    "reference = 'a\\u0000b'": "reference.source: 'a\\x00b' is not a path: it holds the character '\\x00'",
    "reference = {source = 'x', root = ''}": "root: '' is not a path: it is empty",
    "checkpoint = 'a\\nb'": "checkpoint.file: 'a\\nb' is not a path",
    "checkpoint = {file = 'x', rename = {'(' = 'a'}}": "'(' = 'a' is not a regular expression",
    "checkpoint = {file = 'x', rename = {'a' = '\\\\9'}}": "invalid group reference",
    "arguments = {x = nan}": "arguments: nan is not a finite number",
    "arguments = {x = [{y = 9223372036854775808}]}": "arguments: 9223372036854775808 is beyond",
    "output.range = 'tanh'": "range: 'tanh' is not a list in [ ]. Write a list of two numbers, such as [-1, 1].",
    "output.range = [0]": "range",
    "output.range = [-1e308, 1e308]": "is not a range of images or noise",
    "output.pick = 100_000_000_000_000_000_000": "pick: 100000000000000000000 is not a whole number from -100 to 100",
    "output.shape = [3, 2147483648, 2147483648]": "is too large a shape: at most 8 sizes and 67,108,864 entries",
    "inputs = [{kind = 'normal', shape = [2147483648, 2147483648]}]": "is too large a shape",
    "inputs = [{kind = 'normal', shape = [1, 1, 1, 1, 1, 1, 1, 1, 1]}]": "is too large a shape",
    "inputs = [{kind = 'fixed', shape = [4], seed = 18446744073709551616}]": "is not a whole number from 0 to 2^63 - 1",
    "inputs = [{kind = 'fixed', shape = [4], value = inf}]": "inf is not from -1e+06 to 1e+06",
    "inputs = [{kind = 'truncated', shape = [4], bound = 1e-300}]": "1e-300 is not from 0.01 to 100",
    "inputs = [{kind = 'normal', shape = [4], scale = 1e-300}]": "1e-300 is not from 1e-06",
}


@pytest.mark.parametrize(("line", "words"), OWN.items(), ids=OWN)
def test_a_value_of_a_workload_has_a_range(tmp_path: Path, line: str, words: str) -> None:
    line = line.replace("'", '"').replace('"(" = "a"', "'(' = 'a'").replace("\\\\9", "\\\\9")
    key = line.split(" ")[0].split(".")[0]
    kept = [other for other in WORKLOAD.splitlines() if not other.startswith(f"{key} ")]
    path = tmp_path / "mine.toml"
    path.write_text("\n".join([*kept, line]) + "\n")
    (tmp_path / "networks.py").write_text("")
    with pytest.raises(Mistakes) as caught:
        load_workloads(path)
    assert words in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_a_folder_is_a_path() -> None:
    table = {"name": "w", "factory": "a:b", "inputs": [{"kind": "normal", "shape": [4]}], "reference": "x"}
    with pytest.raises(Mistakes, match="is not a path: it holds the character"):
        check_workloads([{**table, "folder": "a\0b"}], "here")


SWEEP = {
    "sparsities=[1e-300]": "1e-300 is not from 0.000001 to 0.999999: names and tables have six digits",
    "sparsities=[0.9999999999999999]": "0.9999999999999999 is not from 0.000001",
    "seeds=[9223372036854775808]": "is not a whole number from 0 to 2^63 - 1",
    "quality.num_images=9223372036854775807": "is not a whole number from 2 to 1,000,000",
    "latency.batches=[1000000000]": "is not a whole number from 1 to 65,536",
    'checkpoints=["a\\u0000b"]': "is not a path: it holds the character '\\x00'",
    'checkpoints=[""]': "is not a path: it is empty",
    "gate.error=1e-300": "is not from 1e-09 to 0.499",
    "gate.processes=1000000": "is not a whole number from 8 to 200",
    "gate.max_seconds=inf": "is not from 0.001 to 86400",
    "strategies=[{name='rownorm', levels=[{threshold=1e300}]}]": "is not from -1e+06 to 1e+06",
}


@pytest.mark.parametrize(("override", "words"), SWEEP.items(), ids=SWEEP)
def test_a_value_of_a_sweep_has_a_range(load: Load, override: str, words: str) -> None:
    (found,) = mistakes(load, HEAD, override)
    assert words in found


@pytest.mark.parametrize("sparsity", [1e-6, 0.999999])
def test_the_ends_of_a_range_are_in_it(load: Load, sparsity: float) -> None:
    assert load(HEAD, f"sparsities=[{sparsity!r}]").sweep.sparsities == (sparsity,)


MANY = {
    "unknown keys": "\n".join(f"k{i} = {i}" for i in range(50_000)),
    "unknown tables": "\n".join(f"[t{i}]" for i in range(50_000)),
    "seeds": f"seeds = {[*range(100_000)]}",
    "wrong seeds": f"seeds = {[-1] * 100_000}",
    "a key of 20,000 parts": ".".join("a" * 20_000) + " = 1",
    "a long name": f"name = '{'x' * 500_000}'",
}


@pytest.mark.parametrize("text", MANY.values(), ids=MANY)
def test_very_many_mistakes_are_few_words_in_good_time(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(HEAD + text)
    begun = time.process_time()
    with pytest.raises(Mistakes) as caught:
        load_experiment(path, known=KNOWN)
    assert time.process_time() - begun < 10
    assert len(str(caught.value)) < 10_000


def test_mistakes_that_are_not_told_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(HEAD + "\n".join(f"k{i} = {i}" for i in range(10_000)))
    with pytest.raises(Mistakes, match=r"and 9,9\d\d more\.\n10,000 mistakes; nothing was run"):
        load_experiment(path, known=KNOWN)


def test_more_cells_than_a_run_can_hold_are_refused(load: Load) -> None:
    (found,) = mistakes(load, HEAD, f"seeds={[*range(60_000)]}")
    assert "cells (" in found
    assert "60,000 seeds" in found
    assert "at most 50,000" in found


def test_a_training_of_a_lifetime_is_no_recovery() -> None:
    from bench.training.recovery.asked import asked_recovery

    assert asked_recovery("finetune-200").steps == 200
    for name in ("finetune-100000000000000000000", "distil-99999999-output", "finetune-" + "9" * 5000):
        with pytest.raises(ValueError, match="at most"):
            asked_recovery(name)
