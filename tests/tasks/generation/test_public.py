"""Public feature networks offline: which weights are taken, which are refused, and that the network is theirs."""

from __future__ import annotations

import io
import pickle
import warnings
from pathlib import Path

import pytest
import torch
from torch import Tensor

from bench.base.errors import UserError
from bench.tasks.generation.extractors import Extractor
from bench.tasks.generation.public import (
    ENVIRONMENT,
    INCEPTION,
    INCEPTION_FILE,
    PUBLIC,
    PublicFile,
    Weights,
    as_rgb,
    bare_inception,
    find_file,
    public_extractor,
    state_of,
)

LAYERS = PUBLIC[INCEPTION].layers


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    """A random state dict with the names and shapes of the public one."""
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        return dict(bare_inception(LAYERS).state_dict())


@pytest.fixture(scope="module")
def file(state: dict[str, Tensor], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "random.pth"
    torch.save(state, path)
    return path


@pytest.fixture(scope="module")
def extractor(file: Path) -> Extractor:
    return public_extractor(INCEPTION, Weights(file), check_hash=False)


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv(ENVIRONMENT, raising=False)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    return tmp_path / "hub" / "checkpoints"


def grey(count: int = 3) -> Tensor:
    return torch.randint(0, 256, (count, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def test_the_state_dict_has_the_public_file_s_566_tensors(state: dict[str, Tensor]) -> None:
    assert len(state) == 566
    assert state["fc.weight"].shape == (1008, 2048)


def test_inception_gives_2048_features_and_1008_logits(extractor: Extractor) -> None:
    features, logits = extractor(grey())
    assert logits is not None
    assert features.shape == (3, 2048) and logits.shape == (3, 1008)
    assert (extractor.width, extractor.classes, extractor.standard) == (2048, 1008, True)


def test_inception_is_torch_fidelity_s_with_these_weights(extractor: Extractor, file: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

        other = FeatureExtractorInceptionV3(INCEPTION, list(LAYERS), feature_extractor_weights_path=str(file))
    with torch.inference_mode():
        features, _ = other(grey().repeat(1, 3, 1, 1))
    assert torch.allclose(extractor(grey())[0], features, rtol=1e-4, atol=1e-6)


def test_a_grey_image_is_judged_as_its_three_equal_channels(extractor: Extractor) -> None:
    assert torch.equal(extractor(grey())[0], extractor(as_rgb(grey()))[0])


def test_two_channels_are_no_image() -> None:
    with pytest.raises(ValueError, match="1 or 3 channels"):
        as_rgb(torch.zeros(1, 2, 4, 4, dtype=torch.uint8))


def test_weights_that_are_not_the_public_file_are_refused(file: Path) -> None:
    with pytest.raises(UserError, match="is not the public file weights-inception-2015-12-05-6726825d"):
        public_extractor(INCEPTION, Weights(file))


@pytest.mark.parametrize("change", ["missing", "unexpected", "shape"])
def test_other_names_and_shapes_are_refused(state: dict[str, Tensor], tmp_path: Path, change: str) -> None:
    wrong = dict(state)
    if change == "missing":
        del wrong["fc.bias"]
    elif change == "unexpected":
        wrong["more"] = torch.zeros(1)
    else:
        wrong["fc.bias"] = torch.zeros(1000)
    torch.save(wrong, tmp_path / "wrong.pth")
    with pytest.raises(UserError, match=r"does not fit .*: (missing fc.bias|unexpected more|fc.bias is \(1000,\))"):
        public_extractor(INCEPTION, Weights(tmp_path / "wrong.pth"), check_hash=False)


class Trap:
    """Unpickling it would write a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> object:
        return Path.touch, (self.path,)


def test_a_pickle_with_code_is_refused_and_not_run(tmp_path: Path) -> None:
    torch.save({"weight": Trap(tmp_path / "sprung")}, tmp_path / "trap.pth")
    with pytest.raises(UserError, match="not a state dict"):
        public_extractor(INCEPTION, Weights(tmp_path / "trap.pth"), check_hash=False)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("content", [b"", b"text", pickle.dumps({"a": 1}, protocol=2)], ids=["empty", "text", "pickle"])
def test_what_is_no_state_dict_is_refused(content: bytes) -> None:
    with pytest.raises(UserError, match="state dict"):
        state_of(content, "here.pth")


def test_a_state_dict_of_other_things_than_tensors_is_refused() -> None:
    file = io.BytesIO()
    torch.save({"a": 1}, file)
    with pytest.raises(UserError, match="tensors only"):
        state_of(file.getvalue(), "here.pth")


def test_without_weights_the_message_says_how_to_get_them(empty_cache: Path) -> None:
    with pytest.raises(UserError, match=r"quality.extractor_weights.*quality.download = true"):
        public_extractor(INCEPTION)


def test_the_file_that_the_user_names_comes_first(empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENVIRONMENT, "/from/environment.pth")
    assert find_file(INCEPTION, INCEPTION_FILE, Weights(Path("/named.pth"))) == Path("/named.pth")
    assert find_file(INCEPTION, INCEPTION_FILE, Weights()) == Path("/from/environment.pth")


@pytest.mark.parametrize("name", INCEPTION_FILE.names)
def test_the_cache_of_torch_is_used(empty_cache: Path, name: str) -> None:
    empty_cache.mkdir(parents=True)
    (empty_cache / name).touch()
    assert find_file(INCEPTION, INCEPTION_FILE, Weights()) == empty_cache / name


def test_a_download_happens_only_when_asked_for_and_is_checked(
    empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str, str]] = []

    def download(url: str, target: str, *, hash_prefix: str, progress: bool) -> None:
        asked.append((url, target, hash_prefix))

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    target = find_file(INCEPTION, INCEPTION_FILE, Weights(download=True))
    assert asked == [(INCEPTION_FILE.url, str(target), INCEPTION_FILE.sha256)]


def test_a_failed_download_is_said_in_one_sentence(empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def download(*_: object, **__: object) -> None:
        raise OSError("no route")

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    with pytest.raises(UserError, match=r"could not be downloaded to .*no route"):
        find_file("x", PublicFile("https://example.org/x.pth", "00"), Weights(download=True))


@pytest.mark.parametrize("name", ["vgg16", "clip-vit-b-32", "dinov2-vit-s-14"])
def test_the_others_ask_for_their_weights(name: str, empty_cache: Path) -> None:
    with pytest.raises(UserError, match=r"quality.download = true"):
        public_extractor(name)


def test_all_names_are_torch_fidelity_s() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torch_fidelity.registry import FEATURE_EXTRACTORS_REGISTRY
    assert set(PUBLIC) <= set(FEATURE_EXTRACTORS_REGISTRY)
