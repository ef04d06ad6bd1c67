"""The description of the files names every field that the records have."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel

from bench import records

TEXT = (Path(__file__).parents[2] / "docs" / "results-format.md").read_text(encoding="utf-8")
MODELS = [
    thing
    for thing in vars(records).values()
    if isinstance(thing, type) and issubclass(thing, BaseModel) and thing.__module__ == records.__name__
]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_field_is_described(model: type[BaseModel]) -> None:
    assert [name for name in model.model_fields if name not in TEXT] == []
