"""The source of another revision, beside ours in one process: the same modules under another package name."""

from __future__ import annotations

import ast
import importlib.abc
import importlib.util
import io
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

from bench.base.errors import UserError

PACKAGES = ("bench", "strategies")
"""What is loaded from a revision."""


def git(folder: Path, *arguments: str) -> bytes:
    """The output of git in ``folder``; raises UserError with what git says."""
    try:
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, check=True, timeout=120)
    except FileNotFoundError as error:
        raise UserError("git is not installed; name a run or the folder of a baseline instead.") from error
    except subprocess.TimeoutExpired as error:
        raise UserError(f"git {arguments[0]}: no answer within two minutes.") from error
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip().splitlines()
        raise UserError(f"git {arguments[0]}: {said[-1] if said else 'failed'}") from error
    return done.stdout


def commit_of(folder: Path, revision: str) -> str | None:
    """The full hash of a revision; None where git knows no such thing."""
    try:
        found = git(folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    except UserError:
        return None
    return found.decode().strip() or None


def top_of(folder: Path) -> Path | None:
    """The top folder of the checkout that ``folder`` is in; None outside of one."""
    try:
        return Path(git(folder, "rev-parse", "--show-toplevel").decode().strip())
    except UserError:
        return None


def extract(repository: Path, commit: str, paths: Sequence[str], folder: Path) -> list[str]:
    """Put those of ``paths`` that the commit has into ``folder``; returns which they were."""
    listed = git(repository, "ls-tree", "--name-only", "-z", commit, "--", *paths).decode().split("\0")
    there = [path for path in paths if path.rstrip("/") in listed]
    if there:
        content = git(repository, "archive", "--format=tar", commit, "--", *there)
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            archive.extractall(folder, filter="data")
    return there


def same_source(folder: Path) -> bool:
    """Whether the Python files of the packages in ``folder`` are those that run here, byte for byte."""
    ours = Path(__file__).parents[2]
    return all(_python_files(folder / package) == _python_files(ours / package) for package in PACKAGES)


def _python_files(package: Path) -> dict[str, bytes]:
    return {str(path.relative_to(package)): path.read_bytes() for path in sorted(package.rglob("*.py"))}


def load(folder: Path, alias: str, module: str) -> ModuleType:
    """``module`` (``bench.gate.rebuild``) from the packages in ``folder``, as ``<alias>.bench.gate.rebuild``.

    Every absolute import of our packages inside of it is turned to the alias, so nothing of it is ours and
    nothing of ours is its. Names in texts (``import_module("bench.x")``) are not seen.
    """
    if alias not in sys.modules:
        root = ModuleType(alias)
        root.__path__ = [str(folder)]
        sys.modules[alias] = root
        sys.meta_path.insert(0, _Finder(alias))
    elif sys.modules[alias].__path__ != [str(folder)]:
        raise ValueError(f"{alias} is already the source in {sys.modules[alias].__path__}")
    return importlib.import_module(f"{alias}.{module}")


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, alias: str) -> None:
        self.alias = alias

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not fullname.startswith(f"{self.alias}."):
            return None
        found = PathFinder.find_spec(fullname, path, target)
        if found is None or found.origin is None or not found.origin.endswith(".py"):
            return found
        return importlib.util.spec_from_file_location(
            fullname,
            found.origin,
            loader=_Loader(self.alias, Path(found.origin)),
            submodule_search_locations=found.submodule_search_locations,
        )


class _Loader(importlib.abc.Loader):
    def __init__(self, alias: str, path: Path) -> None:
        self.alias, self.path = alias, path

    def exec_module(self, module: ModuleType) -> None:
        tree = _Renamed(self.alias).visit(ast.parse(self.path.read_text(encoding="utf-8"), str(self.path)))
        exec(compile(ast.fix_missing_locations(tree), str(self.path), "exec"), module.__dict__)


class _Renamed(ast.NodeTransformer):
    """Turns absolute imports of our packages to the alias."""

    def __init__(self, alias: str) -> None:
        self.alias = alias

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST:
        if node.level == 0 and node.module and _ours(node.module):
            node.module = f"{self.alias}.{node.module}"
        return node

    def visit_Import(self, node: ast.Import) -> ast.AST | list[ast.stmt]:
        statements: list[ast.stmt] = []
        for name in node.names:
            if not _ours(name.name):
                statements.append(ast.Import([name]))
            elif name.asname:
                statements.append(ast.Import([ast.alias(f"{self.alias}.{name.name}", name.asname)]))
            else:  # `import bench.x` binds `bench`
                statements.append(ast.Import([ast.alias(f"{self.alias}.{name.name}", f"_{self.alias}")]))
                package = name.name.partition(".")[0]
                statements.append(ast.ImportFrom(self.alias, [ast.alias(package)], 0))
        return [ast.copy_location(statement, node) for statement in statements]


def _ours(module: str) -> bool:
    return module.partition(".")[0] in PACKAGES
