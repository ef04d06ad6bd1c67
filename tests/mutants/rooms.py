"""Which files are changed, and which tests should notice."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Room:
    """Files (patterns from the root) and the tests of their folder: files or folders, in the order of their duty."""

    files: tuple[str, ...]
    tests: tuple[str, ...]
    also: tuple[str, ...] = ()
    """Tests that take long: asked only about the files that they name."""
    whole: tuple[str, ...] = ()
    """All that mirrors the files: asked, slow tests too, about what ``tests`` did not notice."""


STRATEGIES = ("tests/strategies", "tests/architectures")


ROOMS = {
    "statistics": Room(
        ("bench/statistics/*.py",), ("tests/statistics", "tests/tables", "tests/gate"),
        whole=("tests/statistics", "tests/tables", "tests/gate"),
    ),
    "tables": Room(
        ("bench/tables/*.py",), ("tests/tables",), also=("tests/report/test_judges.py",),
        whole=("tests/tables", "tests/report/test_judges.py"),
    ),
    "tasks": Room(("bench/tasks/**/*.py",), ("tests/tasks", "tests/tables"), whole=("tests/tasks", "tests/tables")),
    "measure": Room(("bench/measure/*.py",), ("tests/measure",), whole=("tests/measure",)),
    "gate": Room(
        ("bench/gate/verdicts.py", "bench/gate/compare.py"), ("tests/gate",),
        whole=("tests/gate",),
    ),
    "training": Room(
        ("bench/training/loop.py", "bench/training/losses.py", "bench/training/ema.py", "bench/training/recovery/*.py"),
        ("tests/training",), whole=("tests/training",),
    ),
    "sweep": Room(
        ("bench/sweep/counts.py", "bench/sweep/keys.py", "bench/sweep/curve.py"), ("tests/sweep",),
        whole=("tests/sweep",),
    ),
    "criteria": Room(
        ("strategies/criteria/*.py",), ("tests/strategies/criteria", "tests/strategies/test_criteria.py"),
        whole=STRATEGIES,
    ),
    "granularity": Room(
        (
            "strategies/granularity/*.py", "strategies/allocation.py", "strategies/slicing.py", "strategies/sorting.py",
        ),
        (
            "tests/strategies/test_weight.py", "tests/strategies/test_nm.py", "tests/strategies/test_block.py",
            "tests/strategies/test_merged.py", "tests/strategies/test_connection.py", "tests/strategies/test_graph.py",
            "tests/strategies/test_channel.py", "tests/strategies/test_prunable.py", "tests/strategies/test_units.py",
            "tests/strategies/test_wiring.py", "tests/strategies/test_settings.py",
            "tests/strategies/test_proof.py", "tests/strategies/test_coupling.py", "tests/strategies/test_slicing.py",
            "tests/strategies/test_allocation.py",
            "tests/strategies/test_sorting.py", "tests/strategies/test_layers.py", "tests/strategies/test_criteria.py",
        ),
        whole=STRATEGIES,
    ),
    "schedules": Room(
        ("strategies/schedules/*.py", "strategies/schedule.py"),
        (
            "tests/strategies/test_schedules.py", "tests/strategies/test_schedule_plans.py",
            "tests/strategies/test_schedule_hooks.py", "tests/strategies/test_hooks.py",
            "tests/strategies/test_settings.py",
        ),
        whole=STRATEGIES,
    ),
}  # fmt: skip

WORDS = {
    "bench/tables/text.py", "bench/tables/write.py", "bench/tables/run_tables.py", "bench/tables/naming.py",
    "bench/tasks/generation/card.py", "bench/tasks/generation/public.py", "bench/tasks/generation/training.py",
}  # fmt: skip
"""Words, files and downloads: no number comes from them."""

ELSEWHERE = {
    "bench/measure/latency.py": {"cuda_timer.timer", "cuda_timer", "peak_of_call"},
}
"""Functions that need a device; `make test-gpu` is about them."""

EQUIVALENT = {
    # How long a thread is waited for, and how often it is asked, before it is given up.
    ("strategies/granularity/graph.py", "thread.join(0.5)", "0.75"),
    (
        "strategies/granularity/graph.py",
        "for _ in range(20):  # a bare `except:` in there may swallow one",
        "21",
    ),
    # A thread that was started has a number; one that has ended ends at once, however often it is asked.
    (
        "strategies/granularity/graph.py",
        "ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(OutOfTime))",
        "1",
    ),
    ("strategies/granularity/graph.py", "break", "continue"),
    # Without dense there is nothing that its diversity would be divided by.
    (
        "bench/tasks/generation/collapse.py",
        "of_dense = 0.0 if dense is None else diversity(dense)",
        "1.0",
    ),
    # How many are looked at together, to bound the memory: what is found of each is the same.
    ("bench/tasks/generation/neighbours.py", "ROWS = 1_000", "1001"),
    ("bench/tasks/generation/collapse.py", "CHUNK = 64", "65"),
    ("bench/tasks/generation/gaussian.py", "CHUNK_ROWS = 4096", "4097"),
    ("bench/tasks/generation/extractors.py", "BATCH = 250", "251"),
    ("bench/tasks/generation/discriminator.py", "BATCH = 250", "251"),
    # What each weight is worth, in a share of all of them.
    (
        "strategies/granularity/units.py",
        'worth = {name: work.per_entry(name) if target == "macs" else 1 for name in masks}',
        "2",
    ),
    # A sign is 1 or -1.
    (
        "bench/tasks/base.py",
        "return dense * (1 + margin) if self.sign > 0 else dense / (1 + margin)",
        ">=",
    ),
    # The billionth is there for rounding, and nothing is exactly so far away.
    ("bench/tables/select.py", "elif distance <= tolerance + 1e-9:", "<"),
    ("bench/tables/select.py", "if off(value, level) <= tolerance + 1e-9:", "<"),
    # Dense stands before all others of its place, whatever follows.
    (
        "bench/tables/select.py",
        'return (*(row[name] for name in PLACE), not first, 0.0 if first else row["at"], '
        'strategy_order(row["strategy"]))',
        "1.0",
    ),
    # Of a covariance one side has to be without its mean: what is constant in the other adds nothing.
    (
        "strategies/criteria/latent_moves.py",
        "covariance = (latents - latents.mean(0)).double().T @ (features - features.mean(0)).double()",
        "+",
    ),
    (
        "strategies/criteria/latent_moves.py",
        "covariance = (latents - latents.mean(0)).double().T @ (features - features.mean(0)).double()",
        "sum",
    ),
    # Both pools are judged, the one first or the other.
    (
        "bench/gate/compare.py",
        "pool = [(i, p) for i, p in enumerate(parts) if isinstance(p, Judgeable) and p.row.gated is gated]",
        "is not",
    ),
    # Once the centres stay where they are, further rounds leave them there.
    ("strategies/granularity/quantised.py", "break", "continue"),
    # The old width is the same both ways, and the new one is used of a transposed convolution alone, where both agree.
    (
        "strategies/slicing.py",
        'inputs, old_inputs = (sizes.get("in"), before["in_channels"]) '
        'if transposed else (into, before["in_channels"])',
        "(not (transposed))",
    ),
    # Behind the last row there is none left to write: one row is as good as no row.
    (
        "bench/tasks/generation/quality.py",
        "first[start : start + CHUNK_ROWS] = features[: max(len(first) - start, 0)]",
        "1",
    ),
}
"""File, line and what a part of it becomes: the same program in other words."""


def files_of(room: Room, root: Path = ROOT) -> list[str]:
    """The files that are changed, from the root."""
    found = {str(path.relative_to(root)) for pattern in room.files for path in root.glob(pattern)}
    return sorted(found - WORDS)


def duties_of(room: Room, file: str, seconds: dict[str, float], root: Path = ROOT) -> list[str]:
    """The room's files of tests, from the root: those that name the changed module first, and of those the quick ones.

    Args:
        seconds: how long each takes; what is not in it holds no test that passes.
    """
    found = []
    for duty, path in _files((*room.tests, *room.also), root):
        name = str(path.relative_to(root))
        named = _names(path, file)
        if name in seconds and (named or duty < len(room.tests)):
            found.append((not named, duty, seconds[name], name))
    return [name for *_, name in sorted(found)]


def whole_of(room: Room, file: str, root: Path = ROOT) -> list[str]:
    """All files of tests of the room's folders, those that name the changed module first."""
    found = [(not _names(path, file), duty, str(path.relative_to(root))) for duty, path in _files(room.whole, root)]
    return [name for *_, name in sorted(found)]


def hash_of(room: Room, root: Path = ROOT) -> str:
    """Of the room's tests: what they do without a change is asked anew where they are other ones."""
    return hashlib.sha256(
        b"".join(path.read_bytes() for _, path in _files((*room.tests, *room.also), root))
    ).hexdigest()


def _files(named: Sequence[str], root: Path) -> list[tuple[int, Path]]:
    places = [(duty, root / place) for duty, place in enumerate(named)]
    return [
        (duty, path)
        for duty, place in places
        for path in ([place] if place.is_file() else sorted(place.rglob("test_*.py")))
    ]


def _names(test: Path, file: str) -> bool:
    """Whether a file of tests imports the changed module, or is called after it."""
    module = file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    package, _, name = map(re.escape, module.rpartition("."))
    imported = rf"\b{package}\.{name}\b(?!\.)|^\s*from {package} import .*\b{name}\b"
    text = test.read_text(encoding="utf-8")
    return test.stem == f"test_{Path(file).stem}" or bool(re.search(imported, text, re.MULTILINE))
