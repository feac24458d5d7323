# SPDX-License-Identifier: GPL-2.0-only
"""The mutation run: mutants, their results and tables, and a fixed sample that runs again."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.mutation.mutants import modules, mutants_of
from tests.mutation.results import PAGE, Reasons, load, tables

ROOT = Path(__file__).parents[1]


def test_names_of_mutants_are_unique_and_each_changes_the_module() -> None:
    mutants = list(mutants_of("hvo/sizes.py"))
    assert len({mutant.name for mutant in mutants}) == len(mutants) > 20
    unchanged = ast.unparse(mutants[0].tree)
    assert all(ast.unparse(mutant.changed()) != unchanged for mutant in mutants)
    assert "hvo/sizes.py VmemmapSizes.pages: `self.size // self.page_size` becomes `self.size * self.page_size`" in {
        mutant.name for mutant in mutants
    }


def test_the_tables_are_those_of_the_results_and_add_up() -> None:
    results = load()
    assert tables(results, Reasons()) in PAGE.read_text("utf-8")
    rows = [line.strip("| ").split(" | ") for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| ")]
    counted = {row[0]: [int(cell) for cell in row[1:10]] for row in rows if row[0].endswith((".py", "/**"))}
    for room in ("hvo", "hugetlb"):
        of_room = [counts for title, counts in counted.items() if title.startswith(f"{room}/")]
        assert [sum(column) for column in zip(*of_room, strict=True)] == counted[f"**{room}/**"]
    assert all(counts[0] == sum(counts[1:]) for counts in counted.values())
    assert sum(counts[0] for title, counts in counted.items() if not title.startswith("*")) == len(results)
    assert {title for title in counted if not title.startswith("*")} <= set(modules())
    assert set(Counter(verdict.by for verdict in results.values())) <= {
        *("rules", "comparison", "tests", "nothing", "does not load", "not run"),
    }


@pytest.mark.slow
def test_rules_hear_a_fixed_sample() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "tests.mutation", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
