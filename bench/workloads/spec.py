"""A workload of the user's own, as a ``[[workload]]`` table says it. `docs/bring-your-own-gan.md` explains every key.

Data only: nothing here imports torch, reads a file or runs the user's code.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, model_validator

from bench.base.printable import shortened
from bench.base.ranges import (
    SEEDS,
    arguments,
    at_most,
    number_between,
    path_text,
    shape,
    short_text,
    value_range,
    whole_between,
)
from strategies.registry import SAFE_NAME

FACTORY = re.compile(r"(?:[A-Za-z_][\w.]*|.+\.py):[A-Za-z_]\w*")
"""``module:function`` or ``file.py:function``."""

DENSE_SAMPLES = "dense-samples"
"""The reference that is made of the dense generator's own images."""

TORCHVISION = "torchvision:"
FOLDER = "folder:"

CLASSIFIER = "auto:classifier"
"""The extractor that is trained on the labelled images of the reference."""

MOST_IN_BATCH = 65_536
"""Images in one batch: a memory's worth of the smallest ones."""

T = TypeVar("T")


class Table(BaseModel):
    """A table with a fixed set of keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def _name(value: str) -> str:
    if not SAFE_NAME.fullmatch(value) or ".." in value or len(value) > 100:
        raise ValueError(
            f"{shortened(repr(value), 120)} is not usable in a path: at most 100 letters, digits and + . _ - (no ..), "
            "a letter or digit first."
        )
    return value


def _factory(value: str) -> str:
    if not FACTORY.fullmatch(path_text(value)):
        raise ValueError(f"{shortened(repr(value), 200)} is not 'module:function' or 'file.py:function'.")
    return value


def _not_empty(value: tuple[T, ...]) -> tuple[T, ...]:
    if not value:
        raise ValueError("is empty; at least one is needed.")
    return value


def _place(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | str):
        shown = shortened(repr(value), 60)
        raise ValueError(f"{shown} is neither a place in a tuple (0, 1, ...) nor a key in quotes.")
    return short_text(value) if isinstance(value, str) else whole_between(-100, 100, "a place in a tuple")(value)


def _patterns(value: dict[str, str]) -> dict[str, str]:
    at_most(100, "patterns")(value)
    for pattern, replacement in value.items():
        short_text(pattern), short_text(replacement)
        try:
            groups = re.compile(pattern)
            # What a replacement may name is seen without matching: even on an empty text that can take for ever.
            names = {place: name for name, place in groups.groupindex.items()}
            alike = [f"(?P<{names[i]}>)" if i in names else "()" for i in range(1, groups.groups + 1)]
            re.sub("".join(alike), replacement, "")
        except (re.error, IndexError, OverflowError, RecursionError, MemoryError) as error:
            said = shortened(f"{pattern!r} = {replacement!r}", 200)
            reason = str(error) or "nested too deeply"
            raise ValueError(f"{said} is not a regular expression with what replaces it: {reason}.") from None
    return value


Pick = Annotated[int | str, BeforeValidator(_place)]
Shape = Annotated[tuple[int, ...], Field(strict=False), AfterValidator(shape)]
ImageSize = Annotated[tuple[int, int, int], Field(strict=False), AfterValidator(shape)]
Range = Annotated[tuple[float, float], Field(strict=False), AfterValidator(value_range)]
FactoryName = Annotated[str, AfterValidator(_factory)]
PathText = Annotated[str, AfterValidator(path_text)]
Text = Annotated[str, AfterValidator(short_text)]
Arguments = Annotated[dict[str, JsonValue], AfterValidator(arguments)]
LearningRate = Annotated[float, AfterValidator(number_between(1e-12, 1e3, "a learning rate"))]
Beta = Annotated[float, AfterValidator(number_between(0, 0.999999, "Adam divides by 1 - beta"))]


class InputPart(Table):
    """One input of the generator, without its batch dimension. ``kind`` says which of the other keys count."""

    kind: Literal["normal", "uniform", "truncated", "labels", "images", "fixed"]
    shape: Shape | None = None
    """``[100]``, ``[100, 1, 1]``, ...; of images ``[channels, height, width]``."""
    range: Range = (-1.0, 1.0)
    """Of ``uniform`` noise, and what black and white are in ``images``."""
    bound: Annotated[float, AfterValidator(number_between(0.01, 100, "standard deviations"))] = 2.0
    """``truncated``: a normal distribution without what lies beyond so many standard deviations."""
    scale: Annotated[float, AfterValidator(number_between(1e-6, 1e6, "noise is float32"))] = 1.0
    """Noise is multiplied by it."""
    classes: Annotated[int, AfterValidator(whole_between(2, 10**6, "classes"))] | None = None
    """``labels``: how many there are; each is drawn equally often on average."""
    form: Literal["index", "one-hot"] = "index"
    source: PathText | None = None
    """``images``: the folder."""
    seed: Annotated[int, AfterValidator(whole_between(0, SEEDS))] = 0
    """``fixed``: standard normal noise of that seed, the same for every image, in every cell."""
    value: Annotated[float, AfterValidator(number_between(-1e6, 1e6, "an input of a network"))] | None = None
    """``fixed``: this number everywhere instead."""

    @model_validator(mode="after")
    def _complete(self) -> InputPart:
        needed = {"labels": ["classes"], "images": ["source", "shape"]}.get(self.kind, ["shape"])
        missing = [key for key in needed if getattr(self, key) is None]
        if missing:
            raise ValueError(f"kind {self.kind!r} needs {' and '.join(missing)}.")
        allowed = {
            "normal": {"shape", "scale"},
            "uniform": {"shape", "range", "scale"},
            "truncated": {"shape", "bound", "scale"},
            "labels": {"classes", "form"},
            "images": {"source", "shape", "range"},
            "fixed": {"shape", "seed", "value"},
        }[self.kind]
        said = {key for key, field in type(self).model_fields.items() if getattr(self, key) != field.default}
        foreign = sorted(said - allowed - {"kind"})
        if foreign:
            raise ValueError(f"kind {self.kind!r} has no {foreign[0]!r}; it has {', '.join(sorted(allowed))}.")
        if self.kind == "images" and self.shape is not None and len(self.shape) != 3:
            raise ValueError(f"shape {list(self.shape)} of images: expected [channels, height, width].")
        return self


class OutputSpec(Table):
    """How to read images out of what the generator returns."""

    range: Range = (-1.0, 1.0)
    """The values of black and white."""
    layout: Literal["nchw", "nhwc"] = "nchw"
    pick: Pick | None = None
    """Which of several outputs: a place in a tuple, a key of a dict, or the name of an attribute."""
    shape: ImageSize | None = None
    """``[channels, height, width]`` of an output that comes flat."""
    channels: Annotated[int, AfterValidator(whole_between(1, 4, "grey, colours, alpha"))] | None = None
    """Only the first so many are the image."""


class CheckpointSpec(Table):
    """The trained weights: safetensors, or a file of torch.save that is read with ``weights_only=True``."""

    file: PathText
    entry: Text | None = None
    """Where in the file the state dict is, ``netG_state_dict`` or ``state.g_ema``."""
    ema: bool | None = None
    """Without an entry: take the one with (true) or without (false) ``ema`` in its name."""
    prefix: Text = ""
    """Only names that begin with it count, and without it."""
    add_prefix: Text = ""
    """Put before every name then: for a network that wraps the one that was trained."""
    rename: Annotated[dict[str, str], AfterValidator(_patterns)] = Field(default_factory=dict)
    """Regular expression -> what it is replaced by, in every name that is left, in this order."""
    also: Annotated[dict[Text, Text], AfterValidator(at_most(1000, "tensors"))] = Field(default_factory=dict)
    """Name in the network -> dotted place of a single tensor of the file outside of the state dict."""
    strict: bool = True
    """False: names that the network does not have are left out, and buffers may be missing. Parameters never may."""


def _file_or_table(value: object) -> object:
    return {"file": value} if isinstance(value, str) else value


Weights = Annotated[CheckpointSpec, BeforeValidator(_file_or_table)]


class DiscriminatorSpec(Table):
    """D, for what needs one: it is called on images, and on labels where it says so."""

    factory: FactoryName
    arguments: Arguments = Field(default_factory=dict)
    checkpoint: Weights | None = None
    output: Literal["logits", "probability"] = "logits"
    """``probability``: D ends with a sigmoid."""
    pick: Pick | None = None
    range: Range | None = None
    """Of the images that it takes; None: that of the generator's output."""
    layout: Literal["nchw", "nhwc"] | None = None
    labels: bool = False
    """It takes the generator's labels as a second argument, in the form that the generator is given."""


class ReferenceSpec(Table):
    """The real images. They are split once, by hash, into training images and a fifth that is held out."""

    source: PathText
    """A folder, an .npz, ``torchvision:NAME``, ``dense-samples``, or the name of a registered data source."""
    resize: bool = False
    """Cut to the generator's proportions from the middle and resize to its size (antialiased)."""
    limit: Annotated[int, AfterValidator(whole_between(4, 10**7, "images are kept in memory"))] | None = None
    """At most so many, chosen by a hash of their names (of ``dense-samples``: how many, 5,000 by default)."""
    root: PathText | None = None
    """Where torchvision's files are."""
    download: bool = False
    arguments: Arguments = Field(default_factory=dict)
    """For torchvision's data set, such as ``{split = "test"}``."""


def _source_or_table(value: object) -> object:
    return {"source": value} if isinstance(value, str) else value


class TrainingTable(Table):
    """How a pruned generator is trained against D, in recoveries with steps."""

    loss: Literal["non-saturating", "hinge"] = "non-saturating"
    batch_size: Annotated[int, AfterValidator(whole_between(1, MOST_IN_BATCH, "images of one step"))] = 32
    lr: LearningRate = 2e-4
    lr_discriminator: LearningRate | None = None
    betas: Annotated[tuple[Beta, Beta], Field(strict=False)] = (0.5, 0.999)
    fake_weight: Annotated[float, AfterValidator(number_between(1e-6, 1e6, "a share of D's loss", zero=True))] = 1.0
    ema_decay: Annotated[float, AfterValidator(number_between(0, 0.999999999, "a share that is kept"))] = 0.999
    shift: Annotated[int, AfterValidator(whole_between(0, 1024, "pixels"))] = 0


class WorkloadSpec(Table):
    """One ``[[workload]]``. Relative names of files start at ``folder``."""

    name: Annotated[str, AfterValidator(_name)]
    factory: FactoryName
    arguments: Arguments = Field(default_factory=dict)
    """Keyword arguments of the factory."""
    checkpoint: Weights | None = None
    """None: the weights are what the factory makes, called once with a fixed seed."""
    inputs: Annotated[
        tuple[InputPart, ...], Field(strict=False), AfterValidator(_not_empty), AfterValidator(at_most(64, "inputs"))
    ]
    output: OutputSpec = OutputSpec()
    discriminator: DiscriminatorSpec | None = None
    reference: Annotated[ReferenceSpec, BeforeValidator(_source_or_table)]
    extractor: PathText = "inception-v3-compat"
    extractor_images: PathText | None = None
    """``auto:classifier``: the folder with one folder of images for each class; None: the reference."""
    training: TrainingTable = TrainingTable()
    summary: Text = "a workload of the user's own"
    folder: PathText = "."
    """None given: the folder of the file that the table stands in."""

    @model_validator(mode="after")
    def _labels_for_both(self) -> WorkloadSpec:
        labels = [part for part in self.inputs if part.kind == "labels"]
        if self.discriminator is not None and self.discriminator.labels and len(labels) != 1:
            raise ValueError(
                f"discriminator.labels = true gives D the generator's labels; inputs has {len(labels)} parts of kind "
                "'labels', expected 1."
            )
        return self

    def at(self, name: str) -> Path:
        """The file ``name`` as the spec means it."""
        return Path(self.folder) / name

    def absolute(self) -> WorkloadSpec:
        """The same, also for a process that was started elsewhere."""
        return self.model_copy(update={"folder": str(Path(self.folder).absolute())})


def flat(table: Table) -> dict[str, Any]:
    """What was said that is not the default, JSON-able: a new key leaves old results' keys alone."""
    return table.model_dump(mode="json", exclude_defaults=True)
