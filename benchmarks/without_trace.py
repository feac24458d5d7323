# SPDX-License-Identifier: GPL-2.0-only
"""hvolab with its trace points cut out of the source before it is compiled, to measure the tests for listeners.

Every ``….listeners`` that is read becomes ``False``, and so does the local name ``listening`` that remembers one;
the compiler then drops what stands behind it.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, ModuleType

from benchmarks.report import BenchmarkError

_TRACE = "hvolab.trace"  # keeps the list itself
_ATTRIBUTE, _REMEMBERED = "listeners", "listening"


class _Cut(ast.NodeTransformer):
    """Replaces the tests and counts them."""

    def __init__(self) -> None:
        self.points = 0

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        if node.attr == _ATTRIBUTE and isinstance(node.ctx, ast.Load):
            self.points += 1
            return ast.copy_location(ast.Constant(value=False), node)
        return self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if node.id == _REMEMBERED and isinstance(node.ctx, ast.Load):
            return ast.copy_location(ast.Constant(value=False), node)
        return node


class _Loader(SourceFileLoader):
    """Compiles from source each time, without the cache of what was compiled before."""

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        tree = _CUT.visit(ast.parse(self.get_data(path), path))
        code: CodeType = compile(tree, path, "exec", dont_inherit=True)
        return code


class _Finder(MetaPathFinder):
    """Finds hvolab's modules where they are and has them loaded by :class:`_Loader`."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] != "hvolab" or fullname == _TRACE:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Loader(fullname, spec.loader.path)
        return spec


_CUT = _Cut()


def install() -> None:
    """Cut the trace points out of every module of hvolab that is imported from now on.

    Raises BenchmarkError if hvolab is imported already.
    """
    if any(name.partition(".")[0] == "hvolab" for name in sys.modules):
        raise BenchmarkError("hvolab is imported already: its trace points cannot be cut out any more")
    sys.meta_path.insert(0, _Finder())


def points() -> int:
    """Return the number of tests for listeners that were cut out so far."""
    return _CUT.points
