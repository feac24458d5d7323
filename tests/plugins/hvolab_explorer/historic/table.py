# SPDX-License-Identifier: GPL-2.0-only
"""Table of the historic bugs in docs/explorer.md."""

from __future__ import annotations

import re
from pathlib import Path

from hvolab_explorer.exploration import Found, Result
from tests.plugins.hvolab_explorer.historic.bugs import BUGS, HistoricBug
from tests.plugins.hvolab_explorer.historic.run import finding, with_fix, without_fix

PAGE = Path(__file__).parents[4] / "docs" / "explorer.md"
_TABLE = re.compile(
    r"(?<=<!-- table: python -m tests.plugins.hvolab_explorer.historic -->\n).*(?=<!-- end of table -->)", re.DOTALL
)
_COLUMNS = ("bug", "fix", "without it", "actors", "written for it", "found by", "in schedule", "classes with the fix")
_ORACLES = {
    r"invariant \d+ \((\w+)\)": r"invariant `{}`",
    r"faults: (\w+) fault": "{} fault",
    r"warns: ": "warning of the kernel",
    r"reads a free frame": "access to a free frame",
    r"an entry maps .* a page table": "entry that maps a page table",
    r"freed with the hugetlb type": "free with the hugetlb type",
    r"has free memory": "allocation that fails with free memory",
    r"acquired in a circle": "order of locks",
    r"stops: (\w+)": "`{}`",
}


def _state(bug: HistoricBug) -> str:
    """Return how the world of a bug differs, in words."""
    backing = bug.state.get("vmemmap")
    words = {
        "on a node with movable memory only": bug.state.get("movable"),
        "HVO is off": bug.state.get("enabled") is False,
        "A is surplus": bug.state.get("surplus"),
        "1 GiB pages": bug.state.get("size"),
        f"{backing.value if backing else ''} vmemmap": backing,
    }
    return ", ".join(word for word, holds in words.items() if holds)


def row(bug: HistoricBug, found: Found, classes: str) -> list[str]:
    """Return the cells of a bug: the finding without its fix, and the number of classes with it."""
    actors = f"`{bug.actors}`" + (f", without: `{bug.without.actors}`" if bug.without.actors else "")
    release = {"6.12": ""}.get(bug.release, f"`--release {bug.release}`")
    options = [f"`--arch {bug.arch}`" * (bug.arch != "x86_64"), release]
    options += [f"`--fail {bug.failures}`" * bool(bug.failures), "`--allocations ordered`" * bug.ordered]
    shown = " ".join([actors, *filter(None, options)]) + (f" ({_state(bug)})" if _state(bug) else "")
    return [bug.number, bug.fix, bug.wrong, shown, bug.own, oracle(found.text), str(found.schedule), classes]


def oracle(text: str) -> str:
    """Return the oracle of a finding in words."""
    for pattern, words in _ORACLES.items():
        if match := re.search(pattern, text):
            return words.format(*match.groups())
    return "check of the test"


def rows() -> dict[str, list[str]]:
    """Return the cells of each bug as they are in the page, by its number."""
    found = _TABLE.search(PAGE.read_text(encoding="utf-8"))
    assert found is not None, f"no place for the table of historic bugs in {PAGE}"
    lines = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in found[0].splitlines()[3:]]
    return {cells[0]: cells for cells in lines if len(cells) == len(_COLUMNS)}


def write() -> None:
    """Explore every bug, and write the table."""
    lines = ["", f"| {' | '.join(_COLUMNS)} |", "|---" * len(_COLUMNS) + "|"]
    for bug in BUGS:
        found = finding(bug, without_fix(bug))
        assert found is not None, f"{bug.number} is not found"
        lines.append(f"| {' | '.join(row(bug, found, classes(with_fix(bug))))} |")
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(_TABLE.sub(lambda _: "\n".join([*lines, "", ""]), text), encoding="utf-8")


def classes(result: Result) -> str:
    """Return the number of classes of a complete exploration without findings, else why it is none."""
    if result.findings:
        return f"a finding: {next(iter(result.findings))}"
    return str(len(result.classes)) if result.complete else result.verdict
