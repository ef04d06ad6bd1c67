"""A workload of the user's own: from its table to a `Workload` that the rest of the benchmark knows no different.

Nothing of the user's is imported or read before it is needed. Worker processes are given the table and build the
workload anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from bench.base.code import tree_hash
from bench.base.containment import contained
from bench.base.errors import UserError
from bench.base.limits import A_CALL
from bench.base.process import unchanged
from bench.base.raised import in_words
from bench.base.seeds import derive, stream
from bench.base.source import source_text
from bench.workloads.data import ImageData
from bench.workloads.factories import find_function, find_module, source_closure
from bench.workloads.outputs import adapt_discriminator, adapt_generator, is_adapted, picked
from bench.workloads.prepare import is_unmaterialised, materialise, prepared
from bench.workloads.reading import load_checkpoint_file
from bench.workloads.references import cached_images, read_reference
from bench.workloads.sampling import Inputs
from bench.workloads.spec import TORCHVISION, WorkloadSpec, flat
from strategies.baking import plain

ImageShape = tuple[int, int, int]

OUT_OF_RANGE = 0.5
"""With a larger share of values outside of the stated range, the range is wrong, not the generator unbounded."""

SAME = 1e-4
"""Largest difference, in units of the image range, between outputs that count as the same."""

NOT_REPEATING = (
    "the same inputs give other images the second time: the generator draws random numbers while it runs, or changes "
    "itself. Numbers will not repeat, and channels cannot be verified. Feed the noise as an input of kind 'fixed' or "
    "'normal' instead."
)

SLACK = 0.02
"""Of the range's width: what may lie outside unnoticed."""


@dataclass(frozen=True)
class Own:
    """What only the user's workloads have."""

    spec: WorkloadSpec

    def here(self, key: str = "") -> str:
        """``workload 'faces', checkpoint``: the place, for messages."""
        return f"workload {self.spec.name!r}" + (f", {key}" if key else "")

    def generator(self) -> nn.Module:
        """The generator as the factory makes it, with what reads images out of its output."""
        return adapt_generator(self.network(), self.spec.output)

    def network(self) -> nn.Module:
        """The generator as the factory makes it, which returns what it returns."""
        spec = self.spec
        module = self._made(spec.factory, spec.arguments, "factory")
        if is_unmaterialised(module):
            materialise(module, self.probe(2), self.here(f"factory {spec.factory!r}"))
        return module

    def discriminator(self) -> nn.Module:
        """The discriminator as its factory makes it, taking images in [-1, 1] and giving logits."""
        spec = self.spec.discriminator
        assert spec is not None
        module = self._made(spec.factory, spec.arguments, "discriminator.factory")
        adapted = adapt_discriminator(module, spec, self.spec.output)
        if is_unmaterialised(module):
            images = self.images_of(self.generator(), 2)
            labels = tuple(x for x, part in zip(self.probe(2), self.spec.inputs, strict=True) if part.kind == "labels")
            given = (images, *(labels if spec.labels else ()))
            materialise(adapted, given, self.here(f"discriminator.factory {spec.factory!r}"))
        return adapted

    def probe(self, count: int) -> tuple[Tensor, ...]:
        """Inputs to try the generator with, the same at every call."""
        return Inputs(self.spec).sample(count, stream(0, "eval", "probe"))

    def _made(self, factory: str, arguments: dict[str, Any], key: str) -> nn.Module:
        here = self.here(f"{key} {factory!r}")
        with contained(here, A_CALL), unchanged(here):
            make = find_function(factory, Path(self.spec.folder), here)
            try:
                module = make(**arguments)
            except Exception as error:
                raise UserError(f"{here}: fails: {in_words(error)}{cuda_hint(error)}") from error
        if not isinstance(module, nn.Module):
            raise UserError(f"{here}: returned {type(module).__name__}, expected a torch.nn.Module.")
        module = prepared(module, here)
        if is_adapted(module):
            raise UserError(
                f"{here}: gives the same module again. It is called several times, and what is trained or pruned of "
                "one must not change another: make a new one at every call."
            )
        return module

    def _import(self) -> list[ModuleType]:
        """The modules of the factories, the generator's first. Raises UserError."""
        spec, found = self.spec, []
        judge = [("discriminator.factory", spec.discriminator.factory)] if spec.discriminator else []
        for key, factory in [("factory", spec.factory), *judge]:
            here = self.here(f"{key} {factory!r}")
            with unchanged(here), torch.random.fork_rng(devices=[]):
                found.append(find_module(factory, Path(spec.folder), here))
        return found

    @cached_property
    def code(self) -> str:
        """Hash of the source that defines the networks and of the factories' arguments.

        The syntax trees count, without docstrings and comments: of the factory's file and of all of its package,
        or beside it, that it imports.
        """
        spec = self.spec
        parts = [("factory", spec.factory, spec.arguments)]
        if spec.discriminator is not None:
            parts.append(("discriminator", spec.discriminator.factory, spec.discriminator.arguments))
        said: list[Any] = [flat(spec.output)]
        for (_, factory, arguments), module in zip(parts, self._import(), strict=True):
            trees = [_tree(path) for path in source_closure(module)]
            said.append([factory.rpartition(":")[2], arguments, trees])
        if spec.discriminator is not None:
            plain = spec.discriminator.model_dump(mode="json", exclude_defaults=True, exclude={"checkpoint", "factory"})
            said.append(plain)
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()

    def load(self, file: Path | None = None) -> tuple[nn.Module, nn.Module | None]:
        """The trained networks; ``file`` replaces the generator's checkpoint. Raises UserError.

        The generator's weights are plain: normalisation before each forward pass (spectral norm) is baked in, here
        and once, for dense and pruned alike. The discriminator keeps its own.
        """
        spec = self.spec
        self._import()  # what is drawn while a file is imported must not shift what its factory draws
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive(0, "train", "init"))
            generator = self.generator()
            discriminator = self.discriminator() if spec.discriminator else None
        if file is not None and spec.checkpoint is None:
            raise UserError(f"{self.here()}: has no checkpoint table that would say how to read {file}.")
        if spec.checkpoint is not None:
            path = file or spec.at(spec.checkpoint.file)
            load_checkpoint_file(generator, spec.checkpoint, path, self.here("checkpoint"))
        if discriminator is not None and spec.discriminator and (said := spec.discriminator.checkpoint):
            load_checkpoint_file(discriminator, said, spec.at(said.file), self.here("discriminator.checkpoint"))
        try:
            return plain(generator.eval()), discriminator.eval() if discriminator else None
        except Exception as error:
            raise UserError(f"{self.here()}: its weights cannot be made plain: {in_words(error)}") from error

    def image_shape(self, generator: nn.Module) -> ImageShape:
        """What one forward pass of two images gives: ``(channels, height, width)``.

        Raises:
            UserError: it fails, gives no images, or values that cannot be images of the stated range.
        """
        images = self.images_of(generator, 2)
        if not torch.isfinite(images).all():
            raise UserError(
                f"{self.here()}: the dense generator's output is not finite. Another checkpoint, or other inputs?"
            )
        outside = float(((images < -1 - 2 * SLACK) | (images > 1 + 2 * SLACK)).float().mean())
        if outside > OUT_OF_RANGE:
            low, high = self.spec.output.range
            values = (images + 1) / 2 * (high - low) + low
            raise UserError(
                f"{self.here('output.range')}: {outside:.0%} of the values lie outside [{low:g}, {high:g}]: they "
                f"go from {float(values.min()):.3g} to {float(values.max()):.3g}. Say what black and white are, "
                "such as output.range = [0, 255]."
            )
        channels, height, width = images.shape[1:]
        return channels, height, width

    def images_of(self, generator: nn.Module, count: int) -> Tensor:
        """Images of ``count`` inputs, as the benchmark will see them. Raises UserError."""
        inputs = self.probe(count)
        given = described(inputs)
        with torch.inference_mode(), self.running(f"the generator fails on inputs {given}"):
            images = picked(generator.eval()(*inputs), None, "the generator", "output.pick")
        if images.dtype == torch.bool or images.is_complex() or images.layout != torch.strided or images.is_meta:
            dense = images.layout == torch.strided
            kind = "meta" if images.is_meta else str(images.dtype if dense else images.layout).removeprefix("torch.")
            raise UserError(f"{self.here('output')}: the generator makes {kind} values of {given}; expected floats.")
        if images.ndim != 4 or len(images) != count:
            raise UserError(
                f"{self.here('output')}: the generator makes {tuple(images.shape)} of inputs {given}; expected "
                f"({count}, channels, height, width). Flat images: output.shape = [channels, height, width]."
            )
        if images.shape[1] not in (1, 3):
            hint = " It looks like layout = 'nhwc'." if images.shape[3] in (1, 3) else ""
            raise UserError(
                f"{self.here('output')}: images of {images.shape[1]} channels, {tuple(images.shape)}; expected 1 "
                f"(grey) or 3 (colour).{hint} output.channels takes the first so many."
            )
        return images

    def repeats(self, generator: nn.Module) -> bool:
        """Whether the same inputs give the same images a second time. Raises UserError."""
        first, second = (self.images_of(generator, 4).float() for _ in range(2))
        return first.shape == second.shape and float((first - second).abs().max()) <= SAME

    @contextlib.contextmanager
    def running(self, what: str) -> Iterator[None]:
        """Where the user's networks run: what they raise, and what they change of the process, is a UserError."""
        try:
            with contained(self.here("a forward pass"), A_CALL), unchanged(self.here("a forward pass")):
                yield
        except UserError:
            raise
        except Exception as error:
            raise UserError(f"{self.here()}: {what}: {in_words(error)}{cuda_hint(error)}") from error

    def images(self, generator: nn.Module, fingerprint: str) -> ImageData:
        """The reference for images of the generator's size. Raises UserError."""
        spec = self.spec
        shape = self.image_shape(generator)
        said = spec.reference
        path = spec.at((said.root or ".") if said.source.startswith(TORCHVISION) else said.source)

        def dense(count: int) -> tuple[Tensor, Tensor, str]:
            from bench.workloads.generate import generate

            identity = json.dumps([fingerprint, self.code, Inputs(spec).identity], sort_keys=True)
            # A stream of its own: evaluation draws from ("eval",) alone.
            inputs = Inputs(spec).sample(count, stream(0, "eval", "reference"))

            def draw() -> Tensor:
                with self.running(f"the generator fails on {count} inputs, drawn as its reference"):
                    return generate(generator, inputs)[0]

            return cached_images(identity, count, draw), self._labels(inputs), identity

        return read_reference(spec.reference, path, shape, self.here("reference"), dense)

    def _labels(self, inputs: tuple[Tensor, ...]) -> Tensor:
        """The classes that a conditional generator was given, int64 ``(N,)``; zeros where it was given none."""
        places = [i for i, part in enumerate(self.spec.inputs) if part.kind == "labels"]
        if len(places) != 1:
            return torch.zeros(len(inputs[0]), dtype=torch.int64)
        given = inputs[places[0]]
        return given.argmax(1) if given.ndim == 2 else given

    def extractor_name(self) -> str:
        """The extractor with a file's name made absolute."""
        place, colon, function = self.spec.extractor.rpartition(":")
        return f"{self.spec.at(place).absolute()}{colon}{function}" if place.endswith(".py") else self.spec.extractor

    def classifier_images(self, shape: ImageShape, data: ImageData) -> ImageData:
        """The labelled images of ``auto:classifier``: those of ``extractor_images``, else the reference."""
        from bench.workloads.data import split_by_hash
        from bench.workloads.images import read_folder

        spec = self.spec
        if spec.extractor_images is None:
            return data
        here = self.here("extractor_images")
        folder = read_folder(spec.at(spec.extractor_images), shape, resize=True, here=here)
        labelled = split_by_hash(spec.at(spec.extractor_images).name, folder.images, folder.labels)
        return replace(labelled, classes=folder.classes, notes=folder.notes)


def described(inputs: tuple[Tensor, ...]) -> str:
    """``float32 (2, 100), int64 (2,)``."""
    return ", ".join(f"{x.dtype} {tuple(x.shape)}".removeprefix("torch.") for x in inputs)


def _tree(path: Path) -> str:
    """The hash of a file's syntax tree; of its text where the tree is too deep to be walked."""
    text = source_text(path)
    try:
        return tree_hash(text)
    except RecursionError:
        return hashlib.sha256(text.encode()).hexdigest()


def cuda_hint(error: Exception) -> str:
    """What to change where code insists on a GPU."""
    if any(word in in_words(error) for word in ("CUDA", "cuda", "NVIDIA", "same device")):
        return (
            "\n  The code asks for a GPU by itself. Remove .cuda() and device='cuda' from it: the benchmark moves the "
            "network, and new tensors should be made on the device of the input (x.device)."
        )
    return ""
