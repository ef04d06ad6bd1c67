"""`--set key=value`: changes of an experiment before it is understood."""

from __future__ import annotations

import tomllib
from typing import Any

from bench.experiments.schema import TABLES
from bench.experiments.wording import Loc, hint, shown, toml_reason
from strategies.registry import SAFE_NAME


def apply_override(raw: dict[str, Any], override: str) -> list[Loc]:
    """Put ``key=value`` into ``raw``, or for ``key+=value`` the elements of a list behind those that are there.

    Returns the places that now come from it. ValueError holds the message.
    """
    key, equals, text = (part.strip() for part in override.partition("="))
    if not equals:
        raise ValueError(f"--set {override!r}: no value. Write key=value.")
    adds, key = key.endswith("+"), key.removesuffix("+").rstrip()
    path = _full_key(key)
    value = _override_value(key, text)
    if adds and not isinstance(value, list):
        raise ValueError(f"--set {key}+: {shown(text)} is not a list, and only a list can be added to.")
    places: list[Loc] = [path]
    table = raw
    for i, part in enumerate(path[:-1]):
        if part not in table:
            table[part] = {}
            places.append(path[: i + 1])
        table = table[part]
        if not isinstance(table, dict):
            raise ValueError(f"--set {key}: {'.'.join(path[: i + 1])!r} is not a table.")
    if adds:
        before = table.setdefault(path[-1], [])
        if not isinstance(before, list):
            raise ValueError(f"--set {key}+: {'.'.join(path)!r} is not a list, and only a list can be added to.")
        places = [(*path, i) for i in range(len(before), len(before) + len(value))]
        value = before + value
    table[path[-1]] = value
    return places


def _full_key(key: str) -> tuple[str, ...]:
    """``seeds`` -> ``("experiment", "seeds")``; dotted keys and table names stay as they are."""
    parts = tuple(key.split("."))
    if "" in parts:
        raise ValueError(f"--set {key!r}: not a key. Write experiment.seeds=[0], or seeds=[0].")
    if len(parts) > 1 or key in TABLES:
        return parts
    # The gate's keys are named in full: its `metrics` are others than those of `quality`.
    homes = [table for table, model in TABLES.items() if key in model.model_fields and table != "gate"]
    if len(homes) > 1:
        choice = " or ".join(f"{home}.{key}" for home in homes)
        raise ValueError(f"--set {key}: ambiguous. Write {choice}.")
    if not homes:
        keys = [name for model in TABLES.values() for name in model.model_fields]
        raise ValueError(f"--set {key}: no such key. {hint(key, keys)}")
    return (homes[0], key)


def _override_value(key: str, text: str) -> Any:
    """The value as TOML; a bare word is a text."""
    try:
        table = tomllib.loads(f"value = {text}")
        if set(table) == {"value"}:
            return table["value"]
        reason = "more than one line"
    except (ValueError, RecursionError) as error:
        if SAFE_NAME.fullmatch(text):
            return text
        reason, _ = toml_reason(error)
    raise ValueError(
        f"--set {key}: {shown(text)} is not a TOML value ({reason}). "
        "Text needs quotes inside lists: --set 'workloads=[\"mnist-mlp\"]'."
    )
