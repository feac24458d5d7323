"""What no linter knows of the house rules: core names no architecture, in code, strings, comments or file names."""

from __future__ import annotations

import io
import re
import tokenize
from pathlib import Path

import pytest

CORE = Path(__file__).parents[1] / "core"
# 0x86 is a number, also where a docstring shows it.
ARCHITECTURE = re.compile(r"(?<![0-9a-z])x86|amd64|arm64|aarch64|riscv|loongarch|s390", re.IGNORECASE)


def architectures_named(source: str) -> list[str]:
    """Each token that names an architecture, as `line: token`; comments and docstrings are tokens too."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return [f"{token.start[0]}: {token.string}" for token in tokens if ARCHITECTURE.search(token.string)]


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


def test_no_module_of_core_names_an_architecture() -> None:
    modules = sorted(CORE.rglob("*.py"))
    assert modules
    found = {str(path.relative_to(CORE)): architectures_named(path.read_text("utf-8")) for path in modules}
    assert {module: names for module, names in found.items() if names} == {}


def test_no_file_of_core_is_named_after_an_architecture() -> None:
    names = [str(path.relative_to(CORE)) for path in CORE.rglob("*")]
    assert [name for name in names if ARCHITECTURE.search(name)] == []
