"""Reading a user's checkpoint: which state dict of the file, under which names, and what would make it fit."""

from __future__ import annotations

import itertools
import re
import zipfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from bench.base.errors import UserError
from bench.base.outside import Unreadable, check_regular, there
from bench.base.printable import one_line, shortened
from bench.workloads import translating
from bench.workloads.renaming import BadPattern, renamed
from bench.workloads.spec import CheckpointSpec
from bench.workloads.torchfiles import NoTensors, Refused, in_short, read_torch
from bench.workloads.translating import is_extra, tensors_only, without_masks

LISTED = 6
"""How many names of each kind a message lists."""

MOST_PREFIXES = 20
"""So many are tried for a suggestion."""

MOST_TRIED = 100
"""Names by which a prefix is looked for."""

MOST_PLACES = 100_000
"""Entries of a file that are looked at: a pickle of some kilobytes can name itself without end."""

COUNTERS = ".num_batches_tracked"
"""Files of old PyTorch versions lack this buffer of BatchNorm; no output depends on it."""

NVIDIA = {
    b"dnnlib.tflib": (
        "convert_weight.py of the PyTorch port rosinality/stylegan2-pytorch writes a .pt whose entry 'g_ema' fits the "
        "factory bench.workloads.public.stylegan2:Generator."
    ),
    b"torch_utils.persistence": (
        "in the repository that it came from, load it and save the tensors of its 'G_ema', "
        "safetensors.torch.save_file(G_ema.state_dict(), 'generator.safetensors'). They have NVIDIA's names: the "
        "factory is NVIDIA's network. Files of a converter to the names of rosinality/stylegan2-pytorch (entry "
        "'g_ema') fit bench.workloads.public.stylegan2:Generator."
    ),
}
"""A module of StyleGAN's official code, in TensorFlow and in PyTorch, that its pickles name before anything else ->
how such a file is converted."""

PICKLE = b"\x80"
"""The first byte of every pickle of protocol 2 or later."""

HEAD = 4096

State = dict[str, Tensor]


def load_checkpoint_file(module: nn.Module, spec: CheckpointSpec, path: Path, here: str) -> nn.Module:
    """As `_loaded`, the place of a pattern that does not end said too."""
    try:
        return _loaded(module, spec, path, here)
    except BadPattern as error:
        raise UserError(f"{here}: {path}: {error}") from error


def _loaded(module: nn.Module, spec: CheckpointSpec, path: Path, here: str) -> nn.Module:
    """Load what ``spec`` says of ``path`` into ``module``, floats converted to the module's type.

    Raises:
        UserError: an unreadable file, or one that holds more than tensors; names or shapes that do not fit, all
            kinds listed, with what would make them fit.
    """
    content = read_file(path, here)
    own = module.state_dict()
    entry, state = chosen_entry(content, spec, own, path, here)
    where = f"{here}: {path}" + (f", entry {entry!r}" if entry else "")
    renamed = rename(state, spec)
    if not renamed:
        raise UserError(f"{where}: no name begins with prefix {spec.prefix!r}. The names: {_few(list(state))}.")
    if len(renamed) < sum(name.startswith(spec.prefix) for name in state):
        raise UserError(f"{where}: checkpoint.rename gives two tensors one name. The names: {_few(list(renamed))}.")
    renamed = without_masks(renamed, own)
    renamed |= {name: single(content, place, f"{here}: {path}") for name, place in spec.also.items()}
    buffers = {name for name, _ in module.named_buffers()}
    misfit, error = _load(module, renamed, optional=None if spec.strict else buffers)
    if misfit:
        advice = error or suggestion(own, state, spec, buffers)
        raise UserError(f"{where} does not fit {type(module).__name__}.\n{misfit.text(advice)}")
    if error:
        raise UserError(f"{where} cannot be loaded into {type(module).__name__}: {error}")
    parameters = dict(module.named_parameters())
    broken = [n for n, x in module.state_dict().items() if (n in parameters or n in renamed) and not _finite(x)]
    if broken:
        raise UserError(f"{where}: holds values that are not finite in {_few(broken)}.")
    return module


def _load(module: nn.Module, state: State, optional: Collection[str] | None) -> tuple[Misfit, str]:
    """Load as PyTorch does, by the module's own hooks; what does not fit after that, and what was raised."""
    found = translating.load(module, state)
    if found.error:
        misfit = compare(module.state_dict(), state, optional)
        return misfit, "" if misfit.shapes else found.error
    missing = (name for name in found.missing if name not in (optional or ()) and not name.endswith(COUNTERS))
    return Misfit(tuple(missing), found.unexpected if optional is None else (), ()), ""


def read_file(path: Path, here: str) -> Any:
    """What is in a file of safetensors, or of torch.save read with ``weights_only=True``. Raises UserError."""
    if not there(path):
        raise UserError(f"{here}: no file {path}. Relative names start at the folder of the experiment's file.")
    try:
        return _content(path, here)
    except Unreadable as error:
        raise UserError(f"{here}: {error}") from error


def _content(path: Path, here: str) -> Any:
    check_regular(path)
    if (advice := _of_nvidia(path)) is not None:
        raise UserError(
            f"{here}: {path} is one of NVIDIA's pickles of Python objects. Loading it would run the code in it, so it "
            f"is not opened. Where you trust it, convert it once: {advice}"
        )
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except Exception as error:  # the library's own, and what PyTorch says of types and shapes that cannot be
            raise UserError(f"{here}: {path} is not safetensors, or damaged ({in_short(error)}).") from error
    if _is_torchscript(path):
        raise UserError(
            f"{here}: {path} is a TorchScript archive, which can hold code and is not opened. Save the state dict of "
            "the module instead."
        )
    try:
        return read_torch(path)
    except Refused as error:
        raise UserError(_refused(path, str(error), here)) from error
    except NoTensors as error:
        raise UserError(f"{here}: {path} is not a file of torch.save, or damaged ({error}).") from error


def _is_torchscript(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("/constants.pkl") for name in archive.namelist())
    except Exception:  # noqa: BLE001  (no archive, or one that is read as a damaged file)
        return False


def _of_nvidia(path: Path) -> str | None:
    """How to convert a pickle that only NVIDIA's code can read; None for others. Its bytes are looked at, no more."""
    with path.open("rb") as file:
        head = file.read(HEAD)
    if head[:1] != PICKLE:
        return None
    return next((advice for name, advice in NVIDIA.items() if name in head), None)


def _refused(path: Path, reason: str, here: str) -> str:
    """Why a pickle was not opened, and the way around it."""
    found = re.search(r"GLOBAL ([\w.]{1,200})", reason)
    what = f"an object of {found[1]}" if found else "something that is no tensor, number, text or container of these"
    return (
        f"{here}: {path} holds {what}. Loading it would run code, so it is not opened. Where you trust it: load it "
        "yourself, in the repository that it came from, and save the tensors: "
        "safetensors.torch.save_file(generator.state_dict(), 'generator.safetensors')."
    )


def chosen_entry(
    content: Any, spec: CheckpointSpec, own: Mapping[str, Tensor], path: Path, here: str
) -> tuple[str, State]:
    """The state dict that is meant, and its place in the file ('' for the file itself)."""
    found = entries(content)
    if spec.entry is not None:
        if spec.entry not in found:
            raise UserError(f"{here}: {path} has no entry {spec.entry!r}. {_entries(found, own, spec)}")
        return spec.entry, found[spec.entry]
    wanted = {name: state for name, state in found.items() if spec.ema in (None, "ema" in name.lower())}
    if len(wanted) == 1:
        return next(iter(wanted.items()))
    if not found:
        raise UserError(f"{here}: {path} holds no state dict, but {type(content).__name__}.")
    raise UserError(
        f"{here}: {path}: say which state dict is meant, with checkpoint.entry. {_entries(found, own, spec)}"
    )


def entries(content: Any) -> dict[str, State]:
    """Every state dict (a table of tensors alone) in a file, by its dotted place."""
    found: dict[str, State] = {}
    waiting, looked = [("", content, 0)], 0
    while waiting and looked < MOST_PLACES:
        at, here, depth = waiting.pop()
        if not isinstance(here, Mapping):
            continue
        looked += len(here)
        # A module's state dict may carry scalars beside its tensors; what is mostly no tensors is a container.
        tensors = {name: value for name, value in tensors_only(_named(here)).items() if _is_plain(value)}
        if tensors and len(tensors) == sum(not is_extra(str(key)) for key in here):
            found[at] = tensors
        elif depth < 3:
            inner = [(f"{at}.{key}" if at else str(key), value, depth + 1) for key, value in here.items()]
            waiting += reversed(inner)
    return found


def _named(table: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(key): value for key, value in table.items()}


def _is_plain(value: object) -> bool:
    """Whether it is a tensor with a number at every place: not sparse, quantised, nested or without memory."""
    return (
        isinstance(value, Tensor)
        and value.layout == torch.strided
        and not (value.is_quantized or value.is_nested or value.is_meta)
    )


def rename(state: Mapping[str, Tensor], spec: CheckpointSpec) -> State:
    """The names without ``prefix`` (others left out), changed as ``rename`` says, with ``add_prefix``.

    Raises:
        BadPattern: a pattern that does not come to an end.
    """
    taken = [name for name in state if name.startswith(spec.prefix)]
    names = renamed([name[len(spec.prefix) :] for name in taken], spec.rename)
    return {spec.add_prefix + new: state[name] for name, new in zip(taken, names, strict=True)}


def single(content: Any, place: str, where: str) -> Tensor:
    """The tensor at a dotted place of a file. Raises UserError."""
    found = content
    for key in place.split("."):
        found = found.get(key) if isinstance(found, Mapping) else None
    if not isinstance(found, Tensor) or not _is_plain(found):
        held = content.items() if isinstance(content, Mapping) else ()
        there = [str(key) for key, value in held if isinstance(value, Tensor)]
        raise UserError(
            f"{where} has no tensor {place!r}, which checkpoint.also asks for. Outside of its state dicts it holds "
            f"{_few(there) if there else 'no tensor'}."
        )
    return found


@dataclass(frozen=True)
class Misfit:
    """What keeps a state dict from fitting a network."""

    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    shapes: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.missing or self.unexpected or self.shapes)

    def text(self, advice: str) -> str:
        """One line a kind, the first few names of each, and the advice."""
        lines = [
            f"  {len(names)} {kind}: {_few(names)}"
            for kind, names in (
                ("missing in the file", self.missing),
                ("unexpected in the file", self.unexpected),
                ("of another shape", self.shapes),
            )
            if names
        ]
        return "\n".join([*lines, f"  {advice}" if advice else ""]).rstrip()


def compare(own: Mapping[str, Tensor], state: Mapping[str, Tensor], optional: Collection[str] | None = None) -> Misfit:
    """What of ``state`` does not fit a network whose own state dict is ``own``.

    Args:
        optional: names that may be missing; with it, names that the network does not have are fine as well.
    """
    skipped = optional or ()
    return Misfit(
        tuple(name for name in own if name not in state and name not in skipped and not name.endswith(COUNTERS)),
        tuple(name for name in state if name not in own) if optional is None else (),
        tuple(
            f"{name} {tuple(state[name].shape)}, the network has {tuple(tensor.shape)}"
            for name, tensor in own.items()
            if name in state and state[name].shape != tensor.shape
        ),
    )


def suggestion(
    own: Mapping[str, Tensor], state: Mapping[str, Tensor], spec: CheckpointSpec, buffers: Collection[str] = ()
) -> str:
    """A change of the spec that makes every name fit, in words; empty: none was found.

    Args:
        buffers: names in the network that `strict = false` lets a file lack.
    """
    for optional, besides in ((None, ""), (buffers, " together with checkpoint.strict = false")):
        for prefix in _prefixes(state, own):
            tried = rename(state, spec.model_copy(update={"prefix": prefix, "add_prefix": ""}))
            if tried and not compare(own, tried, optional):
                return f"Strip it: checkpoint.prefix = {prefix!r}{besides} makes all names fit."
        for prefix in _prefixes(own, state):
            tried = rename(state, spec.model_copy(update={"prefix": "", "add_prefix": prefix}))
            if not compare(own, tried, optional):
                return f"Add it: checkpoint.add_prefix = {prefix!r}{besides} makes all names fit."
        if optional is None and (advice := _of_misfit(own, rename(state, spec), buffers)):
            return advice
    return ""


def _of_misfit(own: Mapping[str, Tensor], renamed: Mapping[str, Tensor], buffers: Collection[str]) -> str:
    """What makes names fit that need no prefix."""
    misfit = compare(own, renamed)
    if misfit.shapes and not misfit.missing and not misfit.unexpected:
        return "The names fit and the sizes do not: other arguments of the factory (widths, classes)?"
    if misfit.unexpected and not misfit.missing and not misfit.shapes:
        return "All that the network needs is there: checkpoint.strict = false leaves the rest out."
    shared = any(name in renamed for name in own)
    if shared and misfit.missing and not misfit.shapes and set(misfit.missing) <= set(buffers):
        rest = " and leaves out what it does not have" if misfit.unexpected else ""
        return (
            "Only buffers are missing, no parameter: with checkpoint.strict = false the network keeps those that its "
            f"factory made{rest}."
        )
    return ""


def _prefixes(longer: Mapping[str, Tensor], shorter: Mapping[str, Tensor]) -> list[str]:
    """What could stand before the names of ``shorter`` in ``longer``: seen at the first name that is in both."""
    for first in itertools.islice(shorter, MOST_TRIED):
        if found := sorted({name[: -len(first)] for name in longer if name.endswith(first) and name != first}):
            return found[:MOST_PREFIXES]
    return []


def _entries(found: Mapping[str, State], own: Mapping[str, Tensor], spec: CheckpointSpec) -> str:
    """The state dicts in a file in words, those that fit marked."""
    if not found:
        return "It holds no state dict."
    words = []
    for name, state in list(found.items())[:12]:
        fits = " and fits" if not compare(own, rename(state, spec)) else ""
        words.append(f"{shortened(name, 100) or '(the file itself)'!r} ({len(state)} tensors{fits})")
    return f"It holds {', '.join(words)}."


def _finite(tensor: Tensor) -> bool:
    return not tensor.is_floating_point() or bool(torch.isfinite(tensor.float()).all())


def _few(names: list[str] | tuple[str, ...]) -> str:
    more = f", and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(shortened(one_line(name), 200) for name in names[:LISTED]) + more
