# SPDX-License-Identifier: GPL-2.0-only
"""Rules for the text of the product, as data, and a search for words that break them.

Readers are kernel developers: they read documentation, help, errors, docstrings and names, fast. Texts say in the
field's terms what a thing is or does.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]

#: Rules for sentences, by number.
RULES: Final = {
    1: "say what it is or does in one main clause: a verb first for a function, a noun phrase for a class or module",
    2: "active voice, subject first",
    3: "the field's term, always the same one",
    4: 'only people are "who"; code is "which" or is named',
    5: "no idiom, no wit, no personification",
    6: "an error: what is wrong, with the value; where; which rule; `hint:` with an action",
    7: "American spelling",
    8: "kernel references: function, file and release; commit id and subject where releases differ",
    9: "a commit message: `area: imperative subject`, a blank line, and the reason",
}


@dataclass(frozen=True)
class Ban:
    """Words that texts of the product do not use.

    pattern  regular expression of the words
    better   words to use instead
    section  `Rules` or `Names`
    rule     number of the rule of `Rules`; 0 in `Names`
    """

    pattern: str
    better: str
    section: str = "Rules"
    rule: int = 0

    @property
    def reason(self) -> str:
        """The broken rule in words."""
        if self.section == "Names":
            return "Names: one name for one thing"
        return f"Rules, {self.rule}: {RULES[self.rule]}"


def _old_name(old: str, new: str) -> Ban:
    return Ban(rf"\b(?:{old})\b", new, "Names")


#: First words that a docstring does not open with.
OPENING: Final = Ban(
    r"^(?:What|Which|Whether|Who|Whose|How|Where|Says|Tells|Gives|Give)\b", "a verb or a noun phrase", rule=1
)

BANS: Final = (
    Ban(r"\b(?:asked|asks) for\b", "allocated with, requested, needs", rule=3),
    Ban(r"\b(?:foretold|foretells?)\b", "predicted", rule=3),
    Ban(r"\bhears? of\b|\bheard of\b", "is notified of", rule=4),
    Ban(r"\b(?:nobody|somebody)\b", "the name of the code or the person", rule=4),
    # "cannot tell" is the verdict on what was not read
    Ban(r"\b(?:told|(?<!cannot )tells?)\b", "report, say which, return", rule=5),
    Ban(r"\blaid to\b", "attributed to", rule=5),
    Ban(r"\bbeside\b", "against, next to, in addition to", rule=5),
    Ban(r"\botherwise than\b|\bis otherwise\b", "differs from", rule=5),
    Ban(r"\bis no [a-z]", "is not a", rule=5),
    Ban(r"\b(?:comes?|came|coming) out\b", "results in, is", rule=5),
    Ban(r"\bas it is\b|\bas they are\b", "unchanged", rule=5),
    Ban(r"\bup to a renaming\b", "modulo frame numbers", rule=5),
    Ban(r"\b(?:lies|lie|lay) in\b", "is in", rule=5),
    Ban(r"\bleaves? what\b", "keeps", rule=5),
    Ban(r"\bwhat to do:", "hint:", rule=6),
    Ban(r"\bbehaviour|\boptimis|\bmodelled\b|\bmodelling\b|\binitialis|\bcolour|\bneighbour", "American form", rule=7),
    _old_name("HvoForm|HVO forms?|forms? of HVO", "HvoVariant, variant of HVO"),
    _old_name("stand-ins?|StandIn", "stub, Stub"),
    _old_name("Bed|Side", "MachinePair, MachineUnderTest"),
    _old_name("EntryWatch|Follower", "PageTableWatchpoint, FolioTracer"),
    _old_name("Sight|FolioStory|Landing", "BeforeAfter, FolioHistory, StoreHit"),
    _old_name("Verdicts?", "WalkPermissions"),
    _old_name("PlacedKernel", "LoadedKernel"),
    _old_name("generations? of (?:a |the |this )?kernels?|kernel generations?", "release"),
)

#: Source that may break a rule: banned words, or a docstring that begins like a banned opening.
_CANDIDATE: Final = re.compile(
    "|".join([rf"(?:\"\"\"|\'\'\'|\")\s*{OPENING.pattern[1:]}", *(ban.pattern for ban in BANS)])
)

#: Folders whose Python files speak to readers, and the roots of the product.
SOURCES: Final = ("core", "arches", "plugins", "benchmarks", "examples")
_NOT_PRODUCT: Final = {"tests", "build", "node_modules"}


@dataclass(frozen=True)
class Text:
    """One piece of text that people read: line, kind (docstring, comment, string, prose) and wording."""

    line: int
    kind: str
    words: str


@dataclass(frozen=True)
class Finding:
    """A text that breaks a rule: file relative to the checkout, the text, the banned words in it, and the ban."""

    path: Path
    text: Text
    words: str
    ban: Ban

    def __str__(self) -> str:
        return (
            f"{self.path}:{self.text.line}: {self.text.kind}: {self.words!r} ({self.ban.reason}); "
            f"hint: write {self.ban.better}"
        )


def files() -> Iterator[Path]:
    """Yield the files of the product that hold text, relative to the checkout."""
    found = [path for source in SOURCES for path in (ROOT / source).rglob("*.py")]
    found += ROOT.rglob("*.md")
    for path in sorted(path.relative_to(ROOT) for path in found):
        if not any(part in _NOT_PRODUCT or part.startswith(".") for part in path.parts):
            yield path


@cache
def findings() -> tuple[Finding, ...]:
    """Return the texts of the product that break a rule."""
    return tuple(finding for path in files() for finding in findings_in(path, (ROOT / path).read_text("utf-8")))


def findings_in(path: Path, source: str) -> Iterator[Finding]:
    """Yield the texts of one file that break a rule."""
    if _CANDIDATE.search(source):  # reading the texts one by one takes much longer
        for text in texts_of_page(source) if path.suffix == ".md" else texts_of_module(source):
            yield from (Finding(path, text, words, ban) for words, ban in broken(text))


def broken(text: Text) -> Iterator[tuple[str, Ban]]:
    """Yield the banned words of a text, and the ban of each."""
    bans = (OPENING, *BANS) if text.kind == "docstring" else BANS
    for ban in bans:
        if match := re.search(ban.pattern, text.words):
            yield match.group(0), ban


def texts_of_module(source: str) -> Iterator[Text]:
    """Yield docstrings, comments, and string constants of several words of a Python module."""
    tree = ast.parse(source)
    docstrings = {id(node): node for node in _docstrings(tree)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if id(node) in docstrings:
                yield Text(node.lineno, "docstring", node.value.lstrip())
            elif " " in node.value:
                yield Text(node.lineno, "string", node.value)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield Text(token.start[0], "comment", token.string)


def _docstrings(tree: ast.Module) -> Iterator[ast.Constant]:
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) and node.body:
            first = node.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                yield first.value


def texts_of_page(source: str) -> Iterator[Text]:
    """Yield the prose of a Markdown page line by line: no code, fenced, indented or inline."""
    fenced = False
    for number, line in enumerate(source.splitlines(), 1):
        fenced ^= line.lstrip().startswith("```")
        if not (fenced or line.startswith("    ") or line.lstrip().startswith("```")):
            yield Text(number, "prose", re.sub(r"`[^`]*`", "", line))
