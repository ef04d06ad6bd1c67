"""What can be changed in a file: one operator, constant, condition or choice at a time, at its exact place."""

from __future__ import annotations

import ast
import re
from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise

COMPARED: dict[type[ast.cmpop], tuple[str, tuple[str, ...]]] = {
    ast.Lt: ("<", ("<=", ">=")),
    ast.LtE: ("<=", ("<", ">")),
    ast.Gt: (">", (">=", "<=")),
    ast.GtE: (">=", (">", "<")),
    ast.Eq: ("==", ("!=",)),
    ast.NotEq: ("!=", ("==",)),
    ast.Is: ("is", ("is not",)),
    ast.IsNot: (r"is\s+not", ("is",)),
    ast.In: ("in", ("not in",)),
    ast.NotIn: (r"not\s+in", ("in",)),
}
"""Operator -> how it is written (a pattern) and what it becomes: the boundary moved, or turned round."""
COMPUTED: dict[type[ast.operator], tuple[str, str]] = {
    ast.Add: (r"\+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: (r"\*", "/"),
    ast.Div: ("/", "*"),
    ast.FloorDiv: ("//", "*"),
    ast.Mod: ("%", "*"),
    ast.Pow: (r"\*\*", "*"),
    ast.MatMult: ("@", "*"),
    ast.BitAnd: ("&", "|"),
}
CALLED = {
    "min": "max", "max": "min", "any": "all", "all": "any", "floor": "ceil", "ceil": "floor", "argmin": "argmax",
    "argmax": "argmin", "minimum": "maximum", "maximum": "minimum", "amin": "amax", "amax": "amin", "abs": "float",
    "log1p": "log", "expm1": "exp", "mean": "sum", "fmean": "sum", "median": "mean",
}  # fmt: skip
"""Functions and methods by what they may be confused with."""
CHOOSES = {"replace", "sorted", "min", "max", "clamp", "std", "var"}
"""Functions whose named arguments are rules: they are left out in turn."""
TOLD = {
    "print", "progress", "warn", "echo", "UserError", "NotApplicable", "Infeasible", "ValueError", "TypeError",
    "unsupported_ops_warnings", "uncalled_modules_warnings", "tracer_warnings",
}  # fmt: skip
"""Calls whose arguments are words for people, or say whether there are any."""
NO_RULE = {
    "strict", "encoding", "dtype", "device", "frozen", "inplace", "compare", "kw_only", "stable", "set_to_none",
    "sort", "ignore_index",
}  # fmt: skip
"""Keywords whose value no number hangs on: checks that hold anyway, how a class may be made and compared, what is not
a number, and in which order a table's rows are put together before they are sorted. On the CPU, where scores lie, every
sort of PyTorch's is stable; a gradient that is nothing and one of zeros are the same where each step makes all of
them."""
TEXTS = (ast.JoinedStr, ast.List, ast.Tuple, ast.Dict, ast.Set, ast.ListComp)
"""Operands that are joined, not added."""
GUARD = 1e-5
"""A constant below it keeps a division or a rounding safe: half as much again would be no change, so it grows more."""


@dataclass(frozen=True)
class Change:
    """``old`` at the bytes ``start`` to ``end`` of a file becomes ``new``."""

    kind: str
    function: str
    line: int
    start: int
    end: int
    old: str
    new: str

    def of(self, source: bytes) -> bytes:
        """The file after the change."""
        return source[: self.start] + self.new.encode() + source[self.end :]


def changes_of(source: bytes) -> list[Change]:
    """All changes of a file, in the order of the text. Docstrings, messages and annotations are left alone."""
    finder = _Finder(source)
    finder.visit(ast.parse(source))
    return sorted(set(finder.found), key=lambda change: (change.start, change.end, change.new))


def is_change(source: bytes, change: Change) -> bool:
    """Whether the changed file is Python, and another program."""
    try:
        return ast.dump(ast.parse(change.of(source))) != ast.dump(ast.parse(source))
    except SyntaxError:
        return False


class _Finder(ast.NodeVisitor):
    def __init__(self, source: bytes) -> None:
        self.source = source
        self.lines = [0]
        for line in source.splitlines(keepends=True):
            self.lines.append(self.lines[-1] + len(line))
        self.inside: list[str] = []
        self.found: list[Change] = []

    # Where to look.

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self.inside.append(node.name)
        for default in (*node.args.defaults, *(one for one in node.args.kw_defaults if one)):
            self.visit(default)
        for statement in node.body:
            self.visit(statement)
        self.inside.pop()

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.inside.append(node.name)
        for statement in node.body:
            self.visit(statement)
        self.inside.pop()

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)

    def visit_Assign(self, node: ast.Assign) -> None:
        if ast.unparse(node.targets[0]) != "__all__":
            self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> None: ...

    def visit_Assert(self, node: ast.Assert) -> None: ...

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None: ...

    def visit_keyword(self, node: ast.keyword) -> None:
        if node.arg not in NO_RULE:
            self.generic_visit(node)

    # What to change.

    def visit_Compare(self, node: ast.Compare) -> None:
        for left, operator, right in zip([node.left, *node.comparators], node.ops, node.comparators, strict=False):
            pattern, others = COMPARED[type(operator)]
            for other in others:
                self._between("comparison", left, right, pattern, other)
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        self._computed(node.left, node.op, node.right)
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self._computed(node.target, node.op, node.value)
        self.visit(node.value)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        pattern, other = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
        for left, right in pairwise(node.values):
            self._between("condition", left, right, rf"\b{pattern}\b", other)
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.USub | ast.Not):
            kind = "sign" if isinstance(node.op, ast.USub) else "condition"
            self._add(kind, self._start(node), self._start(node.operand), "")
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        value = node.value
        if isinstance(value, bool):
            new = str(not value)
        elif isinstance(value, int):
            new = str(value + 1)
        elif isinstance(value, float):
            new = repr(1.0 if value == 0 else value * (1e6 if abs(value) < GUARD else 1.5))
        else:
            return
        self._add("constant", self._start(node), self._end(node), new)

    def visit_Call(self, node: ast.Call) -> None:
        name = node.func
        called = name.id if isinstance(name, ast.Name) else name.attr if isinstance(name, ast.Attribute) else ""
        if called in TOLD:
            return
        if called in CALLED:
            end = self._end(name)
            self._add("function", end - len(called), end, CALLED[called])
        if called in CHOOSES:
            self._leave_out(node)
        self.generic_visit(node)

    def visit_If(self, node: ast.If) -> None:
        if ast.unparse(node.test) != "TYPE_CHECKING":
            self._negate(node.test)
            self.generic_visit(node)

    def visit_While(self, node: ast.While) -> None:
        self._negate(node.test)
        self.generic_visit(node)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self._negate(node.test)
        self.generic_visit(node)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        for test in node.ifs:
            self._negate(test)
        self.generic_visit(node)

    def visit_Break(self, node: ast.Break) -> None:
        self._add("loop", self._start(node), self._end(node), "continue")

    def visit_Continue(self, node: ast.Continue) -> None:
        self._add("loop", self._start(node), self._end(node), "break")

    # How.

    def _negate(self, test: ast.expr) -> None:
        """But for what a change of its one operator negates already."""
        if not (isinstance(test, ast.Compare) and len(test.ops) == 1) and not isinstance(test, ast.UnaryOp):
            start, end = self._start(test), self._end(test)
            self._add("condition", start, end, f"(not ({self.source[start:end].decode()}))")

    def _leave_out(self, call: ast.Call) -> None:
        """Each named argument that comes after another one, with the comma before it."""
        arguments = [*call.args, *call.keywords]
        for before, argument in pairwise(arguments):
            if isinstance(argument, ast.keyword) and argument.arg is not None:
                end = self._end(argument)
                self._add("argument", self._end(before), end, "")

    def _computed(self, left: ast.expr, operator: ast.operator, right: ast.expr) -> None:
        joined = any(isinstance(x, TEXTS) or (isinstance(x, ast.Constant) and isinstance(x.value, str))
                     for x in (left, right))  # fmt: skip
        if type(operator) in COMPUTED and not joined:
            self._between("arithmetic", left, right, *COMPUTED[type(operator)])

    def _between(self, kind: str, left: ast.expr, right: ast.expr, pattern: str, new: str) -> None:
        """The operator that is written between two operands."""
        start, end = self._end(left), self._start(right)
        found = re.search(pattern.encode(), self.source[start:end])
        if found:
            self._add(kind, start + found.start(), start + found.end(), new)

    def _add(self, kind: str, start: int, end: int, new: str) -> None:
        line = bisect_right(self.lines, start)
        self.found.append(Change(kind, ".".join(self.inside), line, start, end, self.source[start:end].decode(), new))

    def _start(self, node: ast.expr | ast.stmt) -> int:
        return self.lines[node.lineno - 1] + node.col_offset

    def _end(self, node: ast.expr | ast.stmt | ast.keyword) -> int:
        assert node.end_lineno is not None and node.end_col_offset is not None
        return self.lines[node.end_lineno - 1] + node.end_col_offset
