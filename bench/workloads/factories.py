"""From ``module:function`` or ``file.py:function`` to the function, and to the hash of the source that defines it."""

from __future__ import annotations

import ast
import hashlib
import importlib
import importlib.util
import inspect
import sys
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from bench.base.code import OURS
from bench.base.containment import contained
from bench.base.errors import UserError
from bench.base.limits import A_CALL
from bench.base.raised import in_words
from bench.base.source import source_text

INSTALLED = ("site-packages", "dist-packages")


def find_function(name: str, folder: Path, here: str) -> Callable[..., Any]:
    """The function, or the class of an `nn.Module`, that ``name`` stands for; a file's name starts at ``folder``.

    A file is run only because the user named it, in an experiment or in a call. It sees the modules beside it,
    as a script does. What is found is looked at and not called.

    Args:
        here: the place, for messages.

    Raises:
        UserError: no such module, file or function; the source fails when it is run; what is found can make no
            network.
    """
    module = find_module(name, folder, here)
    function = name.rpartition(":")[2]
    found = getattr(module, function, None)
    if not callable(found):
        names = [key for key, thing in vars(module).items() if callable(thing) and not key.startswith("_")]
        raise UserError(f"{here}: {_place(module)} has no function {function!r}. It has {_few(names)}.")
    if reason := _makes_no_network(found):
        raise UserError(
            f"{here}: {function!r} of {_place(module)} {reason}; expected a function that returns a torch.nn.Module, "
            "or the class of one. It was not called."
        )
    thing: Callable[..., Any] = found
    return thing


def _makes_no_network(thing: Callable[..., Any]) -> str:
    """Why calling ``thing`` cannot give a network, as far as can be seen without calling it; '': it may."""
    if inspect.isclass(thing):
        return "" if issubclass(thing, nn.Module) else "is a class of something else"
    function = inspect.unwrap(thing)
    if not inspect.isfunction(function):
        return f"is no function, but a {type(thing).__name__}"
    try:
        returned = typing.get_type_hints(function).get("return")
    except Exception:  # noqa: BLE001 - annotations of names that are not there say nothing
        return ""
    if returned is Any or not inspect.isclass(returned):  # from Python 3.11 on, Any is a class
        return ""
    if issubclass(returned, nn.Module) or issubclass(nn.Module, returned):
        return ""
    return f"returns {returned.__name__}, as it says itself"


def find_module(name: str, folder: Path, here: str) -> ModuleType:
    """The module of ``name``, see `find_function`."""
    place = name.rpartition(":")[0]
    if place.endswith(".py"):
        return _from_file((folder / place).resolve(), here)
    top = place.partition(".")[0]
    beside = _file_of(folder, top) if top not in OURS else None
    if beside is not None and str(folder.resolve()) not in sys.path:
        sys.path.insert(0, str(folder.resolve()))
    try:
        with contained(f"{here}: {place!r}", A_CALL):
            module = importlib.import_module(place)
    except UserError:
        raise
    except ModuleNotFoundError as error:
        raise UserError(
            f"{here}: {error}. The module must be importable: installed, or on PYTHONPATH. A file is written "
            f"'file.py:{name.rpartition(':')[2]}'."
        ) from error
    except Exception as error:
        raise UserError(f"{here}: {place!r} cannot be imported: {in_words(error)}") from error
    file = getattr(sys.modules.get(top), "__file__", None)
    if beside is not None and file is not None and Path(file).resolve() != beside:
        raise UserError(
            f"{here}: {beside.name} lies in the folder of the file, but a module of that name is loaded from elsewhere "
            f"({file}). Write '{beside.name}:{name.rpartition(':')[2]}', or rename it."
        )
    return module


def _from_file(path: Path, here: str) -> ModuleType:
    if not path.is_file():
        raise UserError(f"{here}: no file {path}. Relative names start at the folder of the experiment's file.")
    for loaded in list(sys.modules.values()):
        file = getattr(loaded, "__file__", None)
        if isinstance(file, str) and file.endswith(path.name) and Path(file).resolve() == path:
            return loaded  # a script that names itself is not run again
    _no_doubles(path, here)
    name = (
        path.stem
        if path.stem not in sys.modules
        else f"{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    )
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))  # as for a script: it may import what lies beside it
    try:
        with contained(f"{here}: {path}", A_CALL):
            spec.loader.exec_module(module)
    except UserError:
        del sys.modules[name]
        raise
    except Exception as error:
        del sys.modules[name]
        raise UserError(f"{here}: {path} fails when it is run: {in_words(error)}") from error
    return module


def _no_doubles(path: Path, here: str) -> None:
    """Two files of one name in two folders cannot both be imported: the second would silently get the first."""
    for name in _imported(path):
        beside = _file_of(path.parent, name.split(".")[0])
        loaded = sys.modules.get(name.split(".")[0])
        file = getattr(loaded, "__file__", None)
        if beside and file and Path(file).resolve() != beside:
            raise UserError(
                f"{here}: {path.name} imports {beside.name} beside it, but a module of that name is loaded from "
                f"elsewhere ({file}). Rename one of them, or run the workloads in separate experiments."
            )


def source_closure(module: ModuleType) -> list[Path]:
    """The file of ``module`` and all of its package, or beside it, that it imports; sorted.

    What is installed is followed within its own package only: libraries are provenance, not definition.
    """
    file = getattr(module, "__file__", None)
    if not isinstance(file, str) or not file.endswith(".py"):
        return []
    start = Path(file).resolve()
    root = start.parent
    package = module.__name__ if module.__name__ not in {"__main__", "__mp_main__"} else ""
    while (root / "__init__.py").exists():
        root = root.parent
    installed = any(part in INSTALLED for part in root.parts) or root == Path(ast.__file__).resolve().parent
    found: set[Path] = set()
    waiting = [start]
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found.add(path)
        for name in _imported(path, root):
            if installed and name.split(".")[0] != package.split(".")[0]:
                continue
            waiting += _files_of(root, name)
    return sorted(found)


def _imported(path: Path, root: Path | None = None) -> Iterator[str]:
    """Dotted names of all that ``path`` imports; relative ones seen from ``root``."""
    try:
        tree = ast.parse(source_text(path))
    except (OSError, SyntaxError, ValueError, RecursionError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = node.module or ""
            if node.level and root is not None:
                above = path.parents[node.level - 1]
                parts = above.relative_to(root).parts if above.is_relative_to(root) else ()
                origin = ".".join([*parts, *([origin] if origin else [])])
            elif node.level:
                continue
            yield origin
            yield from (f"{origin}.{alias.name}" if origin else alias.name for alias in node.names)


def _files_of(root: Path, name: str) -> list[Path]:
    """The files below ``root`` that importing ``name`` would run: its packages and itself."""
    parts = [part for part in name.split(".") if part]
    ends = (_file_of(root.joinpath(*parts[:i]), part) for i, part in enumerate(parts))
    return [path for path in ends if path is not None]


def _file_of(folder: Path, name: str) -> Path | None:
    for path in (folder / f"{name}.py", folder / name / "__init__.py"):
        if path.is_file():
            return path.resolve()
    return None


def name_of(thing: Callable[..., Any] | str) -> str:
    """``file.py:function`` for a function or class that other processes must find again.

    Raises:
        UserError: it stands inside another function, or in no file.
    """
    if isinstance(thing, str):
        return thing
    name = getattr(thing, "__qualname__", type(thing).__name__)
    try:
        file = inspect.getsourcefile(thing)
    except TypeError:
        file = None
    if not name.isidentifier() or file is None:
        raise UserError(
            f"factory {name!r}: worker processes must find it again, so it has to be a function or class at the "
            "top of a file, not a lambda, nor inside another function, nor typed at a prompt."
        )
    return f"{Path(file).resolve()}:{name}"


def _place(module: ModuleType) -> str:
    return str(getattr(module, "__file__", None) or module.__name__)


def _few(names: list[str]) -> str:
    return ", ".join(names[:8]) + (", ..." if len(names) > 8 else "") if names else "none"
