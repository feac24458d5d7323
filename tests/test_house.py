"""House rules that no linter checks: architectures in core, floors, sizes, mirrored tests, plain words."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from tests import plain_words, rooms

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


# The lists below name what does not keep a rule yet. Each entry must still be needed: whoever brings a room in order
# takes its entry out.

#: Folders with an import circle, a chain of more than six members, or a long module or function.
_PENDING_FLOORS: frozenset[str] = frozenset()
#: Rooms with modules whose test is elsewhere.
_PENDING_MIRRORS: frozenset[str] = frozenset()
#: Rooms and pages with words that break a rule.
_PENDING_WORDS: frozenset[str] = frozenset(
    {
        "docs",
    }
)
#: Places whose words read like banned ones and are not: file and the words.
_ACCEPTED_WORDS: frozenset[tuple[str, str]] = frozenset()

_MOST_FLOORS, _MOST_LINES, _MOST_FUNCTION_LINES = 6, 400, 60


def room_of(path: Path) -> str:
    """The room that a file is in: a folder of `hvolab`, a package, a folder of the checkout, or a page at its top."""
    parts = path.parts
    if parts[:2] == ("core", "hvolab"):
        return "/".join(parts[: min(3, len(parts) - 1)])
    return "/".join(parts[: 2 if parts[0] in {*rooms.SOURCES, "examples"} else 1])


def not_in_order(offenders: Iterable[tuple[str, str]], pending: frozenset[str]) -> list[str]:
    """What breaks a rule in rooms that are not pending, and pending rooms in which nothing does."""
    found = list(offenders)
    stale = pending - {room for room, _ in found}
    return [
        *(f"{room}: {what}" for room, what in found if room not in pending),
        *(f"{room}: in order, so its entry in the list of pending rooms is to be taken out" for room in sorted(stale)),
    ]


def floors_broken() -> Iterator[tuple[str, str]]:
    """Folder and offense: import circles, too many floors, long modules, long functions."""
    for folder in rooms.folders():
        graph = rooms.graph_of(folder, rooms.modules())
        if found := rooms.circle(graph):
            yield folder, f"import circle: {' > '.join(found)}"
        elif len(found := rooms.longest_chain(graph)) > _MOST_FLOORS:
            yield folder, f"{len(found)} floors: {' > '.join(found)}"
    for module in rooms.modules():
        folder = rooms.folder_of(module)
        if (lines := module.source.count("\n")) > _MOST_LINES:
            yield folder, f"{module.path} has {lines} lines"
        for name, line, lines in module.functions():
            if lines > _MOST_FUNCTION_LINES:
                yield folder, f"{module.path}:{line}: {name}() has {lines} lines"


def missing_tests() -> Iterator[tuple[str, str]]:
    """Room and module of each module without a test module of its name in the same place below tests/."""
    for module in rooms.modules():
        test = rooms.mirror_of(module)
        if test is not None and not (rooms.ROOT / test).is_file():
            yield room_of(module.path), f"{module.path} has no {test}"


def words_broken() -> Iterator[tuple[str, str]]:
    """Room and finding of each text that breaks a rule."""
    for finding in plain_words.findings():
        if (finding.path.as_posix(), finding.words) not in _ACCEPTED_WORDS:
            yield room_of(finding.path), str(finding)


def test_every_folder_is_at_most_six_floors_high_and_no_module_or_function_is_long() -> None:
    assert not_in_order(floors_broken(), _PENDING_FLOORS) == []


def test_every_module_has_a_test_module_in_the_same_place() -> None:
    assert not_in_order(missing_tests(), _PENDING_MIRRORS) == []


def test_texts_of_the_product_use_plain_words() -> None:
    assert not_in_order(words_broken(), _PENDING_WORDS) == []


def test_every_accepted_text_is_still_there() -> None:
    there = {(finding.path.as_posix(), finding.words) for finding in plain_words.findings()}
    assert _ACCEPTED_WORDS - there == frozenset()


def test_a_pending_room_that_is_in_order_is_reported() -> None:
    assert not_in_order([("a", "wrong")], frozenset({"a"})) == []
    assert not_in_order([("a", "wrong")], frozenset()) == ["a: wrong"]
    (stale,) = not_in_order([], frozenset({"a"}))
    assert stale.startswith("a: in order")
