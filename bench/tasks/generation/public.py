"""torch-fidelity's feature networks, for those who have their weights: Inception, VGG, CLIP, DINOv2.

Weights are public files. They are taken from where the user says, else from torch's cache, and downloaded only when
asked to; read as data (`weights_only`), and only if they are the public file to the last bit.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError

import torch
from torch import Tensor, nn

from bench.base.errors import UserError
from bench.base.outside import WEIGHTS, read_bytes
from bench.tasks.generation.extractors import Extractor, extractor_of
from bench.workloads.store import load_into, state_hash
from bench.workloads.torchfiles import NoTensors, in_short, read_torch

ENVIRONMENT = "GANPRUNE_EXTRACTOR_WEIGHTS"

BATCH = 32
"""Images are enlarged to 224 or 299 pixels: 180 MB of activations for so many in the widest layer."""


@dataclass(frozen=True)
class Weights:
    """Where a feature network's weights may come from."""

    path: Path | None = None
    """The file; None: the one of the environment variable, else torch's cache."""
    download: bool = False
    """Whether to fetch the public file into torch's cache where it is not there."""


@dataclass(frozen=True)
class PublicFile:
    """A file of weights that everybody has the same of."""

    url: str
    sha256: str
    """Of the file; the first digits where no more are published."""
    other_names: tuple[str, ...] = ()
    """Under which torch's cache may have it as well."""

    @property
    def names(self) -> tuple[str, ...]:
        return (self.url.rsplit("/", 1)[-1], *self.other_names)


@dataclass(frozen=True)
class PublicNetwork:
    """One of torch-fidelity's feature networks."""

    layers: tuple[str, ...]
    """What it is asked for: features, and logits where it has a classifier."""
    build: Callable[[str, tuple[str, ...], Weights, bool], tuple[nn.Module, str | None]]
    """``(name, layers, weights, check_hash)`` -> the network, and its fingerprint where the weights do not give it."""


def public_extractor(name: str, weights: Weights | None = None, *, check_hash: bool = True) -> Extractor:
    """The extractor of one of `PUBLIC`; it takes uint8 images of any size, grey ones repeated to three channels.

    Args:
        check_hash: False takes any file of the right names and shapes. For tests: then it is not that network.

    Raises:
        UserError: no weights, or others than the public ones.
    """
    network = PUBLIC[name]
    with _quiet(), torch.random.fork_rng(devices=[]):
        module, fingerprint = network.build(name, network.layers, weights or Weights(), check_hash)
        return extractor_of(
            name, module, None, fingerprint=fingerprint, prepare=as_rgb, batch=BATCH, standard=name == INCEPTION
        )


def as_rgb(images: Tensor) -> Tensor:
    """uint8 images with three channels. Raises ValueError for other than one or three."""
    if images.shape[1] == 3:
        return images
    if images.shape[1] != 1:
        raise ValueError(f"images of 1 or 3 channels expected, found {images.shape[1]}")
    return images.repeat(1, 3, 1, 1)


def find_file(name: str, public: PublicFile, weights: Weights) -> Path:
    """The file of weights: what the user names, what torch's cache has, or what is downloaded on request.

    Raises:
        UserError: there is none, and how to get it.
    """
    named = weights.path or (Path(os.environ[ENVIRONMENT]) if os.environ.get(ENVIRONMENT) else None)
    if named is not None:
        return named
    cache = Path(torch.hub.get_dir()) / "checkpoints"
    cached = [cache / file for file in public.names if (cache / file).is_file()]
    if cached:
        return cached[0]
    target = cache / public.names[0]
    if not weights.download:
        raise UserError(
            f"quality.extractor: {name!r} needs {public.names[0]}, which is not in {cache}. Say where it is "
            f"(quality.extractor_weights, or {ENVIRONMENT}), or allow the download with quality.download = true "
            f"({public.url})."
        )
    try:
        cache.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(public.url, str(target), hash_prefix=public.sha256, progress=False)
    except (OSError, URLError, RuntimeError) as error:
        raise UserError(f"quality.extractor: {public.url} could not be downloaded to {target} ({error}).") from error
    return target


def read_checked(path: Path, public: PublicFile, check_hash: bool) -> bytes:
    """The file's bytes, read once, so that what was checked is what is loaded. Raises UserError."""
    content = read_bytes(path, WEIGHTS)
    found = hashlib.sha256(content).hexdigest()
    if check_hash and not found.startswith(public.sha256):
        raise UserError(
            f"{path}: is not the public file {public.names[0]}: its SHA-256 is {found[:16]}..., expected "
            f"{public.sha256[:16]}. With other weights the numbers would not be comparable; get it from {public.url}."
        )
    return content


def state_of(content: bytes, place: str) -> dict[str, Tensor]:
    """The state dict in a file of torch.save; whatever is more than tensors is refused unopened. Raises UserError."""
    try:
        state = read_torch(content)
    except NoTensors as error:
        raise UserError(f"{place}: not a state dict of torch.save, or damaged ({in_short(error)}).") from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise UserError(f"{place}: holds {type(state).__name__}, expected a state dict of tensors only.")
    return state


INCEPTION = "inception-v3-compat"

INCEPTION_FILE = PublicFile(
    url="https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth",
    sha256="6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
    other_names=("pt_inception-2015-12-05-6726825d.pth",),
)

VGG_FILE = PublicFile(url="https://download.pytorch.org/models/vgg16-397923af.pth", sha256="397923af")


def bare_inception(layers: tuple[str, ...]) -> nn.Module:
    """torch-fidelity's Inception with random weights: it is given an empty file, and skips that."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    class Bare(FeatureExtractorInceptionV3):  # type: ignore[misc]
        def load_state_dict(self, state: Any, *args: Any, **options: Any) -> Any:
            return super().load_state_dict(state, *args, **options) if state else None

    network: nn.Module = Bare(INCEPTION, list(layers), feature_extractor_weights_path=_saved({}))
    return network


def _inception(name: str, layers: tuple[str, ...], weights: Weights, check_hash: bool) -> tuple[nn.Module, str | None]:
    path = find_file(name, INCEPTION_FILE, weights)
    state = state_of(read_checked(path, INCEPTION_FILE, check_hash), str(path))
    return load_into(bare_inception(layers), state, str(path)), None


def _vgg(name: str, layers: tuple[str, ...], weights: Weights, check_hash: bool) -> tuple[nn.Module, str | None]:
    from torch_fidelity.feature_extractor_vgg16 import FeatureExtractorVGG16

    path = find_file(name, VGG_FILE, weights)
    state = state_of(read_checked(path, VGG_FILE, check_hash), str(path))
    try:
        return FeatureExtractorVGG16(name, list(layers), feature_extractor_weights_path=_saved(state)), None
    except RuntimeError as error:  # names and shapes are checked by its strict loading
        raise UserError(f"{path}: {error}") from error


def _clip(name: str, layers: tuple[str, ...], weights: Weights, check_hash: bool) -> tuple[nn.Module, str | None]:
    """A TorchScript archive: it is opened only after its hash was found right, for that format can hold code."""
    from torch_fidelity.feature_extractor_clip import MODEL_METADATA, MODEL_URLS, FeatureExtractorCLIP

    digest = MODEL_METADATA[name]["hash"]
    file = PublicFile(MODEL_URLS[name], digest, (f"{name}-{digest}.pt",))
    content = read_checked(find_file(name, file, weights), file, check_hash=True)
    network = FeatureExtractorCLIP(name, list(layers), feature_extractor_weights_path=io.BytesIO(content))
    return network.eval(), None


def _dino(name: str, layers: tuple[str, ...], weights: Weights, check_hash: bool) -> tuple[nn.Module, str | None]:
    """Comes from torch.hub with code of its own, so only on request; torch-fidelity takes no file for it."""
    from torch_fidelity.feature_extractor_dinov2 import FeatureExtractorDinoV2

    if not weights.download:
        raise UserError(
            f"quality.extractor: {name!r} is loaded by torch.hub, which runs code of facebookresearch/dinov2. "
            "Allow it with quality.download = true."
        )
    network = FeatureExtractorDinoV2(name, list(layers))
    return network, state_hash(network.state_dict())


def _saved(state: dict[str, Tensor]) -> io.BytesIO:
    """A file of torch.save that holds ``state`` and nothing else, for constructors that open files by themselves."""
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return file


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


PUBLIC: dict[str, PublicNetwork] = {
    INCEPTION: PublicNetwork(("2048", "logits_unbiased"), _inception),
    "vgg16": PublicNetwork(("fc2_relu",), _vgg),
    **{
        f"clip-{kind}": PublicNetwork(("clip",), _clip)
        for kind in ("rn50", "rn101", "rn50x4", "rn50x16", "rn50x64", "vit-b-32", "vit-b-16", "vit-l-14")
    },
    **{f"dinov2-vit-{size}-14": PublicNetwork(("dinov2",), _dino) for size in "sblg"},
}
"""By torch-fidelity's names."""
