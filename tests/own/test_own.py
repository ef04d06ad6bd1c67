"""A user's workload through the whole house: loaded, keyed, pruned, measured, saved, and what is refused."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import bench
from bench.api import workload
from bench.base.errors import Mistakes, UserError
from bench.experiments import dump, load_experiment
from bench.records import Record
from bench.records.store import RunStore
from bench.sweep.cell import run_cell
from bench.sweep.plan import settings_of
from bench.sweep.prune import prune_to_folder
from bench.sweep.run import Outcome, run_experiment
from bench.sweep.settings import Settings
from bench.sweep.workshop import Workshop
from bench.workloads.builtin import BUILT_IN
from bench.workloads.described import workload_of
from bench.workloads.own import Own
from bench.workloads.spec import WorkloadSpec
from tests.helpers.cells import cell
from tests.helpers.executor import InProcess
from tests.helpers.pictures import pictures, write_pictures
from tests.helpers.sweeps import Sweeps
from tests.own.conftest import NOISE, Describe
from tests.own.gans import Dcgan

NUM_IMAGES = 40

D = {
    "factory": "gans.py:Discriminator",
    "checkpoint": {"file": "both.pth", "entry": "netD_state_dict"},
    "output": "probability",
    "range": [0, 1],
}
G = {"file": "both.pth", "entry": "netG_state_dict", "prefix": "module."}

Shop = Callable[..., Workshop]


def shop_of(spec: WorkloadSpec, **settings: Any) -> Workshop:
    return Workshop(Settings(num_images=NUM_IMAGES, metrics=("fid",), catalogue=BUILT_IN.with_own([spec]), **settings))


def record(spec: WorkloadSpec, strategy: str = "l1-weight-global", **said: Any) -> Record:
    shop = shop_of(spec)
    thing = cell(strategy, workload="mine", **said)
    return run_cell(thing, shop)


def test_the_checkpoints_weights_are_in_the_networks(describe: Describe, folder: Path) -> None:
    loaded = shop_of(describe(checkpoint=G, discriminator=D)).load("mine", "shipped")
    content = torch.load(folder / "both.pth", weights_only=True)
    weight = content["netG_state_dict"]["module.main.0.weight"]
    assert torch.equal(loaded.gan.checkpoint.generator.state_dict()["main.0.weight"], weight)
    assert loaded.gan.checkpoint.discriminator is not None
    assert loaded.gan.data.train.shape[1:] == (3, 16, 16)


ARCHITECTURES: dict[str, dict[str, Any]] = {
    "conditional by index": {
        "factory": "gans.py:Conditional",
        "inputs": [NOISE, {"kind": "labels", "classes": 4}],
        "output": {"pick": "image"},
    },
    "conditional by one-hot": {
        "factory": "gans.py:Conditional",
        "arguments": {"form": "one-hot"},
        "inputs": [NOISE, {"kind": "labels", "classes": 4, "form": "one-hot"}],
        "output": {"pick": "image"},
    },
    "image to image, not square": {
        "factory": "gans.py:UNet",
        "inputs": [{"kind": "images", "source": "photos", "shape": [1, 16, 24]}],
        "output": {"range": [0, 1]},
        "reference": {"source": "photos", "resize": True},
    },
    "channels last, bytes, in a tuple": {
        "factory": "gans.py:LastChannels",
        "inputs": [{"kind": "uniform", "shape": [12, 1, 1]}],
        "output": {"range": [0, 255], "layout": "nhwc", "pick": 0},
    },
    "grey and flat": {
        "factory": "gans.py:Flat",
        "inputs": [{"kind": "truncated", "shape": [12]}],
        "output": {"shape": [1, 16, 16]},
    },
}


@pytest.mark.parametrize("said", ARCHITECTURES.values(), ids=list(ARCHITECTURES))
@pytest.mark.parametrize("strategy", ["l1-weight-global", "l1-channel-uniform"])
def test_generators_of_all_habits_are_pruned_and_measured(
    describe: Describe, said: dict[str, Any], strategy: str
) -> None:
    found = record(describe(**said), strategy, sparsity=0.3)
    assert found.status == "ok"
    assert found.achieved_params == pytest.approx(0.3, abs=0.05)
    value = next(number.value for name, number in found.numbers.items() if name.startswith("fid["))
    assert value is not None and np.isfinite(value)


def test_images_are_what_the_generator_returned_whatever_its_range(describe: Describe) -> None:
    from bench.workloads.generate import generate

    own = Own(describe(**ARCHITECTURES["channels last, bytes, in a tuple"]))
    generator, _ = own.load()
    inputs = torch.rand(3, 12, 1, 1)
    images, _ = generate(generator, (inputs,))
    with torch.no_grad():
        expected = generator.forward(inputs)[0].permute(0, 3, 1, 2)
    assert (images.float() - expected).abs().max() <= 0.5 + 1e-3


def test_without_a_discriminator_what_needs_one_is_not_applicable(describe: Describe) -> None:
    found = record(describe(checkpoint=G), recovery="finetune-2")
    assert found.status == "not-applicable"
    assert found.reason == "recovery 'finetune-2' needs a discriminator, mine has none"


def test_with_one_it_is_fine_tuned_against_it(describe: Describe) -> None:
    found = record(describe(checkpoint=G, discriminator=D, training={"batch_size": 8}), recovery="finetune-2")
    assert found.status == "ok"
    assert found.cost.train_steps == 2
    assert found.cost.train_images == 16
    shares = {name: number.value for name, number in found.numbers.items() if name.startswith("d-accuracy")}
    assert {"d-accuracy-real", "d-accuracy-dense", "d-accuracy-generated"} == set(shares)
    assert all(share is not None and 0 <= share <= 1 for share in shares.values())


def test_statistics_as_reference_leave_out_what_needs_images(describe: Describe, folder: Path) -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(200, 27))
    np.savez(folder / "stats.npz", mu=features.mean(0), sigma=np.cov(features, rowvar=False))
    spec = describe(checkpoint=G, discriminator=D, reference="stats.npz")
    found = record(spec)
    assert found.status == "ok"
    assert found.numbers["fid[gans.judge]"].value is not None
    assert found.numbers["fid-held-out[gans.judge]"].value is None
    assert "d-accuracy-real" not in found.numbers
    assert record(spec, "dense").status == "ok"
    trained = record(spec, recovery="finetune-2")
    assert (trained.status, "needs training images" in trained.reason) == ("not-applicable", True)
    shop = Workshop(Settings(num_images=NUM_IMAGES, metrics=("kid",), catalogue=BUILT_IN.with_own([spec])))
    with pytest.raises(UserError, match="'kid' compares image with image"):
        shop.load("mine", "shipped")


def test_dense_shows_its_noise_floor_against_its_own_samples(describe: Describe) -> None:
    spec = describe(checkpoint=G, reference={"source": "dense-samples", "limit": 400})
    dense, pruned = record(spec, "dense"), record(spec, sparsity=0.7)
    floor, distance = (found.numbers["fid[gans.judge]"].value for found in (dense, pruned))
    assert floor is not None and distance is not None
    assert 0 < floor < distance  # from another stream: not 0; and far below what pruning does
    assert all("dense-reference" in found.provenance.flags for found in (dense, pruned))
    assert "dense-reference" not in record(describe(checkpoint=G)).provenance.flags


def test_another_training_is_a_file_that_is_read_alike(describe: Describe, folder: Path) -> None:
    torch.manual_seed(9)
    other = {"netG_state_dict": {f"module.{n}": v for n, v in Dcgan().state_dict().items()}}
    torch.save(other, folder / "second.pth")
    shop = shop_of(describe(checkpoint=G))
    first, second = (shop.load("mine", name).gan.checkpoint for name in ("shipped", str(folder / "second.pth")))
    assert first.fingerprint != second.fingerprint
    expected = other["netG_state_dict"]["module.main.0.weight"]
    assert torch.equal(second.generator.state_dict()["main.0.weight"], expected)
    with pytest.raises(UserError, match="no such file"):
        shop.load("mine", "nowhere.pth")


def test_what_defines_the_network_defines_the_key(describe: Describe) -> None:
    def key(**said: Any) -> str:
        spec = describe(**{"checkpoint": G, **said})
        return shop_of(spec).resolve(cell(workload="mine")).keys.prune

    plain = key()
    assert plain == key(summary="other words", folder=describe().folder + "/.")
    assert plain == key(reference={"source": "photos", "limit": 30})  # what it is compared with is not what it is
    assert len({plain, key(inputs=[NOISE | {"scale": 0.5}]), key(output={"range": [-1, 2]}), key(checkpoint=None)}) == 4


def test_the_reference_is_part_of_what_identifies_a_number(describe: Describe) -> None:
    keys = {
        shop_of(describe(checkpoint=G, reference=reference)).resolve(cell(workload="mine")).keys.eval
        for reference in ("photos", {"source": "photos", "limit": 30}, {"source": "dense-samples", "limit": 50})
    }
    assert len(keys) == 3


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"factory": "gans.py:broken"}, "fails: ValueError: no such width"),
        ({"factory": "gans.py:judge", "arguments": {"width": 3}}, "fails: TypeError"),
        ({"factory": "gans.py:up", "arguments": {"inside": 2, "outside": 2}}, "expected input"),
        ({"factory": "gans.py:OnGpu"}, r"asks for a GPU by itself"),
        ({"factory": "gans.py:NotFinite"}, "output is not finite"),
        (
            {"factory": "gans.py:NoLayers", "inputs": [{"kind": "normal", "shape": [1, 16, 16]}]},
            "nothing that could be pruned",
        ),
        ({"inputs": [{"kind": "normal", "shape": [12]}]}, r"fails on inputs float32 \(2, 12\)"),
        ({"inputs": [NOISE, NOISE]}, "the generator fails on inputs"),
        ({"factory": "gans.py:Conditional"}, "the generator fails on inputs"),
        (ARCHITECTURES["conditional by index"] | {"output": {}}, r"a dict with 'latent'.*output\.pick"),
        (ARCHITECTURES["grey and flat"] | {"output": {}}, r"For flat images say output\.shape"),
        (
            ARCHITECTURES["channels last, bytes, in a tuple"] | {"output": {"range": [0, 255], "pick": 0}},
            r"16 channels.*looks like layout = 'nhwc'",
        ),
        (
            ARCHITECTURES["channels last, bytes, in a tuple"] | {"output": {"layout": "nhwc", "pick": 0}},
            r"output\.range.*lie outside \[-1, 1\]",
        ),
        ({"reference": "nowhere"}, "no folder"),
        ({"extractor": "auto:classifier", "reference": {"source": "dense-samples", "limit": 40}}, "have no labels"),
        ({"extractor": "gans.py:Nothing"}, "has no function 'Nothing'"),
    ],
)
def test_what_cannot_be_measured_is_said_before_anything_is(
    describe: Describe, said: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        shop_of(describe(**said)).load("mine", "shipped")


# From a file.

FILE = """
[experiment]
name = "own"
workloads = ["mine", "dummy"]
strategies = ["l1-weight-global"]
sparsities = [0.5]
recovery = ["none"]
seeds = [0]
[quality]
metrics = ["fid"]
num_images = 40
[latency]
batches = [1]
[[workload]]
name = "mine"
factory = "gans.py:Dcgan"
checkpoint = {file = "both.pth", entry = "netG_state_dict", prefix = "module."}
inputs = [{kind = "normal", shape = [12, 1, 1]}]
reference = "photos"
extractor = "gans.py:judge"
"""


@pytest.fixture
def file(folder: Path) -> Path:
    path = folder / "own.toml"
    path.write_text(FILE)
    return path


def run(file: Path, results: Path, **said: Any) -> Outcome:
    return run_experiment(load_experiment(file), results=results, **said)


def test_a_table_stands_beside_built_in_workloads(file: Path, tmp_path: Path) -> None:
    outcome = run(file, tmp_path, executor=InProcess())
    assert (outcome.cells, outcome.failed, outcome.failed_timings) == (4, 0, 0)
    again = run(file, tmp_path, executor=InProcess())
    assert again.finished_before == 4
    assert len(list((outcome.folder / "latency").glob("mine--*"))) == 1


def test_one_training_under_two_names_is_said_before_anything_is_measured(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(file.parent)
    (file.parent / "latest.pth").write_bytes((file.parent / "both.pth").read_bytes())
    file.write_text(
        FILE.replace("seeds = [0]", 'seeds = [0]\ncheckpoints = ["shipped", "latest.pth"]').replace(', "dummy"', "")
    )
    with pytest.raises(
        UserError, match=r"'shipped' and 'latest\.pth' of 'mine' hold the same weights.*Take one of them out"
    ):
        run(file, tmp_path, executor=InProcess())
    assert not list(tmp_path.iterdir())


def test_a_run_says_what_is_left_out_of_its_images(file: Path, tmp_path: Path) -> None:
    write_pictures(tmp_path / "photos", pictures())
    (tmp_path / "photos" / "class-3").symlink_to(tmp_path / "unmounted")
    table = FILE.replace('"photos"', f'"{tmp_path / "photos"}"').replace(', "dummy"', "")
    (file.parent / "linked.toml").write_text(table)
    watching = Sweeps(tmp_path)
    run(file.parent / "linked.toml", tmp_path, executor=InProcess(), progress=watching)
    note = f"workload 'mine', reference: {tmp_path / 'photos'}: left out: 1 broken link (class-3)."
    assert watching.notes == [note]


def test_a_colon_in_a_folders_name_is_part_of_it(describe: Describe, folder: Path) -> None:
    """And no reason to read the folder that the table stands in."""
    mine = workload_of(describe(reference="photos:v2")).own
    assert mine is not None
    generator = mine.load()[0]
    with pytest.raises(UserError, match=r"no folder .*photos:v2"):
        mine.images(generator, "x")
    (folder / "photos:v2").symlink_to(folder / "photos")
    data = mine.images(generator, "x")
    (folder / "photos:v2").unlink()
    assert len(data.train) + len(data.held_out) == 60


@pytest.mark.slow
def test_worker_processes_build_the_workload_anew(file: Path, tmp_path: Path) -> None:
    outcome = run(file, tmp_path / "spawned", jobs=1)
    assert (outcome.cells, outcome.failed, outcome.failed_timings) == (4, 0, 0)
    here = run(file, tmp_path / "here", executor=InProcess())

    def numbers(folder: Path) -> dict[str, Any]:
        store = RunStore(folder)
        found = [store.read_record(planned) for planned in store.read_manifest().cells]
        return {r.cell.label: {k: n.value for k, n in r.numbers.items()} for r in found if r is not None}

    assert numbers(outcome.folder) == numbers(here.folder)


def test_relative_names_start_at_the_file_from_wherever_it_is_run(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(file.parent.parent)
    loaded = load_experiment(Path(file.parent.name) / file.name)
    assert loaded.workload[0].folder == file.parent.name  # as it was said: no path of this machine in a manifest
    settings = settings_of(loaded)
    monkeypatch.chdir(tmp_path)
    assert Workshop(settings).load("mine", "shipped").gan.data.train.shape[1:] == (3, 16, 16)


def test_the_manifest_holds_the_tables_and_gives_the_same_experiment(file: Path) -> None:
    loaded = load_experiment(file)
    said = json.loads(json.dumps(dump(loaded)))
    assert said["workload"][0]["factory"] == "gans.py:Dcgan"
    assert type(loaded).model_validate(said) == loaded
    assert "workload" not in dump(load_experiment("quick"))


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('factory = "gans.py:Dcgan"', 'factry = "gans.py:Dcgan"', "workload[0].factry: no such key. Did you mean"),
        ('name = "mine"\n', 'name = "dummy"\n', "workload[0].name: a built-in workload is called 'dummy'"),
        ('"mine", "dummy"', '"mne", "dummy"', "experiment.workloads[0]: no workload 'mne'. Did you mean 'mine'?"),
        ('"gans.py:judge"', '"inceptoin-v3-compat"', "workload[0].extractor: no extractor 'inceptoin-v3-compat'"),
        ("[[workload]]", "[workload]", "workload: {name = 'mine'"),
        ('kind = "normal"', 'kind = "gauss"', "workload[0].inputs[0].kind: 'gauss' is not"),
        ("entry =", "enrty =", "workload[0].checkpoint.enrty: no such key. Did you mean 'entry'?"),
    ],
)
def test_mistakes_in_a_table_have_their_place(file: Path, old: str, new: str, sentence: str) -> None:
    file.write_text(FILE.replace(old, new))
    with pytest.raises(Mistakes) as error:
        load_experiment(file)
    assert sentence in str(error.value)


def test_a_catalogue_is_a_value_and_no_name_is_taken_twice(describe: Describe) -> None:
    one = BUILT_IN.with_own([describe()])
    other = BUILT_IN.with_own([describe(arguments={"width": 4})])
    assert "mine" not in BUILT_IN
    assert one["mine"].own != other["mine"].own
    with pytest.raises(UserError, match="a built-in workload has that name"):
        one.with_own([describe().model_copy(update={"name": "dummy"})])
    with pytest.raises(UserError, match="another workload has that name"):
        one.with_own([describe()])


def test_two_experiments_with_workloads_of_one_name_keep_each_its_own(file: Path, tmp_path: Path) -> None:
    first = load_experiment(file)
    before = settings_of(first).catalogue["mine"].own
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / file.name).write_text(file.read_text())
    second = load_experiment(elsewhere / file.name)
    own = settings_of(first).catalogue["mine"].own
    assert own == before and own is not None
    assert own.spec.folder == str(file.parent)
    other = settings_of(second).catalogue["mine"].own
    assert other is not None and other.spec.folder == str(elsewhere)


def test_another_process_is_given_the_table_not_what_was_read(describe: Describe) -> None:
    catalogue = BUILT_IN.with_own([describe(checkpoint=G)])
    shop_of(describe(checkpoint=G)).load("mine", "shipped")
    sent = pickle.dumps(catalogue)
    assert len(sent) < 20_000
    again = pickle.loads(sent)
    assert list(again) == list(catalogue)
    assert again["mine"].own == catalogue["mine"].own
    assert again["dummy"] == catalogue["dummy"]


# From Python, and artefacts.


def test_from_python_with_a_class(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    thing = workload("mine", Dcgan, inputs=[NOISE], reference="photos", extractor="gans.py:judge", checkpoint=G)
    assert isinstance(thing.generator(), Dcgan)
    assert bench.workload is workload
    with pytest.raises(Mistakes, match=r"ganprune\.workload, workload\[0\]\.inputs: missing"):
        workload("other", Dcgan, reference="photos")


def test_an_artefact_is_the_users_own_module_with_the_users_own_names(
    describe: Describe, folder: Path, artefact: Path
) -> None:
    made = prune_to_folder(
        artefact,
        catalogue=BUILT_IN.with_own([describe(checkpoint=G, output={"range": [-1, 1], "channels": 3})]),
        workload="mine",
        checkpoint="shipped",
        strategy="l1-channel-uniform",
        sparsity=0.4,
        level=None,
        target="params",
        recovery="none",
        seed=0,
        device="cpu",
    )
    plain = bench.load(artefact, Dcgan)
    assert type(plain) is Dcgan
    assert not plain._forward_hooks
    z = torch.randn(2, 12, 1, 1)
    with torch.no_grad():
        assert torch.equal(plain(z), made.recovered.generator(z))
    with pytest.raises(UserError, match="pass its factory"):
        bench.load(artefact)


def test_the_pictures_of_the_tests_have_three_classes_of_different_look() -> None:
    images = pictures(30).mean((2, 3))
    brightest = images.reshape(30, 16).argmax(1) // 5
    assert all(int(row) == i % 3 for i, row in enumerate(brightest))


def test_neither_reading_nor_checking_an_experiment_runs_the_users_code(file: Path, tmp_path: Path) -> None:
    trap = tmp_path / "trap.py"
    trap.write_text("import pathlib\npathlib.Path(__file__ + '.ran').touch()\n")
    file.write_text(FILE.replace("gans.py:Dcgan", f"{trap}:Dcgan"))
    loaded = load_experiment(file, trust=[str(trap)])
    dump(loaded)
    settings_of(loaded)
    assert not (tmp_path / "trap.py.ran").exists()
    with pytest.raises(UserError, match="has no function 'Dcgan'"):
        Workshop(settings_of(loaded)).load("mine", "shipped")
    assert (tmp_path / "trap.py.ran").exists()


def test_two_tables_of_one_name_are_a_mistake(file: Path) -> None:
    table = FILE[FILE.index("[[workload]]") :]
    file.write_text(FILE + table)
    with pytest.raises(Mistakes, match=r"workload\[1\]\.name: 'mine' is the name of two tables"):
        load_experiment(file)


def test_what_python_describes_is_run_under_its_name_and_stands_in_the_manifest(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    mine = workload("mine", Dcgan, inputs=[NOISE], reference="photos", extractor="gans.py:judge", checkpoint=G)
    few = ['strategies=["dense"]', "seeds=[0]", "num_images=40", "latency.enabled=false", 'metrics=["fid"]']
    outcome = bench.run("quick", few, workloads=[mine], results=tmp_path, reports=None, jobs=1)
    manifest = RunStore(outcome.folder).read_manifest()
    assert (outcome.cells, outcome.failed) == (1, 0)
    assert [table["name"] for table in manifest.experiment["workload"]] == ["mine"]
    assert manifest.experiment["experiment"]["workloads"] == ["mine"]
