# SPDX-License-Identifier: GPL-2.0-only
"""Import graph of the product: modules, the folders they stand in, the longest chain of imports, and circles."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[1]
#: The source roots of the product.
SOURCES = ("core", "arches", "plugins")

Graph = Mapping[str, frozenset[str]]


@dataclass(frozen=True)
class Module:
    """One module of the product.

    name     dotted name; that of the package for an `__init__`
    path     file, relative to the checkout
    source   its text
    imports  dotted names of the product's modules that it imports, in functions and under TYPE_CHECKING too
    """

    name: str
    path: Path
    source: str
    imports: frozenset[str]

    def functions(self) -> Iterator[tuple[str, int, int]]:
        """Yield name, first line and number of lines of each function, decorators and docstring left out."""
        for node in _nodes(self.source):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                text = (ast.get_docstring(node, clean=False) or "").count("\n")
                yield node.name, node.lineno, (node.end_lineno or node.lineno) - node.lineno + 1 - text


@cache
def modules() -> tuple[Module, ...]:
    """Return all modules of the product."""
    paths = {
        dotted_name(path.relative_to(ROOT / source)): path
        for source in SOURCES
        for path in sorted((ROOT / source).rglob("*.py"))
    }
    sources = {name: path.read_text("utf-8") for name, path in paths.items()}
    return tuple(
        Module(name, path.relative_to(ROOT), sources[name], frozenset(imported(sources[name], paths)) - {name})
        for name, path in paths.items()
    )


def dotted_name(path: Path) -> str:
    """Return the dotted name of a file whose path begins at its source root."""
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(source: str, known: Iterable[str]) -> Iterator[str]:
    """Yield those of the `known` modules that `source` imports anywhere; an imported name counts for its module."""
    names = frozenset(known)
    for node in _nodes(source):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield from (each for each in (name if name in names else node.module,) if each in names)


def folders() -> list[str]:
    """Return the dotted names of all packages of the product but `hvolab`, whose floors import-linter holds."""
    names = {module.name for module in modules()}
    packages = {name for name in names if any(other.startswith(f"{name}.") for other in names)}
    return sorted(packages - {"hvolab"})


@cache
def _nodes(source: str) -> tuple[ast.AST, ...]:
    kinds = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef)
    return tuple(node for node in ast.walk(ast.parse(source)) if isinstance(node, kinds))


def folder_of(module: Module) -> str:
    """Return the dotted name of the package that a module stands in; a package stands in itself."""
    return module.name if module.path.stem == "__init__" else module.name.rpartition(".")[0]


def mirror_of(module: Module) -> Path | None:
    """Return where the test module of a module belongs; `None` for a package, and for what is a test module itself.

    The path below `core/hvolab`, `arches` or `plugins` stays the same: `core/hvolab/machine/memory/tables.py` has
    `tests/core/machine/memory/test_tables.py`, `arches/hvolab_arm64/entries.py` has
    `tests/arches/hvolab_arm64/test_entries.py`.
    """
    name = module.path.stem.strip("_")
    if module.path.stem == "__init__" or name.startswith("test_"):
        return None
    source, *folders_below = module.path.parent.parts
    return Path("tests", source, *folders_below[source == "core" :], f"test_{name}.py")


def graph_of(folder: str, among: Iterable[Module]) -> Graph:
    """Return the imports between the direct members of a folder; a folder in it is one member.

    The folder's own `__init__` is a member by the folder's name.
    """
    graph: dict[str, set[str]] = {}
    for module in among:
        member = _member(folder, module.name)
        if member is not None:
            inside = {_member(folder, name) for name in module.imports}
            graph.setdefault(member, set()).update(name for name in inside if name not in {None, member})
    return {member: frozenset(imports) for member, imports in graph.items()}


def _member(folder: str, name: str) -> str | None:
    """Return the direct member of the folder that a module is in or is; `None` for one outside the folder."""
    if name == folder:
        return folder
    if not name.startswith(f"{folder}."):
        return None
    return f"{folder}.{name.removeprefix(f'{folder}.').split('.')[0]}"


def circle(graph: Graph) -> list[str]:
    """Return the members of one import circle, the first repeated at the end; empty where there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(reversed(error.args[1]))
    return []


def longest_chain(graph: Graph) -> list[str]:
    """Return the longest chain of imports in a graph without circles, the importing end first."""
    chains: dict[str, list[str]] = {}
    for member in TopologicalSorter(graph).static_order():
        below = max((chains[name] for name in sorted(graph.get(member, ()))), key=len, default=[])
        chains[member] = [member, *below]
    return max((chains[member] for member in sorted(chains)), key=len, default=[])
