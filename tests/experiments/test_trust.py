"""Whose code a file may have run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.experiments.trust import untrusted


def table(**said: Any) -> dict[str, Any]:
    return {"workload": [{"name": "w", **said}]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "exp").mkdir()
    (tmp_path / "exp" / "sub").mkdir()
    (tmp_path / "exp" / "gan.py").write_text("")
    (tmp_path / "exp" / "os.py").write_text("")
    (tmp_path / "exp" / "nets").mkdir()
    (tmp_path / "exp" / "nets" / "__init__.py").write_text("")
    (tmp_path / "other.py").write_text("")
    (tmp_path / "exp" / "link.py").symlink_to(tmp_path / "other.py")
    return tmp_path / "exp"


def places(raw: dict[str, Any], folder: Path, *trust: str) -> list[str]:
    """The places of what is not trusted; relative names start at the folder, as reading has it."""
    for one in raw.get("workload", []):
        one["folder"] = str(folder / one.get("folder", "."))
    found = list(untrusted(raw, folder, trust))
    assert all("--trust" in sentence for _, sentence in found)
    return [".".join(map(str, loc)) for loc, _ in found]


@pytest.mark.parametrize(
    "factory",
    [
        "gan.py:G", "sub/gan.py:G", "./gan.py:G", "gan:G", "nets:G", "nets.blocks:G",
        "bench.workloads.public.sngan:Generator",
    ],
)  # fmt: skip
def test_what_lies_in_the_folder_of_the_file_and_our_own_is_trusted(folder: Path, factory: str) -> None:
    assert places(table(factory=factory), folder) == []


@pytest.mark.parametrize(
    "factory",
    [
        "os:system", "subprocess:run", "torch:load", "torch.hub:load", "../other.py:G", "link.py:G", "/etc/x.py:G",
        "nowhere:G",
    ],
)  # fmt: skip
def test_what_lies_elsewhere_is_not(folder: Path, factory: str) -> None:
    assert places(table(factory=factory), folder) == ["workload.0.factory"]


def test_a_table_cannot_move_its_own_folder(folder: Path) -> None:
    assert places(table(factory="other.py:G", folder=".."), folder) == ["workload.0.factory"]


@pytest.mark.parametrize(
    ("factory", "trust"),
    [("torch.hub:load", "torch"), ("torch.hub:load", "torch.hub"), ("mygan:G", "mygan"), ("mygan.nets:G", "mygan")],
)
def test_what_the_user_trusts_is_trusted_with_all_that_is_in_it(folder: Path, factory: str, trust: str) -> None:
    assert places(table(factory=factory), folder, trust) == []


def test_a_module_is_not_trusted_for_the_beginning_of_its_name(folder: Path) -> None:
    assert places(table(factory="mygans:G"), folder, "mygan") == ["workload.0.factory"]
    assert places(table(factory="torch:load"), folder, "torch.hub") == ["workload.0.factory"]


def test_a_file_is_trusted_by_its_path(folder: Path) -> None:
    assert places(table(factory="../other.py:G"), folder, str(folder.parent / "other.py")) == []
    assert places(table(factory="../other.py:G"), folder, "other.py") == ["workload.0.factory"]


def test_every_place_that_names_code_is_looked_at(folder: Path) -> None:
    raw = {
        "experiment": {"plugins": ["os", "gan.py", str(folder / "gan.py")]},
        "quality": {"extractor": "os:system"},
        "workload": [
            {"factory": "gan.py:G", "discriminator": {"factory": "os:system"}, "extractor": "os:system"},
            {"factory": "os:popen", "extractor": "inception-v3-compat"},
        ],
    }
    assert places(raw, folder) == [
        "experiment.plugins.0",
        "experiment.plugins.1",  # plug-ins start at the working folder
        "quality.extractor",
        "workload.0.discriminator.factory",
        "workload.0.extractor",
        "workload.1.factory",
    ]


@pytest.mark.parametrize(
    "raw", [{}, {"workload": 5}, {"workload": [5]}, table(factory=5, discriminator=[], extractor=1.5)]
)
def test_what_is_no_table_is_somebody_else_s_to_say(folder: Path, raw: dict[str, Any]) -> None:
    assert list(untrusted(raw, folder, ())) == []
