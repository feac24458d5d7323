# SPDX-License-Identifier: GPL-2.0-only
"""Mutants of modules: each statement removed, each operator, constant and argument altered, one at a time."""

from __future__ import annotations

import ast
import copy
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import hvolab

#: Fields of nodes, with an index in lists, that lead from a module to a node in it.
Place = tuple[tuple[str, int | None], ...]
ROOMS = ("hvo", "hugetlb")
#: Modules that read texts, and protocols: no machine is behind them.
LEFT_OUT = frozenset({"__init__.py", "command_line.py", "knobs.py", "parameters.py", "interface.py"})
CORE = Path(hvolab.__file__).parent

_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
}
_OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
    ast.BitXor: ast.BitOr,
}
#: Statements that are not removed: they make no difference when the module runs, or make it not load.
_NOT_REMOVED = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef, ast.Pass)


@dataclass(frozen=True)
class Mutant:
    """A module with one change.

    module  path of the module below core/hvolab
    where   function or class in it
    change  what is changed, as source text
    number  number among equal changes in the same place
    line    line of the change
    lines   lines of the statement with the change; none if it runs when the module is loaded
    tree    the module; `path` leads to the changed node in it, `choice` is the number of its change
    """

    module: str
    where: str
    change: str
    number: int
    line: int
    lines: range
    tree: ast.Module
    path: Place
    choice: int

    @property
    def name(self) -> str:
        """Name that stays when other lines change."""
        return f"{self.module} {self.where}: {self.change}" + (f" #{self.number}" if self.number else "")

    def changed(self) -> ast.Module:
        """Return the module with the change."""
        tree = copy.deepcopy(self.tree)
        _replace(tree, self.path, list(_changes(_at(tree, self.path)))[self.choice][1])
        return ast.fix_missing_locations(tree)


def modules() -> list[str]:
    """Return the modules that are mutated, as paths below core/hvolab."""
    found = (path for room in ROOMS for path in sorted((CORE / room).glob("*.py")))
    return [str(path.relative_to(CORE)) for path in found if path.name not in LEFT_OUT]


def mutants_of(module: str) -> Iterator[Mutant]:
    """Yield every mutant of a module, in the order of its source."""
    tree = ast.parse((CORE / module).read_text(encoding="utf-8"))
    seen: Counter[tuple[str, str]] = Counter()
    for where, path in _places(tree, "module", ()):
        node = _at(tree, path)
        for choice, (change, _) in enumerate(_changes(node)):
            line = getattr(node, "lineno", 0)
            yield Mutant(module, where, change, seen[where, change], line, _lines(tree, path), tree, path, choice)
            seen[where, change] += 1


def _places(node: ast.AST, where: str, path: Place) -> Iterator[tuple[str, Place]]:
    """Yield the places below a node whose code runs: no annotations, decorators, docstrings and texts of errors."""
    if isinstance(node, ast.ClassDef | ast.FunctionDef):
        where = node.name if where == "module" else f"{where}.{node.name}"
    for field, value in ast.iter_fields(node):
        if field in {"annotation", "returns", "decorator_list", "type_params"} or isinstance(node, ast.JoinedStr):
            continue
        for index, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if not isinstance(child, ast.AST) or _is_text(child):
                continue
            here = (*path, (field, index))
            yield where, here
            yield from _places(child, where, here)


def _lines(tree: ast.Module, path: Place) -> range:
    """Return the lines of the innermost statement with a place, none outside of functions."""
    nodes = [_at(tree, path[:depth]) for depth in range(len(path) + 1)]
    if not any(isinstance(node, ast.FunctionDef) for node in nodes):
        return range(0)
    statement = next(node for node in reversed(nodes) if isinstance(node, ast.stmt))
    return range(statement.lineno, (statement.end_lineno or statement.lineno) + 1)


def _is_text(node: ast.AST) -> bool:
    """Return whether a node is a docstring, or makes the text of an error."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    return isinstance(node, ast.Raise | ast.AnnAssign) and getattr(node, "value", True) is None


def _at(node: ast.AST, path: Place) -> ast.AST:
    for field, index in path:
        child = getattr(node, field)
        node = child if index is None else child[index]
    return node


def _replace(tree: ast.AST, path: Place, new: ast.AST) -> None:
    parent, (field, index) = _at(tree, path[:-1]), path[-1]
    if index is None:
        setattr(parent, field, new)
    else:
        getattr(parent, field)[index] = new


def _changes(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Yield the changes of a node: a sentence, and the node in its place."""
    if isinstance(node, ast.stmt) and not isinstance(node, _NOT_REMOVED):
        yield f"remove `{_head(node)}`", ast.copy_location(ast.Pass(), node)
    match node:
        case ast.If() | ast.While() | ast.IfExp():
            for value in (True, False):
                if not (value and isinstance(node, ast.While)):
                    yield f"`{_text(node.test)}` is {value}", _with(node, test=ast.Constant(value))
        case ast.Compare(ops=[operator]):
            other = _COMPARISONS[type(operator)]()
            yield _becomes(node, _with(node, ops=[other]))
        case ast.BoolOp():
            yield _becomes(node, _with(node, op=ast.And() if isinstance(node.op, ast.Or) else ast.Or()))
            for index in range(len(node.values)):
                rest = node.values[:index] + node.values[index + 1 :]
                yield _becomes(node, rest[0] if len(rest) == 1 else _with(node, values=rest))
        case ast.UnaryOp():
            yield _becomes(node, node.operand)
        case ast.BinOp() | ast.AugAssign():
            if (other_operator := _OPERATORS.get(type(node.op))) is not None:
                yield _becomes(node, _with(node, op=other_operator()))
        case _:
            yield from _changes_of_values(node)


def _changes_of_values(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Yield the changes of a constant, slice or call."""
    match node:
        case ast.Constant(value=bool()):
            yield _becomes(node, ast.Constant(not node.value))
        case ast.Constant(value=int(value)):
            yield _becomes(node, ast.Constant(value + 1))
        case ast.Slice():
            for bound in ("lower", "upper", "step"):
                if getattr(node, bound) is not None:
                    yield _becomes(node, _with(node, **{bound: None}))
        case ast.Call():
            # without another argument than the last, each that follows has a wrong type
            if len(node.args) > 1:
                yield _becomes(node, _with(node, args=node.args[:-1]))
            for index in range(len(node.keywords)):
                yield _becomes(node, _with(node, keywords=node.keywords[:index] + node.keywords[index + 1 :]))


def _with(node: ast.AST, **fields: object) -> ast.AST:
    changed = copy.copy(node)
    for field, value in fields.items():
        setattr(changed, field, value)
    return changed


def _becomes(node: ast.AST, changed: ast.AST) -> tuple[str, ast.AST]:
    return f"`{_text(node)}` becomes `{_text(changed)}`", changed


def _text(node: ast.AST) -> str:
    if isinstance(node, ast.Slice):
        return ":".join("" if part is None else ast.unparse(part) for part in (node.lower, node.upper, node.step))
    return ast.unparse(node).splitlines()[0]


def _head(node: ast.stmt) -> str:
    """Return the first line of a statement."""
    return _text(node).rstrip(":")
