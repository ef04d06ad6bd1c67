"""What other tools make of the same generators, measured: `python -m tests.benchmarks.peers`.

The shipped `mnist-dcgan` and, in colour, `cifar10-cgan` as it is shipped and an untrained `dcgan-64` go through
Torch-Pruning by itself, through `torch.nn.utils.prune`, and through counters of multiply-accumulate operations.
Nothing here is an opinion: what is
printed was counted on what the tool left. A peer that is not installed says so (``pip install thop ptflops``).
docs/peers.md is what it printed last.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import importlib.metadata
import inspect
import io
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.utils.prune as torch_prune
import torch_pruning
from torch import Tensor, nn
from torch_pruning.pruner import importance as groups

from bench.base.machine import one_thread
from bench.base.seeds import stream
from bench.measure.complexity import count_macs, count_macs_fvcore
from bench.sweep.settings import Settings
from bench.sweep.workshop import Workshop
from bench.tasks.generation import GENERATION
from bench.tasks.generation.evaluation import GenerationJudge
from bench.training.recovery import parse_recovery
from bench.training.recovery.finish import finished
from bench.workloads.builtin import BUILT_IN
from bench.workloads.checkpoints import load_checkpoint
from bench.workloads.loaded import Gan
from bench.workloads.networks import Dcgan64Generator
from strategies.base import Context, Level
from strategies.builtin import STRATEGIES

PACKAGES = ("torch", "torch-pruning", "thop", "fvcore", "ptflops")
RECOVERIES = ("none", "bn-recalibrate")
AMOUNT = 0.5
SEED = 0

LAYERS = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
SCALES = (nn.BatchNorm2d,)


@dataclass(frozen=True)
class Row:
    """One network that a tool left, or one count of it."""

    tool: str
    cells: tuple[str, ...]


@dataclass(frozen=True)
class Facts:
    """A table."""

    title: str
    headers: tuple[str, ...]
    rows: tuple[Row, ...]

    def text(self) -> str:
        """As Markdown."""
        lines = [f"### {self.title}", "", _line(["", *self.headers]), _line(["---"] * (len(self.headers) + 1))]
        return "\n".join([*lines, *(_line([row.tool, *row.cells]) for row in self.rows), ""])


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


@dataclass(frozen=True)
class Subject:
    """A generator that is pruned: made anew for each tool, for they change what they are given."""

    make: Callable[[], nn.Module]
    inputs: tuple[Tensor, ...]
    judge: GenerationJudge | None = None
    """None: untrained, so its images are worth nothing."""


def colour_subject(channels: int = 64) -> Subject:
    """The classic DCGAN in colour, untrained: what happens to its channels does not depend on that."""

    def make() -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(SEED)
            return Dcgan64Generator(channels=channels).eval()

    return Subject(make, (torch.zeros(1, 100),))


def shipped_colour_subject(workload: str = "cifar10-cgan") -> Subject:
    """The shipped colour generator by itself: its images are not needed."""
    thing = BUILT_IN[workload]
    generator = load_checkpoint(thing).generator
    return Subject(lambda: copy.deepcopy(generator).eval(), thing.inputs.sample(1, stream(0, "eval")))


def shipped_subject(workload: str, num_images: int) -> Subject:
    """A workload as it is shipped, with its judge."""
    loaded = Workshop(Settings(num_images=num_images, metrics=("fid",))).load(workload, "shipped")
    gan: Gan = loaded.gan
    assert isinstance(loaded.judge, GenerationJudge)
    inputs = gan.workload.inputs.sample(1, stream(0, "eval"))
    return Subject(lambda: copy.deepcopy(gan.checkpoint.generator).eval(), inputs, loaded.judge)


def layers_of(model: nn.Module) -> list[nn.Conv2d | nn.ConvTranspose2d | nn.Linear]:
    """Convolutions and linear layers, in the order of the network."""
    return [layer for layer in model.modules() if isinstance(layer, LAYERS)]


# Counting


def macs_by_hand(model: nn.Module, inputs: tuple[Tensor, ...]) -> int:
    """The closed form of convolutions: each weight once for each position that it is laid on, those of the output, or
    of the input of a transposed convolution."""
    total = 0

    def add(layer: nn.Module, given: tuple[Tensor, ...], made: Tensor) -> None:
        nonlocal total
        places = given[0] if isinstance(layer, nn.ConvTranspose2d) else made
        total += layer.weight.numel() * (places[0, 0].numel() if places.ndim == 4 else 1)  # type: ignore[operator]

    handles = [layer.register_forward_hook(add) for layer in layers_of(model)]
    with torch.no_grad():
        model(*inputs)
    for handle in handles:
        handle.remove()
    return total


def _thop(model: nn.Module, inputs: tuple[Tensor, ...]) -> float:
    import thop  # type: ignore[import-not-found, unused-ignore]

    return float(thop.profile(model, inputs=inputs, verbose=False)[0])


def _ptflops(model: nn.Module, inputs: tuple[Tensor, ...], backend: str) -> float:
    import ptflops  # type: ignore[import-not-found, unused-ignore]

    found = ptflops.get_model_complexity_info(
        model,
        tuple(inputs[0].shape[1:]),
        input_constructor=lambda _: dict(zip(inspect.signature(model.forward).parameters, inputs, strict=False)),
        as_strings=False,
        print_per_layer_stat=False,
        verbose=False,
        backend=backend,
    )
    return float(found[0])


COUNTERS: dict[str, Callable[[nn.Module, tuple[Tensor, ...]], float]] = {
    "ganprune": lambda model, inputs: count_macs(model, inputs).dense,
    "fvcore": lambda model, inputs: count_macs_fvcore(model, inputs)[0],
    "ptflops, backend aten": lambda model, inputs: _ptflops(model, inputs, "aten"),
    "ptflops, backend pytorch": lambda model, inputs: _ptflops(model, inputs, "pytorch"),
    "thop": _thop,
    "Torch-Pruning, count_ops_and_params": lambda model, inputs: torch_pruning.utils.count_ops_and_params(
        model, inputs
    )[0],
}
"""Each says "MACs"; a counter changes the model that it is given, so each has a copy."""


def counts(subjects: dict[str, Subject]) -> Facts:
    """MACs of the dense networks of one image by each counter, and times the closed form."""
    truth = {name: macs_by_hand(subject.make(), subject.inputs) for name, subject in subjects.items()}
    rows = [Row("by hand: weights x positions", tuple(f"{count / 1e6:.2f} M" for count in truth.values()))]
    for tool, counter in COUNTERS.items():
        cells = []
        for name, subject in subjects.items():
            try:
                with _quiet():
                    found = counter(subject.make(), subject.inputs)
                cells.append(f"{found / 1e6:.2f} M ({found / truth[name]:.3g} x)")
            except ImportError:
                cells.append("not installed")
        rows.append(Row(tool, tuple(cells)))
    return Facts("MACs of one image, dense", tuple(subjects), tuple(rows))


# Pruning


def through_torch_pruning(
    subject: Subject,
    ratio: float = AMOUNT,
    *,
    importance: object = None,
    keep_output: bool = False,
    globally: bool = False,
) -> nn.Module:
    """What `MetaPruner` leaves of a generator.

    Args:
        importance: of a group of coupled channels; None: their L2 norm.
        keep_output: the layer that draws the image is in ``ignored_layers``, as its users do for classifiers.
    """
    model = subject.make()
    with _quiet():
        pruner = torch_pruning.pruner.MetaPruner(
            model,
            subject.inputs if len(subject.inputs) > 1 else subject.inputs[0],
            importance=importance or groups.GroupMagnitudeImportance(p=2),
            pruning_ratio=ratio,
            global_pruning=globally,
            ignored_layers=[layers_of(model)[-1]] if keep_output else None,
            in_channel_groups={},
            out_channel_groups={},
        )
        pruner.step()
    return model.eval()


def masked_globally(subject: Subject, amount: float = AMOUNT, *, scales: bool = False) -> nn.Module:
    """`global_unstructured` by L1 over the weights of convolutions and linear layers, and of BatchNorm where
    ``scales``: what a loop over everything that has a ``weight`` gives."""
    model = subject.make()
    torch_prune.global_unstructured(_weights(model, scales), torch_prune.L1Unstructured, amount=amount)
    return model


def masked_by_layer(subject: Subject, amount: float = AMOUNT, *, scales: bool = False) -> nn.Module:
    """`l1_unstructured` of each layer by itself, likewise."""
    model = subject.make()
    for layer, name in _weights(model, scales):
        torch_prune.l1_unstructured(layer, name, amount)
    return model


def masked_channels(subject: Subject, amount: float = AMOUNT, dim: int = 0) -> nn.Module:
    """`ln_structured` by L2 along ``dim`` of each layer but the last; ``dim=0`` are a convolution's outputs, and of a
    transposed one the inputs."""
    model = subject.make()
    for layer, name in _weights(model, False)[:-1]:
        torch_prune.ln_structured(layer, name, amount, n=2, dim=dim)
    return model


def _weights(model: nn.Module, scales: bool) -> list[tuple[nn.Module, str]]:
    kinds = (*LAYERS, *SCALES) if scales else LAYERS
    return [(layer, "weight") for layer in model.modules() if isinstance(layer, kinds) and layer.weight is not None]


def made_permanent(model: nn.Module) -> nn.Module:
    """The masks multiplied in, as `torch.nn.utils.prune.remove` does; a network without masks as it is."""
    for layer in model.modules():
        if torch_prune.is_pruned(layer) and hasattr(layer, "weight_orig"):
            torch_prune.remove(layer, "weight")
    return model


def removed(dense: nn.Module, pruned: nn.Module) -> float:
    """The share of all convolution and linear weights that is gone or zero."""
    before, after = ([layer.weight for layer in layers_of(model)] for model in (dense, pruned))
    return 1 - sum(int(w.count_nonzero()) for w in after) / sum(w.numel() for w in before)


def zero_scales(model: nn.Module) -> tuple[int, int]:
    """How many BatchNorm scales are zero, and of how many."""
    scales = [layer.weight for layer in model.modules() if isinstance(layer, SCALES) and layer.affine]
    return sum(int((w == 0).sum()) for w in scales), sum(w.numel() for w in scales)


@torch.no_grad()
def image_shape(model: nn.Module, subject: Subject) -> tuple[int, ...]:
    """What it draws now."""
    made: Tensor = model(*subject.inputs)
    return tuple(made.shape[1:])


def widths(model: nn.Module) -> str:
    """Output channels, layer by layer."""
    found = [layer.weight.shape[int(isinstance(layer, nn.ConvTranspose2d))] for layer in layers_of(model)]
    return "-".join(map(str, found))


def quality(model: nn.Module, subject: Subject) -> list[str]:
    """FID without the bias of N after each of `RECOVERIES`; empty cells where nothing judges, or the images differ."""
    judge = subject.judge
    if judge is None or image_shape(model, subject) != tuple(judge.gan.data.train.shape[1:]):
        return [""] * len(RECOVERIES)
    found = []
    for name in RECOVERIES:
        network = finished(copy.deepcopy(model), parse_recovery(name), judge.gan, SEED)
        seen = judge.see(network, judge.draw(SEED))
        value = judge.numbers(seen)[f"{GENERATION.bound}[{judge.name}]"].value
        found.append("not finite" if value is None else f"{value:.1f}")
    return found


def ours(subject: Subject, strategy: str, share: float) -> nn.Module:
    """What a shipped strategy leaves where it is asked for the same share of the weights."""
    model, how = subject.make(), STRATEGIES[strategy]
    context = Context(model, subject.inputs, stream(SEED, "prune"))
    return how.decide(how.rank(context), Level.sparsity(share), "params").apply(model).generator


Way = tuple[str, Callable[[Subject], nn.Module]]

DENSE: Way = ("dense", lambda s: s.make())

WAYS: tuple[Way, ...] = (
    ("Torch-Pruning MetaPruner, defaults (ratio .5)", through_torch_pruning),
    ("the same, output layer ignored", lambda s: through_torch_pruning(s, keep_output=True)),
    ("the same, ranked globally", lambda s: through_torch_pruning(s, keep_output=True, globally=True)),
    ("the same, FPGM", lambda s: through_torch_pruning(s, importance=groups.FPGMImportance(), keep_output=True)),
    (
        "the same, BatchNorm scales",
        lambda s: through_torch_pruning(s, importance=groups.BNScaleImportance(), keep_output=True),
    ),
    ("torch global_unstructured .5", masked_globally),
    ("the same over everything with a weight", lambda s: masked_globally(s, scales=True)),
    ("the same, .99", lambda s: masked_globally(s, 0.99, scales=True)),
    ("torch l1_unstructured .5 of each layer", masked_by_layer),
    ("the same over everything with a weight", lambda s: masked_by_layer(s, scales=True)),
    ("torch ln_structured .5, dim 0", masked_channels),
    ("torch ln_structured .5, dim 1", lambda s: masked_channels(s, dim=1)),
    ("ganprune l1-channel-uniform, .595 asked for", lambda s: ours(s, "l1-channel-uniform", 0.595)),
    ("ganprune bnscale-channel-global, .595 asked for", lambda s: ours(s, "bnscale-channel-global", 0.595)),
    ("ganprune l1-weight-global, .5 asked for", lambda s: ours(s, "l1-weight-global", 0.5)),
)


def pruned(name: str, subject: Subject, ways: Sequence[Way] = WAYS) -> Facts:
    """What each way leaves of a generator."""
    headers = ["weights gone", "image", "output channels", "MACs executed", "BatchNorm scales at 0"]
    judged = subject.judge
    if judged is not None:
        title = GENERATION.quantity(GENERATION.bound).title
        headers += [f"{title}[{judged.name}], {recovery}" for recovery in RECOVERIES]
    rows = []
    for tool, way in (DENSE, *ways):
        model = made_permanent(way(subject))
        zeros, scales = zero_scales(model)
        shape = "x".join(map(str, image_shape(model, subject)))
        macs = f"{macs_by_hand(model, subject.inputs) / 1e6:.2f} M"
        cells = [f"{removed(subject.make(), model):.3f}", shape, widths(model), macs, f"{zeros} of {scales}"]
        rows.append(Row(tool, (*cells, *(quality(model, subject) if judged is not None else ()))))
    return Facts(f"`{name}`, half asked for", tuple(headers), tuple(rows))


def mended(subject: Subject, target: float = AMOUNT) -> tuple[float, float]:
    """The `MetaPruner` ratio that leaves out ``target`` of the weights, output layer ignored, found by halving; and the
    share that it removes."""
    low, high = 0.0, 1.0
    for _ in range(8):
        middle = (low + high) / 2
        share = removed(subject.make(), through_torch_pruning(subject, middle, keep_output=True))
        low, high = (middle, high) if share < target else (low, middle)
    ratio = (low + high) / 2
    return ratio, removed(subject.make(), through_torch_pruning(subject, ratio, keep_output=True))


def behaviour(subject: Subject) -> Facts:
    """What `torch.nn.utils.prune` does to a model as an object."""
    model = masked_globally(subject)
    with torch.no_grad():
        model(*subject.inputs)
    names = [name for name in model.state_dict() if name.endswith(("weight_orig", "weight_mask"))]
    dense = sum(p.numel() for p in subject.make().parameters())
    rows = [
        Row("parameters() count", (f"{sum(p.numel() for p in model.parameters()):,} of {dense:,}",)),
        Row("keys of the state dict that a plain model lacks", (f"{len(names)}",)),
        Row("copy.deepcopy right after pruning", (_outcome(lambda: copy.deepcopy(masked_globally(subject))),)),
        Row("copy.deepcopy after prune.remove", (_outcome(lambda: copy.deepcopy(made_permanent(model))),)),
    ]
    return Facts("A model under `torch.nn.utils.prune`", ("found",), tuple(rows))


def _outcome(action: Callable[[], object]) -> str:
    try:
        action()
    except RuntimeError as error:
        return f"raises RuntimeError: {str(error).splitlines()[0][:70]}..."
    return "works"


def versions() -> str:
    """Which of the peers are there."""
    found = []
    for package in PACKAGES:
        try:
            found.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            found.append(f"{package} not installed")
    return ", ".join(found)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    with (
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        yield


def facts(workload: str, num_images: int, channels: int) -> Iterable[str]:
    """All of it, as it is found."""
    yield versions() + "\n"
    shipped, colour, residual = (
        shipped_subject(workload, num_images),
        colour_subject(channels),
        shipped_colour_subject(),
    )
    subjects = {f"`{workload}`": shipped, "`dcgan-64`": colour, "`cifar10-cgan`": residual}
    yield counts(subjects).text()
    yield pruned(workload, shipped).text()
    for name, subject in (("dcgan-64", colour), ("cifar10-cgan", residual)):
        yield pruned(name, subject, WAYS[:2]).text()
    ratio, share = mended(shipped)
    yield f"The MetaPruner ratio that removes half of `{workload}`'s weights is {ratio:.3f} ({share:.3f} removed).\n"
    yield behaviour(shipped).text()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=1_000, help="that each network is judged by")
    options = parser.parse_args()
    with one_thread():
        for text in facts("mnist-dcgan", options.images, 64):
            print(text, flush=True)


if __name__ == "__main__":
    main()
