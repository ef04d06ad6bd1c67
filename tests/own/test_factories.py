"""Finding the user's function by name, and what of the user's source is part of a key."""

from __future__ import annotations

import sys
from pathlib import Path

import pydantic
import pytest

from bench.base.errors import UserError
from bench.workloads.factories import find_function, find_module, name_of, source_closure
from bench.workloads.own import Own, tree_hash
from tests.own.conftest import Describe
from tests.own.gans import Dcgan


def test_a_file_is_found_from_the_folder_and_run_once(tmp_path: Path) -> None:
    (tmp_path / "once_only.py").write_text(
        "import pathlib\npathlib.Path(__file__ + '.ran').open('a').write('x')\ndef f(): return 1\n"
    )
    first = find_function("once_only.py:f", tmp_path, "here")
    assert find_function("once_only.py:f", tmp_path, "here") is first
    assert (tmp_path / "once_only.py.ran").read_text() == "x"


def test_a_file_may_import_what_lies_beside_it(tmp_path: Path) -> None:
    (tmp_path / "beside_it.py").write_text("width = 7\n")
    (tmp_path / "the_gan.py").write_text("from beside_it import width\ndef f(): return width\n")
    assert find_function("the_gan.py:f", tmp_path, "here")() == 7


def test_two_files_of_one_name_are_two_modules(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "twin_gan.py").write_text(f"def f(): return {name!r}\n")
    found = [find_function("twin_gan.py:f", tmp_path / name, "here")() for name in ("a", "b")]
    assert found == ["a", "b"]


def test_a_helper_of_one_name_in_two_folders_is_refused_instead_of_mixed_up(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "twin_helper.py").write_text(f"who = {name!r}\n")
        (tmp_path / name / f"gan_{name}.py").write_text("import twin_helper\ndef f(): return twin_helper.who\n")
    assert find_function("gan_a.py:f", tmp_path / "a", "here")() == "a"
    with pytest.raises(UserError, match=r"imports twin_helper\.py beside it, but a module of that name is loaded"):
        find_function("gan_b.py:f", tmp_path / "b", "here")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere.py:f", "no file"),
        ("no_such_module_at_all:f", "must be importable"),
        ("gans.py:Dcgn", r"has no function 'Dcgn'\. It has .*Dcgan"),
        ("gans.py:number", "has no function 'number'"),
        ("fails.py:f", "fails when it is run: ZeroDivisionError"),
    ],
)
def test_what_is_not_found_is_said(folder: Path, name: str, message: str) -> None:
    (folder / "fails.py").write_text("1 / 0\n")
    with pytest.raises(UserError, match=message):
        find_function(name, folder, "here")


def test_the_source_that_counts_is_the_file_and_what_it_imports_beside_it(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "__init__.py").write_text("")
    (tmp_path / "inner" / "blocks.py").write_text("from . import norms\n")
    (tmp_path / "inner" / "norms.py").write_text("x = 1\n")
    (tmp_path / "unrelated.py").write_text("x = 1\n")
    (tmp_path / "closure_gan.py").write_text("import torch\nfrom inner.blocks import norms\ndef f(): return 1\n")
    found = source_closure(find_module("closure_gan.py:f", tmp_path, "here"))
    names = [path.relative_to(tmp_path.resolve()).as_posix() for path in found]
    assert names == ["closure_gan.py", "inner/__init__.py", "inner/blocks.py", "inner/norms.py"]


def test_an_installed_package_is_followed_within_itself_only() -> None:
    module = find_module("pydantic.color:Color", Path(), "here")
    found = {path.relative_to(Path(pydantic.__file__).parents[1]).parts[0] for path in source_closure(module)}
    assert found == {"pydantic"}


def test_the_hash_of_the_source_ignores_comments_and_sees_everything_else() -> None:
    texts = ["x = 1\n", "# said\nx  =  1\n", '"""Said."""\nx = 1\n', "x = 2\n"]
    hashes = [tree_hash(text) for text in texts]
    assert hashes[0] == hashes[1] == hashes[2] != hashes[3]


def test_arguments_output_and_discriminator_are_part_of_the_code(describe: Describe) -> None:
    plain = Own(describe()).code
    assert plain == Own(describe(name="other", checkpoint="both.pth")).code
    others = [
        Own(describe(**said)).code
        for said in (
            {"arguments": {"width": 4}},
            {"output": {"range": [0, 1]}},
            {"factory": "gans.py:Noisy"},
            {"discriminator": {"factory": "gans.py:Discriminator"}},
            {"discriminator": {"factory": "gans.py:Discriminator", "output": "probability"}},
        )
    ]
    assert len({plain, *others}) == 6


def test_a_class_is_named_by_its_file_and_what_cannot_be_found_again_is_refused() -> None:
    assert name_of(Dcgan) == f"{Path(sys.modules[Dcgan.__module__].__file__ or '').resolve()}:Dcgan"
    assert name_of("x.py:f") == "x.py:f"

    def inside() -> None:
        """Not at the top of a file."""

    for thing in (inside, lambda: None):
        with pytest.raises(UserError, match="top of a file"):
            name_of(thing)


NETWORKS = """
import functools, os, subprocess
from typing import Any
from torch import nn
class Net(nn.Module): pass
class Other: pass
def plain(): ...
def typed() -> nn.Module: ...
def narrow() -> Net: ...
def wide() -> object: ...
def anything() -> Any: ...
def missing() -> "NoSuchName": ...
cached = functools.lru_cache(plain)
def none() -> None: ...
def number() -> int: ...
system = os.system
bound = functools.partial(plain)
instance = Net()
"""


@pytest.mark.parametrize("name", ["Net", "plain", "typed", "narrow", "wide", "anything", "missing", "cached"])
def test_what_may_make_a_network_is_found(tmp_path: Path, name: str) -> None:
    (tmp_path / "kinds.py").write_text(NETWORKS)
    assert callable(find_function(f"kinds.py:{name}", tmp_path, "here"))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("Other", "is a class of something else"),
        ("none", "returns NoneType, as it says itself"),
        ("number", "returns int, as it says itself"),
        ("system", "is no function, but a builtin_function_or_method"),
        ("bound", "is no function, but a partial"),
        ("instance", "is no function, but a Net"),
    ],
)
def test_what_cannot_make_a_network_is_refused_and_not_called(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "kinds.py").write_text(NETWORKS)
    with pytest.raises(UserError, match=rf"^here: {name!r} of .*kinds\.py {reason}; expected a function"):
        find_function(f"kinds.py:{name}", tmp_path, "here")


def test_a_module_beside_the_file_is_found_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "beside_module.py").write_text("def f(): return 3\n")
    assert find_function("beside_module:f", tmp_path, "here")() == 3


def test_a_module_beside_the_file_that_another_stands_before_is_not_mixed_up(tmp_path: Path) -> None:
    (tmp_path / "pydantic.py").write_text("def f(): return 3\n")
    with pytest.raises(UserError, match=r"pydantic\.py lies in the folder of the file, but a module of that name"):
        find_function("pydantic:f", tmp_path, "here")


@pytest.mark.parametrize("source", ["raise SystemExit(0)", "import sys; sys.exit()"])
def test_a_file_that_leaves_when_it_is_run_is_said(tmp_path: Path, source: str) -> None:
    (tmp_path / "leaving.py").write_text(source)
    with pytest.raises(UserError, match=r"^here: .*leaving\.py: the code ended the process by SystemExit"):
        find_function("leaving.py:f", tmp_path, "here")
