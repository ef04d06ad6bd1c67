"""Files of schema version 1 are read as if they were of today's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.base.errors import UserError
from bench.records import SCHEMA_VERSION, Record
from bench.records.store import DamagedFile, parse
from bench.sweep.settings import Settings
from bench.sweep.workshop import Workshop
from tests.helpers.cells import NUM_IMAGES, cell, record_of


@pytest.fixture(scope="module")
def trained() -> Record:
    return record_of(cell(recovery="finetune-4"), Workshop(Settings(num_images=NUM_IMAGES)))


def as_version_1(record: Record) -> dict[str, object]:
    old = json.loads(record.model_dump_json())
    del old["task"], old["cost"]["peak_device_bytes"]
    for point in old["curve"]:
        point["fid"] = point.pop("quality")
    return old | {"schema_version": 1}


def test_a_record_of_version_1_is_todays(trained: Record, tmp_path: Path) -> None:
    assert trained.curve[0]["quality"] is not None
    (tmp_path / "old.json").write_text(json.dumps(as_version_1(trained)))
    assert parse(tmp_path / "old.json", Record) == trained
    assert trained.schema_version == SCHEMA_VERSION == 2


def test_a_damaged_one_is_damaged(trained: Record, tmp_path: Path) -> None:
    path = tmp_path / "old.json"
    path.write_text(json.dumps(as_version_1(trained) | {"status": "fine"}))
    with pytest.raises(DamagedFile, match="status"):
        parse(path, Record)
    path.write_text('{"schema_version": 1, "curve": [3]}')
    with pytest.raises(DamagedFile):
        parse(path, Record)


def test_other_versions_are_refused(trained: Record, tmp_path: Path) -> None:
    (tmp_path / "new.json").write_text(json.dumps(as_version_1(trained) | {"schema_version": 7}))
    with pytest.raises(UserError, match="schema version 7, this ganprune writes 2"):
        parse(tmp_path / "new.json", Record)
