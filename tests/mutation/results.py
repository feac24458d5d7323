# SPDX-License-Identifier: GPL-2.0-only
"""Results of a mutation run as text, and the tables of docs/mutation.md."""

from __future__ import annotations

import builtins
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from tests.mutation.run import Verdict

RESULTS = Path(__file__).with_name("results.txt")
REASONS = Path(__file__).with_name("reasons.txt")
PAGE = Path(__file__).parents[2] / "docs" / "mutation.md"
_HEAD = "# Results of `python -m tests.mutation`: class, name, and what was detected, separated by tabs.\n"
_TABLES = re.compile(r"(?<=<!-- tables: python -m tests.mutation -->\n).*(?=<!-- end of tables -->)", re.DOTALL)
_KINDS = ("not run", "does not load", "equivalent", "rules", "exceptions", "comparison", "tests", "nothing")
_COLUMNS = (
    "module", "mutants", *_KINDS, "by rules", "detected", "by rules, without equivalent", "detected, without equivalent"
)  # fmt: skip

Results = Mapping[str, Verdict]


def load(path: Path = RESULTS) -> dict[str, Verdict]:
    """Return the verdicts of mutants by their names."""
    lines = path.read_text(encoding="utf-8").splitlines()[1:] if path.exists() else []
    rows = (line.split("\t") for line in lines)
    return {name: Verdict(by, how) for by, name, how in rows}


def save(results: Results, path: Path = RESULTS) -> None:
    """Write verdicts, in the order of modules and of their mutants."""
    rows = (f"{verdict.by}\t{name}\t{_short(verdict)}\n" for name, verdict in results.items())
    path.write_text(_HEAD + "".join(rows), encoding="utf-8")


def _short(verdict: Verdict) -> str:
    """Return the rule or the kind of exception that was detected; of a comparison, what differs."""
    if verdict.by != "rules":
        return verdict.how
    found = re.search(r"stopped: \w+|warning|(?<=: )[a-z_]+(?=: )|declared fault", verdict.how)
    return found[0] if found else verdict.how


class Reasons:
    """Reasons why nothing detects a mutant, by patterns of names: those that change nothing begin with "Equivalent"."""

    def __init__(self, path: Path = REASONS) -> None:
        lines = path.read_text(encoding="utf-8").splitlines()
        self._patterns: list[tuple[re.Pattern[str], str]] = []
        reason = ""
        for line in lines:
            if line.startswith("# "):
                reason = line[2:]
            elif line:
                self._patterns.append((re.compile(line), reason))

    def reason(self, name: str) -> str:
        """Return why nothing detects a mutant; empty: that is not known."""
        return next((reason for pattern, reason in self._patterns if pattern.search(name)), "")


def tables(results: Results, reasons: Reasons) -> str:
    """Return the tables of the page, as Markdown."""
    counts: dict[str, Counter[str]] = {}
    for name, verdict in results.items():
        module = name.partition(" ")[0]
        kind = _kind(name, verdict, reasons)
        for row in (module, f"**{module.partition('/')[0]}/**"):
            counts.setdefault(row, Counter())[kind] += 1
    ordered = sorted(counts, key=lambda row: not row.startswith("**"))
    rules = Counter(verdict.how for verdict in results.values() if verdict.by == "rules")
    lines = [
        *_table(_COLUMNS, (_row(row, counts[row]) for row in ordered)),
        "What detects a mutant first, of those that rules detect:",
        "",
        *_table(("rule", "mutants"), ((f"`{rule}`", str(count)) for rule, count in rules.most_common())),
        "## Mutants that nothing detects",
        "",
        *_survivors(results, reasons),
    ]
    return "\n".join(["", *lines, ""])


def _kind(name: str, verdict: Verdict, reasons: Reasons) -> str:
    """Return the column that counts a mutant: one stopped by an exception of Python is counted by itself."""
    if verdict.by == "nothing" and reasons.reason(name).startswith("Equivalent"):
        return "equivalent"
    stopped = verdict.how.removeprefix("stopped: ")
    return "exceptions" if verdict.by == "rules" and hasattr(builtins, stopped) else verdict.by


def _row(title: str, counts: Counter[str]) -> tuple[str, ...]:
    heard = counts["rules"] + counts["exceptions"]
    detected = [heard, heard + counts["comparison"]]
    different = detected[1] + counts["tests"] + counts["nothing"]
    numbers = (counts.total(), *(counts[kind] for kind in _KINDS))
    shares = [(part, total) for total in (different + counts["equivalent"], different) for part in detected]
    return (title, *map(str, numbers), *(f"{100 * part / total:.1f} %" if total else "" for part, total in shares))


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(titles)} |"
    yield f"|---|{'---:|' * (len(titles) - 1)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"
    yield ""


def _survivors(results: Results, reasons: Reasons) -> Iterator[str]:
    """Yield the mutants that nothing detects: how many by reason, and the names of the others."""
    by_reason: dict[str, list[str]] = {}
    for name, verdict in results.items():
        if verdict.by == "nothing":
            reason = reasons.reason(name) or f"Without a reason yet, {verdict.how or 'reached by scenarios'}"
            by_reason.setdefault(reason, []).append(name)
    yield from _table(("reason", "mutants"), ((reason, str(len(names))) for reason, names in sorted(by_reason.items())))
    without = [name for reason, names in sorted(by_reason.items()) if reason.startswith("Without") for name in names]
    yield "Those without a reason:" if without else "Each has a reason."
    yield ""
    if without:
        yield from (f"- ``{name.replace('`', chr(39))}``" for name in without)
        yield ""


def write_page(results: Results, page: Path = PAGE) -> None:
    """Write the tables into the page."""
    text = page.read_text(encoding="utf-8")
    page.write_text(_TABLES.sub(lambda _: tables(results, Reasons()), text), encoding="utf-8")
