"""Experiment files with values of the wrong kind, range and size: accepted, or refused with all that is wrong."""

from __future__ import annotations

import json
import math
import tomllib
from copy import deepcopy
from pathlib import Path
from random import Random
from typing import Any

from bench.experiments import Known, expand, load_experiment
from bench.experiments.reading import shipped_experiments
from tests.fuzz import damage
from tests.fuzz.attempt import tried
from tests.fuzz.files import OWN
from tests.fuzz.tally import Tally

HUGE: tuple[Any, ...] = (
    2**31, 2**63 - 1, 2**64, 10**14, 10**20, -(10**20), 1e-300, 1e20, 0.9999999999999999, 5e-324, math.nan, math.inf,
    [2**31, 2**31], [10**9], [math.nan, 1.0], [2.0, 3.0], ["finetune-" + "9" * 20], "tanh", "finetune-" + "9" * 5000,
    list(range(300)), {"(a+)+$": "a"}, {"(": "a"}, {"a": "\\9"}, {f"k{i}": i for i in range(300)}, "a\0b", "é" * 5000,
)  # fmt: skip
"""Values that look right and cannot be computed with."""

KEYS = (
    "name", "workloads", "strategies", "sparsities", "recovery", "seeds", "num_images", "batches", "levels", "lr",
    "betas", "shape", "range", "limit", "folder", "file", "rename", "fake_weight", "batch_size", "seed", "plugins",
)  # fmt: skip


def attempts(seed: int, count: int, folder: Path) -> Tally:
    """Read ``count`` experiments, each changed in one to four places, and expand those that are accepted."""
    tally = Tally("configurations")
    texts = [*shipped_experiments().values(), OWN, OWN]
    tables = [tomllib.loads(text) for text in texts]
    known = Known.installed()
    for number in range(count):
        rng = Random(f"configurations {seed} {number}")
        path = folder / f"{number}.toml"
        path.write_bytes(_text(rng.randrange(len(tables)), texts, tables, rng))
        tried(
            tally,
            f"configurations, seed {seed}, attempt {number}",
            lambda: expand(load_experiment(path, known=known), known),  # noqa: B023
        )
        path.unlink()
    return tally


def _text(which: int, texts: list[str], tables: list[dict[str, Any]], rng: Random) -> bytes:
    way = rng.random()
    if way < 0.15:
        return damage.bytes_changed(texts[which].encode(), rng)
    if way < 0.2:
        return damage.bytes_replaced(texts[which].encode(), rng)
    table = damage.value_changed(tables[which], rng)
    for _ in range(rng.choice((0, 1, 2))):
        _put(table, rng)
    if rng.random() < 0.05:
        table = (
            {**table, **{f"key{i}": i for i in range(rng.choice((100, 5000)))}} if isinstance(table, dict) else table
        )
    return toml(table).encode(errors="surrogatepass")


def _put(table: Any, rng: Random) -> None:
    """A huge value under a key that some table has, or should not have."""
    holder, key = damage.place_in(table, rng)
    if isinstance(holder, dict):
        holder[rng.choice((key, key, rng.choice(KEYS)))] = deepcopy(rng.choice(HUGE))
    elif isinstance(holder, list):
        holder[key] = deepcopy(rng.choice(HUGE))


def toml(value: Any, top: bool = True) -> str:
    """A value as TOML, tables inline; what TOML has not (null) is left out."""
    if top:
        pairs = value.items() if isinstance(value, dict) else [("value", value)]
        return "".join(f"{json.dumps(key)} = {toml(item, False)}\n" for key, item in pairs if item is not None)
    if isinstance(value, dict):
        pairs = [f"{json.dumps(key)} = {toml(item, False)}" for key, item in value.items() if item is not None]
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, list):
        return f"[{', '.join(toml(item, False) for item in value if item is not None)}]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return "nan" if math.isnan(value) else ("inf" if value > 0 else "-inf") if math.isinf(value) else repr(value)
    return json.dumps(value) if isinstance(value, str) else str(value)
