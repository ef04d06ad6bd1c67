"""pydantic's errors in the words of someone who writes TOML, and the order in which mistakes are told."""

from __future__ import annotations

import functools
from typing import Any, get_args

from pydantic import BaseModel

from bench.base.printable import shortened
from bench.experiments.gate import GatedCell, GatedTiming, Margins, PriorRule
from bench.experiments.schema import TABLES, StrategyChoice
from bench.experiments.wording import Found, Loc, hint, shown
from bench.workloads.spec import WorkloadSpec


@functools.cache
def _order() -> dict[str, int]:
    tables: list[type[BaseModel]] = [*TABLES.values(), StrategyChoice, WorkloadSpec]
    names = [*TABLES, "workload", *(name for table in tables for name in table.model_fields)]
    return {name: place for place, name in reversed([*enumerate(names)])}


def rank(loc: Loc) -> list[int]:
    """Sorts places by table and key as the format has them; unknown keys last."""
    order = _order()
    return [part if isinstance(part, int) else order.get(part, 99) for part in loc]


_WANTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "string_type": "a text in quotes",
    "bool_type": "true or false",
    "tuple_type": "a list in [ ]",
    "dict_type": "a table",
    "model_type": "a table",
}


def in_words(detail: dict[str, Any]) -> Found:
    """A pydantic error in the words of someone who writes TOML."""
    kind, loc, value = str(detail["type"]), tuple(detail["loc"]), detail["input"]
    if kind == "missing":
        return loc, "missing; this key has no default."
    if kind == "extra_forbidden":
        return loc, f"no such key. {_key_hint(loc)}"
    if kind == "value_error":
        return loc, str(detail["ctx"]["error"])
    if kind == "literal_error":
        return loc, f"{shown(value)} is not {detail['ctx']['expected']}."
    if kind in {"too_short", "too_long", "missing_argument", "unexpected_positional_argument"}:
        return loc, f"{shown(value)} has not as many entries as belong there. Write {_as_list(loc, value)}."
    if kind in _WANTED:
        advice = f" Write {_as_list(loc, value)}." if kind == "tuple_type" and not isinstance(value, dict) else ""
        return loc, f"{shown(value)} is not {_WANTED[kind]}.{advice}"
    return loc, f"{shown(value)}: {shortened(str(detail['msg']), 200)}."


_EXAMPLES = {"range": "[-1, 1]", "betas": "[0.5, 0.999]"}
"""Lists of a fixed length: one value in brackets is none of them."""


def _as_list(loc: Loc, value: object) -> str:
    """What to write instead of ``value``, where a list belongs."""
    key = str(loc[-1])
    if key in _EXAMPLES:
        return f"a list of two numbers, such as {_EXAMPLES[key]}"
    if key == "shape" and not isinstance(value, int):
        return "a list of whole numbers, such as [3, 32, 32]"
    return f"[{shown(value)}]"


def _key_hint(loc: Loc) -> str:
    """What the unknown key at ``loc`` may have been meant to be."""
    key = str(loc[-1])
    if loc[0] == "workload" and len(loc) > 1:
        model: Any = WorkloadSpec
        for part in loc[1:-1]:
            model = _table_at(model, part) if isinstance(part, str) else model
        return hint(key, list(model.model_fields))
    if len(loc) > 2:
        return hint(key, _keys_inside(loc))
    here = list(TABLES[str(loc[0])].model_fields) if len(loc) == 2 else [*TABLES, "workload"]
    elsewhere = [table for table, model in TABLES.items() if key in model.model_fields]
    return f"It belongs in [{elsewhere[0]}]." if elsewhere else hint(key, here)


def _table_at(model: type[BaseModel], key: str) -> type[BaseModel]:
    """The model of the table at ``key``; ``model`` itself where it is none."""
    kinds: list[Any] = [model.model_fields[key].annotation] if key in model.model_fields else []
    while kinds:
        kind = kinds.pop()
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return kind
        kinds += get_args(kind)
    return model


def _keys_inside(loc: Loc) -> list[str]:
    """The keys of the table inside of a table that the unknown key at ``loc`` stands in."""
    inside: dict[Loc, type[BaseModel]] = {
        ("gate", "cells"): GatedCell,
        ("gate", "latency"): GatedTiming,
        ("gate", "margins"): Margins,
        ("gate", "prior"): PriorRule,
    }
    model = inside.get(loc[:2], StrategyChoice)
    return [field.alias or name for name, field in model.model_fields.items()]
