"""Which training of a workload: finding, reading and checking its weights."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bench.base.batchnorm import recalibrate
from bench.base.errors import UserError
from bench.base.outside import read_json, there
from bench.base.printable import shortened
from bench.base.seeds import derive, stream
from bench.workloads.base import Workload
from bench.workloads.store import load_into, read_weights, state_hash
from strategies.baking import plain

SHIPPED = "shipped"
"""The name of the checkpoint that comes with the package, or with a table of the user's. ``seed-K`` is a further
training that comes with the package, where it does (`further`); any other name is a folder of `ganprune train`, in
which ``{workload}`` stands for the workload's name, or a file for a workload of the user's."""

REWIND = ("rewind-generator", "rewind-discriminator")

PARTS = ("generator", "discriminator", *REWIND)


class NoEarlierState(UserError):
    """The networks as they were earlier in their training cannot be had here."""


@dataclass(frozen=True)
class Checkpoint:
    """The trained networks of a workload, in eval mode, and what identifies them."""

    name: str
    generator: nn.Module
    discriminator: nn.Module | None
    fingerprint: str
    """Hash of both networks' weights: part of every key."""
    card: dict[str, Any]


def shipped_folder(name: str) -> Path:
    """Where the package keeps the weights of ``name``."""
    return Path(__file__).parent / "weights" / name


def further(name: str) -> list[str]:
    """``seed-K`` of each further training of the workload ``name`` that comes with the package, by seed."""
    found = (re.fullmatch(r"seed-(\d+)", path.name) for path in shipped_folder(name).glob("seed-*"))
    return [match[0] for match in sorted(filter(None, found), key=lambda match: int(match[1]))]


def initialise(workload: Workload, seed: int) -> tuple[nn.Module, nn.Module | None]:
    """The untrained networks of a training with ``seed``: the same call that `ganprune train` starts from."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, "train", "init"))
        generator = workload.generator()
        discriminator = workload.discriminator() if workload.discriminator else None
    return generator, discriminator


def load_checkpoint(workload: Workload, name: str = SHIPPED) -> Checkpoint:
    """The trained generator and discriminator of ``workload``, checked against their card.

    The generator's weights are plain parameters: spectral norm and its like are baked in here, once, so that dense
    and pruned start from the same network and masks hold. The discriminator keeps what normalises its weights.

    Raises:
        UserError: a missing, damaged or foreign file; weights that are not those of the card.
    """
    if workload.own is not None and (name == SHIPPED or Path(name).is_file()):
        networks = workload.own.load(None if name == SHIPPED else Path(name).absolute())
        return _checkpoint(name, *networks, {})
    if workload.weights == "initialisation" and name == SHIPPED:
        generator, discriminator = initialise(workload, 0)
        recalibrate(generator, [workload.inputs.sample(500, stream(0, "calibrate", "init"))])
        return _checkpoint(name, generator, discriminator, {"seed": 0, "steps": 0})
    folder = _folder(workload, name)
    card = _card(folder, workload)
    generator, discriminator = initialise(workload, 0)
    load_into(generator, _checked(folder, "generator", card), str(folder / "generator.safetensors"))
    if discriminator is not None:
        state = _checked(folder, "discriminator", card)
        load_into(discriminator, state, str(folder / "discriminator.safetensors"))
    return _checkpoint(name, generator, discriminator, card)


def load_rewind(workload: Workload, name: str = SHIPPED) -> tuple[nn.Module, nn.Module]:
    """G and D early in the training (see `Recipe.rewind_share`), for strategies that rewind.

    Raises:
        NoEarlierState: no snapshot was kept, as with further trainings that come with the package.
    """
    folder = _folder(workload, name)
    card = _card(folder, workload)
    generator, discriminator = initialise(workload, 0)
    if discriminator is None:
        raise UserError(f"workload {workload.name!r} has no discriminator to rewind.")
    if not any(there(folder / f"{part}.safetensors") for part in REWIND):
        raise NoEarlierState(
            f"checkpoint {name!r} of workload {workload.name!r} is kept without the snapshot from early in its "
            "training; rewinding to it is not possible"
        )
    for part, network in zip(REWIND, (generator, discriminator), strict=True):
        load_into(network, _checked(folder, part, card), str(folder / f"{part}.safetensors"))
    return plain(generator), discriminator


def load_initialisation(workload: Workload, name: str = SHIPPED) -> tuple[nn.Module, nn.Module | None]:
    """G and D as they were before the first step, regenerated from the card's seed and checked by hash.

    Raises:
        NoEarlierState: this version of torch, or this machine, draws another initialisation from that seed.
    """
    card = load_checkpoint(workload, name).card
    generator, discriminator = initialise(workload, int(card["seed"]))
    expected = card.get("initialisation")
    found = state_hash(generator.state_dict())
    if expected is not None and found != expected:
        raise NoEarlierState(
            f"workload {workload.name!r}: torch {torch.__version__} draws another initialisation from seed "
            f"{card['seed']} than torch {card.get('torch')} did; rewinding to it is not possible here."
        )
    return plain(generator), discriminator


def _folder(workload: Workload, name: str) -> Path:
    if workload.own is not None:
        raise UserError(
            f"checkpoint {name!r} of workload {workload.name!r}: no such file. Its own is called 'shipped'; another "
            "one is a file that is read as its checkpoint table says."
        )
    if workload.weights == "none" and name == SHIPPED:
        raise UserError(
            f"workload {workload.name!r} comes without weights. Train it on your images, `ganprune train "
            f'{workload.name} --data FOLDER --out DIR`, and write checkpoints = ["DIR"] (--checkpoint DIR).'
        )
    there_are = further(workload.name)
    if name == SHIPPED or name in there_are:
        folder = shipped_folder(workload.name) / ("" if name == SHIPPED else name)
    else:
        folder = Path(name.replace("{workload}", workload.name))
    if not folder.is_dir():
        names = ", ".join(f"'{one}'" for one in (SHIPPED, *there_are))
        raise UserError(
            f"checkpoint {name!r} of workload {workload.name!r}: no folder {folder}. "
            f"Use {names}, or make one with `ganprune train {workload.name} --out {folder}`."
        )
    return folder


def _card(folder: Path, workload: Workload) -> dict[str, Any]:
    place = folder / "card.json"
    card = read_json(place)
    if not isinstance(card, dict) or card.get("workload") != workload.name:
        found = card.get("workload") if isinstance(card, dict) else type(card).__name__
        raise UserError(f"{place}: describes {shortened(repr(found), 120)}, expected a training of {workload.name!r}.")
    if not isinstance(card.get("hashes"), dict):
        raise UserError(f"{place}: has no table of hashes; it is not a card of `ganprune train`, or damaged.")
    seed = card.get("seed")
    if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
        raise UserError(f"{place}: has no seed; it is not a card of `ganprune train`, or damaged.")
    return card


def _checked(folder: Path, part: str, card: dict[str, Any]) -> dict[str, Tensor]:
    path = folder / f"{part}.safetensors"
    state = read_weights(path)
    expected = card.get("hashes", {}).get(part)
    found = state_hash(state)
    if found != expected:
        raise UserError(
            f"{path}: its content hash is {found[:12]}, the card beside it says {shortened(str(expected), 12)}. "
            "Damaged or exchanged; take the file again from where it came, or train anew."
        )
    return state


def _checkpoint(name: str, generator: nn.Module, discriminator: nn.Module | None, card: dict[str, Any]) -> Checkpoint:
    generator = plain(generator.eval())
    state = {f"generator.{key}": value for key, value in generator.state_dict().items()}
    if discriminator is not None:
        state |= {f"discriminator.{key}": value for key, value in discriminator.state_dict().items()}
        discriminator.eval()
    return Checkpoint(name, generator, discriminator, state_hash(state), card)
