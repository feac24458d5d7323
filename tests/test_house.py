# SPDX-License-Identifier: GPL-2.0-only
"""House rules that no linter checks: architectures in core, floors, sizes, mirrored tests, plain words."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import plain_words, rooms

#: What these read is the same with every interpreter.
pytestmark = pytest.mark.slow

CORE = Path(__file__).parents[1] / "core"
# 0x86 is a number, also where a docstring shows it.
ARCHITECTURE = re.compile(r"(?<![0-9a-z])x86|amd64|arm64|aarch64|riscv|loongarch|s390", re.IGNORECASE)
#: An example in the help of a command, which has to name one to be typed.
EXAMPLE = re.compile(r"^    hvolab .*$", re.MULTILINE)


def architectures_named(source: str) -> list[str]:
    """Each token that names an architecture, as `line: token`; comments and docstrings are tokens too."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return [
        f"{token.start[0]}: {token.string}" for token in tokens if ARCHITECTURE.search(EXAMPLE.sub("", token.string))
    ]


@pytest.mark.parametrize(
    "source",
    [
        "import hvolab_x86_64",
        "name = 'riscv64'",
        "note = f'{name} is not LoongArch'",
        "# as on s390",
        '"""Unlike arm64."""',
        "is_x86 = True",
    ],
)
def test_an_architecture_is_noticed_wherever_it_is_named(source: str) -> None:
    assert architectures_named(source)


@pytest.mark.parametrize("source", ["raw = 0x86", "raw = 0x8664", '"""Decodes 0x86 and 0X86."""'])
def test_a_hexadecimal_number_is_not_taken_for_an_architecture(source: str) -> None:
    assert architectures_named(source) == []


def test_an_example_in_a_help_names_an_architecture() -> None:
    example = "    hvolab run --arch riscv"
    assert architectures_named(f'"""Run.\n\n{example}\n"""') == []
    assert architectures_named(f'"""Run riscv.\n\n{example}\n"""')


def test_no_module_of_core_names_an_architecture() -> None:
    modules = sorted(CORE.rglob("*.py"))
    assert modules
    found = {str(path.relative_to(CORE)): architectures_named(path.read_text("utf-8")) for path in modules}
    assert {module: names for module, names in found.items() if names} == {}


def test_no_file_of_core_is_named_after_an_architecture() -> None:
    names = [str(path.relative_to(CORE)) for path in CORE.rglob("*")]
    assert [name for name in names if ARCHITECTURE.search(name)] == []


_MOST_FLOORS, _MOST_LINES, _MOST_FUNCTION_LINES = 6, 400, 60


def floors_broken() -> Iterator[str]:
    """Import circles, too many floors, long modules, long functions."""
    for folder in rooms.folders():
        graph = rooms.graph_of(folder, rooms.modules())
        if found := rooms.circle(graph):
            yield f"{folder}: import circle: {' > '.join(found)}"
        elif len(found := rooms.longest_chain(graph)) > _MOST_FLOORS:
            yield f"{folder}: {len(found)} floors: {' > '.join(found)}"
    for module in rooms.modules():
        if (lines := module.source.count("\n")) > _MOST_LINES:
            yield f"{module.path} has {lines} lines"
        for name, line, lines in module.functions():
            if lines > _MOST_FUNCTION_LINES:
                yield f"{module.path}:{line}: {name}() has {lines} lines"


def missing_tests() -> Iterator[str]:
    """Modules without a test module of their name in the same place below tests/."""
    for module in rooms.modules():
        test = rooms.mirror_of(module)
        if test is not None and not (rooms.ROOT / test).is_file():
            yield f"{module.path} has no {test}"


def test_every_folder_is_at_most_six_floors_high_and_no_module_or_function_is_long() -> None:
    assert list(floors_broken()) == []


def test_every_module_has_a_test_module_in_the_same_place() -> None:
    assert list(missing_tests()) == []


def test_texts_of_the_product_use_plain_words() -> None:
    assert [str(finding) for finding in plain_words.findings()] == []


@pytest.mark.slow
def test_two_processes_that_a_module_stops_end_with_the_modules_own_error(tmp_path: Path) -> None:
    for name, source in (("a", "def test_it(): pass"), ("b", "import no_such_module"), ("c", "def test_it(): pass")):
        (tmp_path / f"test_{name}.py").write_text(f"{source}\n", encoding="utf-8")
    rules = ("-c", str(CORE.parent / "pyproject.toml"), "--rootdir", str(tmp_path), "-p", "no:cacheprovider")
    command = [sys.executable, "-m", "pytest", "-n", "2", "-x", *rules, str(tmp_path)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert "No module named 'no_such_module'" in done.stdout
    assert (done.returncode, "INTERNALERROR" in done.stdout + done.stderr) == (2, False), done.stdout
    assert "syrupy" not in done.stderr
