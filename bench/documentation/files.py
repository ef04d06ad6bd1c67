"""The tables of fields in `docs/results-format.md`, from the docstrings of the schema.

Between ``<!-- fields of MODULE.CLASS -->`` and ``<!-- end -->`` stand a class's docstring and a row for each of its
fields; the rest of the page is written by hand. `make docs` fills the blocks anew.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PAGE = Path("docs/results-format.md")

_BLOCK = re.compile(r"(<!-- fields of (\S+)\.(\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
_PLAIN = {"str": "text", "int": "integer", "float": "number", "bool": "true or false", "Any": "anything"}


@dataclass(frozen=True)
class Field:
    """One field of a class."""

    name: str
    kind: ast.expr
    """Its annotation."""
    text: str
    """Its docstring on one line; empty where it has none."""


def filled(page: str) -> str:
    """``page`` with every block as the code has it now."""
    described = {name for _, _, name, _ in _BLOCK.findall(page)}
    return _BLOCK.sub(lambda found: f"{found[1]}{_block(found[2], found[3], described)}{found[4]}", page)


def described_in(page: str) -> list[tuple[str, str]]:
    """(module, class) of every block."""
    return [(module, name) for _, module, name, _ in _BLOCK.findall(page)]


def fields_of(module: str, name: str) -> list[Field]:
    """The fields of a class, as they stand in its source."""
    body = _classes(module)[name].body
    after = [*body[1:], None]
    return [
        Field(node.target.id, node.annotation, _docstring(following))
        for node, following in zip(body, after, strict=True)
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    ]


def classes_with_fields(module: str) -> list[str]:
    """The public classes of a module that declare fields."""
    return [name for name in _classes(module) if not name.startswith("_") and fields_of(module, name)]


def _block(module: str, name: str, described: set[str]) -> str:
    about = _one_line(ast.get_docstring(_classes(module)[name]) or "")
    rows = [
        f"| `{field.name}` | {_in_words(field.kind, module, described)} | {_markdown(field.text)} |"
        for field in fields_of(module, name)
    ]
    table = "\n".join(["| field | type | content |", "|---|---|---|", *rows])
    return f"### `{name}`\n\n{_markdown(about)}\n\n{table}\n"


def _in_words(kind: ast.expr, module: str, described: set[str]) -> str:
    """An annotation in the words of JSON; a class that is described too becomes a link."""
    match kind:
        case ast.Constant(value=None):
            return "null"
        case ast.BinOp(left=left, right=right):
            parts = [_in_words(side, module, described) for side in (left, right)]
            return "number" if set(parts) == {"integer", "number"} else " or ".join(parts)
        case ast.Subscript(value=ast.Name(id="Literal"), slice=values):
            return ", ".join(f"`{ast.literal_eval(value)}`" for value in _members(values))
        case ast.Subscript(value=ast.Name(id="NotRequired"), slice=inner):
            return f"{_in_words(inner, module, described)}; may be absent"
        case ast.Subscript(value=ast.Name(id="list"), slice=inner):
            return f"list of {_grouped(_in_words(inner, module, described))}"
        case ast.Subscript(value=ast.Name(id="tuple"), slice=inner):
            return f"[{', '.join(_in_words(member, module, described) for member in _members(inner))}]"
        case ast.Subscript(value=ast.Name(id="dict"), slice=ast.Tuple(elts=[_, inner])):
            return f"object of {_grouped(_in_words(inner, module, described))}"
        case ast.Name(id=name) if name in described:
            return f"[`{name}`](#{name.lower()})"
        case ast.Name(id=name) if name in _PLAIN:
            return _PLAIN[name]
        case ast.Name(id=name) if name in (aliases := dict(_aliases(module))):
            return _in_words(aliases[name], module, described)
        case ast.Name(id=name):
            return f"`{name}`"
    raise ValueError(f"{module}: no words for the type {ast.unparse(kind)}")


def _grouped(words: str) -> str:
    return f"({words})" if " or " in words else words


def _members(node: ast.expr) -> list[ast.expr]:
    return node.elts if isinstance(node, ast.Tuple) else [node]


def _tree(module: str) -> ast.Module:
    return ast.parse(inspect.getsource(importlib.import_module(module)))


def _classes(module: str) -> dict[str, ast.ClassDef]:
    return {node.name: node for node in _tree(module).body if isinstance(node, ast.ClassDef)}


def _aliases(module: str) -> Iterator[tuple[str, ast.expr]]:
    for node in _tree(module).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            yield node.targets[0].id, node.value


def _docstring(node: ast.stmt | None) -> str:
    match node:
        case ast.Expr(value=ast.Constant(value=str(text))):
            return _one_line(text)
    return ""


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _markdown(text: str) -> str:
    """A docstring for a table: literals as code, Python's constants as JSON has them."""
    for python, json in (("None", "null"), ("False", "false"), ("True", "true")):
        text = re.sub(rf"\b{python}\b", json, text)
    return text.replace("``", "`").replace("|", "\\|")


def main(page: Path = PAGE) -> None:
    """Fill the blocks of the page anew."""
    page.write_text(filled(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
