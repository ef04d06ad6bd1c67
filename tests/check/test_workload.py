"""`ganprune check-workload`: what is said of a workload before anything is run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import bench
from bench.check.finding import Finding
from bench.check.workload import check
from bench.cli import app
from bench.experiments import Quality
from tests.helpers.pictures import pictures, write_pictures
from tests.own.conftest import Describe
from tests.own.gans import Dcgan
from tests.own.test_own import ARCHITECTURES, D, G

FID = Quality(metrics=("fid",))
"""The judge of these tests has no classes."""


def findings(describe: Describe, **said: Any) -> list[Finding]:
    return list(check(describe(**said), FID))


def text(found: list[Finding], about: str) -> str:
    """What is said about one thing, each sentence with its kind."""
    return "\n".join(f"{f.kind}: {f.text}" for f in found if f.text.startswith(about))


def test_a_workload_in_order_has_nothing_but_ok(describe: Describe) -> None:
    found = findings(describe, checkpoint=G, discriminator=D)
    assert {f.kind for f in found} == {"ok"}
    assert "3 x 16 x 16" in text(found, "output")
    first, second, third = 12 * 16 * 16, 16 * 8 * 16, 8 * 3 * 16  # inputs x outputs x kernel
    weights = first + second + third
    assert f"{weights + 2 * (16 + 8) + 3:,}, of them {weights:,} weights" in text(found, "parameters")
    # A transposed convolution multiplies at every position of its input: 1, 4 x 4 and 8 x 8.
    assert f"MACs: {first + 16 * second + 64 * third:,} for one image" in text(found, "MACs")
    assert "BatchNorm: 2 layers" in text(found, "BatchNorm")
    assert "verified against the masked twin" in text(found, "channels")
    assert "more held out" in text(found, "reference")


def test_what_will_be_not_applicable_is_a_note_with_the_reason(describe: Describe) -> None:
    found = findings(describe, **ARCHITECTURES["grey and flat"])
    assert "note: discriminator: none. finetune-*" in text(found, "discriminator")
    assert "note: BatchNorm: none" in text(found, "BatchNorm")
    assert not [f for f in found if f.kind == "problem"]


@pytest.mark.parametrize("said", ARCHITECTURES.values(), ids=list(ARCHITECTURES))
def test_generators_of_all_habits_pass(describe: Describe, said: dict[str, Any]) -> None:
    found = findings(describe, **said)
    assert not [f.text for f in found if f.kind == "problem"]
    assert text(found, "weights:").count("ok") == 2  # loaded, and pruned a little


def test_a_generator_that_draws_noise_by_itself_is_noticed(describe: Describe) -> None:
    found = findings(describe, factory="gans.py:Noisy")
    assert "the generator draws random numbers while it runs" in text(found, "output")


def test_a_range_that_is_only_half_used_is_noticed(describe: Describe) -> None:
    said = ARCHITECTURES["image to image, not square"] | {"output": {}}
    assert "only the upper half of [-1, 1]. Is output.range right?" in text(findings(describe, **said), "output")


def test_few_images_for_many_features_are_noticed(describe: Describe) -> None:
    found = findings(describe, reference={"source": "photos", "limit": 20})
    assert "FID is biased and flagged `low-rank-fid`" in text(found, "reference")


def test_what_is_left_out_of_folders_is_a_note_with_its_count(describe: Describe, tmp_path: Path) -> None:
    photos = write_pictures(tmp_path / "photos", pictures())
    write_pictures(photos / ".thumbnails", pictures(2), labelled=False)
    (photos / "notes.txt").write_text("x")
    said = text(findings(describe, reference=str(photos)), "reference")
    assert "ok: reference: photos, " in said
    assert "; 3 classes: class-0, class-1, class-2\n" in said
    left = "left out: 1 file of another ending (.txt 1); 1 hidden folder (.thumbnails)."
    assert f"note: reference: {photos}: {left}" in said
    drawings = {"kind": "images", "source": str(photos), "shape": [1, 8, 12]}
    found = findings(describe, **ARCHITECTURES["image to image, not square"] | {"inputs": [drawings]})
    assert f"note: inputs: {photos}: {left}" in text(found, "inputs")
    found = findings(describe, extractor="auto:classifier", extractor_images=str(photos))
    assert f"note: extractor_images: {photos}: {left}" in text(found, "extractor_images")


def test_statistics_of_fewer_images_than_features_are_noticed(describe: Describe, tmp_path: Path) -> None:
    np.savez(tmp_path / "s.npz", mu=np.zeros(27), sigma=np.eye(27), num_images=20, other=np.zeros(3))
    said = text(findings(describe, reference=str(tmp_path / "s.npz")), "reference")
    assert "note: reference: statistics of 20 images for 27 features: FID is biased." in said
    assert "s.npz: left out: 1 array (other)." in said


def test_a_network_without_layers_is_a_problem(describe: Describe) -> None:
    found = findings(
        describe,
        factory="gans.py:NoLayers",
        inputs=[{"kind": "normal", "shape": [1, 16, 16]}],
        output={"channels": 1},
    )
    assert "problem: layers: no nn.Conv or nn.Linear" in text(found, "layers")


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"factory": "gans.py:OnGpu"}, "asks for a GPU"),
        ({"factory": "gans.py:NotFinite"}, "not finite"),
        ({"discriminator": D | {"range": [-1, 1]}}, "discriminator: fails on images"),
        ({"reference": "nowhere"}, "no folder"),
        ({"checkpoint": {"file": "both.pth", "entry": "netG_state_dict"}}, "Strip it: checkpoint.prefix = 'module.'"),
        ({"extractor": "mnist-lenet"}, "judges images of"),
    ],
)
def test_what_stops_a_run_is_a_problem(describe: Describe, said: dict[str, Any], message: str) -> None:
    problems = [f.text for f in findings(describe, **said) if f.kind == "problem"]
    assert len(problems) == 1
    assert message in problems[0]


def test_a_discriminator_is_called_on_images_alone(describe: Describe) -> None:
    found = findings(describe, discriminator={"factory": "gans.py:Conditional"})
    assert "It is called on images alone" in text(found, "discriminator")


@pytest.mark.parametrize(("factory", "code"), [("Dcgan", 0), ("OnGpu", 2)])
def test_the_command_exits_2_where_something_stops_a_run(describe: Describe, factory: str, code: int) -> None:
    spec = describe()
    file = spec.at("check.toml")
    noise = "{kind = 'normal', shape = [12, 1, 1]}"
    file.write_text(
        f"[[workload]]\nname = 'mine'\nfactory = 'gans.py:{factory}'\ninputs = [{noise}]\n"
        "reference = 'photos'\nextractor = 'gans.py:judge'\n[quality]\nmetrics = ['fid']\n"
    )
    answer = CliRunner().invoke(app, ["check-workload", str(file)])
    assert answer.exit_code == code
    assert ("problem" in answer.output) == (code == 2)


def test_the_judge_of_the_experiment_is_tried_where_the_file_names_one(describe: Describe) -> None:
    spec = describe(extractor="inception-v3-compat")
    found = list(check(spec, Quality(extractor=f"{spec.folder}/gans.py:judge", metrics=("fid",))))
    assert "ok: extractor: gans.judge, 27 features, no classes" in text(found, "extractor")


def test_a_table_of_a_file_is_pruned_into_a_folder(describe: Describe, artefact: Path) -> None:
    file = describe().at("prune.toml")
    noise = "{kind = 'normal', shape = [12, 1, 1]}"
    file.write_text(
        f"[[workload]]\nname = 'from-file'\nfactory = 'gans.py:Dcgan'\ninputs = [{noise}]\nreference = 'photos'\n"
    )  # its judge is Inception, whose weights are not here: pruning needs no judge
    said = ["prune", "from-file", "--workload-file", str(file), "--strategy", "l1-weight-global", "--sparsity", "0.5"]
    answer = CliRunner().invoke(app, [*said, "--out", str(artefact)])
    assert answer.exit_code == 0, answer.output
    assert (bench.load(artefact, Dcgan).main[0].weight == 0).any()
