# SPDX-License-Identifier: GPL-2.0-only
"""Pages: none is orphaned, and what is written by hand beside what is generated is complete."""

from __future__ import annotations

import importlib
import re
import types
from dataclasses import fields
from pathlib import Path

import pytest

from docs.hvolab_docs import (
    architectures,
    blocks,
    commands,
    conformance,
    docstrings,
    errors,
    invariants,
    listings,
    markdown,
    releases,
    schemas,
)
from hvolab.cli.errors import ExitCode
from hvolab.conformance.checks import CHECKS
from hvolab.invariants import INVARIANTS
from hvolab.plugin import registry
from hvolab.release import RELEASES, HugetlbVariant, HvoVariant, KernelFeature
from hvolab_vmcore.scan.finding import KINDS
from tests.docs.desk import DOCS, pages

API = sorted(page for page in pages() if page.parent.name == "api" and page.stem != "index")
GENERATED = [page for page in pages() if blocks.blocks(page.read_text("utf-8"))]
TOCTREE = re.compile(r"^```\{toctree\}\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^## (.+)$", re.MULTILINE)
CLASS = re.compile(r"^class (\w+)\((\w+)\):", re.MULTILINE)
LINK = re.compile(r"\]\(([\w./-]+\.md)[)#]")


def linked(page: Path) -> set[Path]:
    """The pages in the contents of a page."""
    lines = [line for block in TOCTREE.findall(page.read_text("utf-8")) for line in block.splitlines()]
    return {page.parent / f"{line}.md" for line in lines if line and not line.startswith(":")}


def test_every_page_is_in_the_contents() -> None:
    assert {DOCS / "index.md"}.union(*map(linked, pages())) == set(pages())


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.relative_to(DOCS).as_posix())
def test_pages_lead_to_pages(page: Path) -> None:
    assert [link for link in LINK.findall(page.read_text("utf-8")) if not (page.parent / link).is_file()] == []


@pytest.mark.parametrize(
    "page", [page for page in pages() if blocks.blocks(page.read_text("utf-8"))], ids=lambda page: page.stem
)
def test_generated_blocks_are_those_of_today(page: Path) -> None:
    text = page.read_text("utf-8")
    assert blocks.refreshed(text) == text, "write them anew: python -m docs.hvolab_docs"


def test_each_generated_block_is_in_one_page() -> None:
    found = [name for page in pages() for name in blocks.blocks(page.read_text("utf-8"))]
    assert sorted(found) == sorted(blocks.GENERATED)


def test_pages_with_old_blocks_are_written_anew(tmp_path: Path) -> None:
    page, old = tmp_path / "page.md", "before\n<!-- generated: kit -->\n\nold\n\n<!-- end of kit -->\nafter\n"
    page.write_text(old, encoding="utf-8")
    (tmp_path / "other.md").write_text("nothing\n", encoding="utf-8")
    assert blocks.refresh(tmp_path) == [page]
    assert page.read_text("utf-8") == old.replace("old", conformance.kit())
    assert blocks.refresh(tmp_path) == []


@pytest.mark.parametrize("page", API, ids=lambda page: page.stem)
def test_every_public_name_is_described(page: Path) -> None:
    package = importlib.import_module(f"hvolab.{page.stem}")
    text = page.read_text("utf-8")
    assert f".. automodule:: hvolab.{page.stem}\n" in text
    for name in getattr(package, "__all__", ()):
        thing = getattr(package, name)
        # Sphinx finds classes and functions by itself
        if not isinstance(thing, type | types.FunctionType | types.MethodType) and not hasattr(thing, "__wrapped__"):
            assert re.search(rf"^\.\. (autodata|py:data):: hvolab\.{page.stem}\.{name}$", text, re.MULTILINE)


def test_every_kind_of_error_has_a_section_with_cause_and_remedy() -> None:
    kinds = errors.kinds()
    assert HEADING.findall(errors.errors()) == [kind.code for kind in kinds]
    assert len({kind.code for kind in kinds}) == len(kinds)
    sections = errors.errors().split("## ")[1:]
    assert [kind.code for kind, text in zip(kinds, sections, strict=True) if "**Remedy.** " not in text] == []
    assert "`CoreFileError`, exit code 2" in errors.errors()
    assert "`OwnershipError`, exit code 1" in errors.errors()


def test_no_kind_of_error_of_the_product_is_missing_from_the_page() -> None:
    sources = [path for root in ("core", "arches", "plugins") for path in (DOCS.parent / root).rglob("*.py")]
    classes = [CLASS.findall(path.read_text("utf-8")) for path in sources]
    bases = dict(pair for pairs in classes for pair in pairs)
    kinds = {kind.__name__ for kind in errors.kinds()} | {"HvolabError"}
    assert {name for name, base in bases.items() if base in kinds} | {"HvolabError"} == kinds


def test_every_invariant_has_a_row_and_a_section() -> None:
    headings = HEADING.findall(invariants.sections())
    assert headings == [f"{invariant.number} {invariant.title.capitalize()}" for invariant in INVARIANTS]
    for invariant in INVARIANTS:
        anchor = f"{invariant.number}-{invariant.name.replace('_', '-')}"
        assert f"[{invariant.number}](#{anchor}) | {invariant.title} |" in invariants.rules()
        sentence, details = invariants.description(invariant)
        assert markdown.plain(sentence) in invariants.rules()
        assert details in invariants.sections()
    assert (
        "| static key | The static key is the number of optimized folios. | "
        f"{', '.join(str(release) for release in RELEASES if release.variant.counts_folios)} |" in invariants.rules()
    )


def test_every_fact_about_releases_has_a_row() -> None:
    text = releases.facts()
    assert "| HVO | `copies_mapped` | restored pages are copies" in text
    values = ["yes" if release.variant.copies_mapped else "no" for release in RELEASES]
    assert f"| {' | '.join(values)} |" in text
    assert all(f"| HVO | `{fact.name}` | " in text for fact in fields(HvoVariant))
    assert all(f"| hugetlb | `{fact.name}` | " in text for fact in fields(HugetlbVariant))


def test_every_release_has_a_section_with_every_change_and_its_commit() -> None:
    assert HEADING.findall(releases.releases()) == [str(release) for release in RELEASES]
    for section, release in zip(releases.releases().split("## ")[1:], RELEASES, strict=True):
        for change in release.changes:
            commit = markdown.plain(change.commit or "commit not known")
            assert f"| {change.part} | {markdown.plain(change.sentence)} | {commit} |" in section


def test_every_feature_that_tells_releases_apart_has_a_row_with_its_question() -> None:
    text = releases.features()
    assert "| static key | symbol `hugetlb_optimize_vmemmap_key` |" in text
    for feature in KernelFeature:
        having = {feature in release.features for release in RELEASES}
        assert (f"| {feature.value} | " in text) is (len(having) == 2)


def test_every_finding_in_a_core_is_explained() -> None:
    rows = re.findall(r"^\| (`.+?) \| .+ \| (.+) \|$", (DOCS / "vmcores.md").read_text("utf-8"), re.MULTILINE)
    explained = {name.strip("`"): invariant for names, invariant in rows for name in names.split(", ")}
    anchors = {one.name: f"{one.number}-{one.title.replace(' ', '-')}" for one in INVARIANTS}
    links = {name: f"[{anchor.partition('-')[0]}](invariants.md#{anchor})" for name, anchor in anchors.items()}
    assert explained == {kind: "none" if name is None else links[name] for kind, name in KINDS.items()}


def test_every_architecture_has_its_modes_and_protections() -> None:
    text = architectures.architectures()
    for architecture in registry().architectures().values():
        assert f"## {architecture.name}\n" in text
        assert all(f"| `{mode.name}` |" in text for mode in architecture.modes)
    assert "| `PAGE_KERNEL_RO` | tails of an optimized folio | pte | `0x8000000000000121` |" in text
    assert "| `--profile strict` | `PAGE_KERNEL_READ` |" in text


def test_every_check_is_listed_with_what_it_proves() -> None:
    text = conformance.checks()
    assert all(f"| `{check.name}` | {markdown.plain(check.proves)} |" in text for check in CHECKS)
    assert f"has {len(CHECKS)} checks" in conformance.kit()


@pytest.mark.parametrize("command", schemas.RESULTS)
def test_the_published_schemas_are_those_of_the_results(command: str) -> None:
    assert schemas.path_of(command).read_text("utf-8") == schemas.text_of(command), "python -m docs.hvolab_docs"


def test_every_command_with_json_has_a_schema() -> None:
    found = {
        text.path.removeprefix("hvolab ").replace(" ", "-")
        for text in commands.texts()
        if any(names.startswith("--json") for names, _ in text.options)
    }
    assert found == set(schemas.RESULTS) - {"timeline"}


def test_every_command_and_exit_code_is_listed() -> None:
    text = commands.commands()
    assert re.findall(r"^## hvolab (.+)$", text, re.MULTILINE) == [
        *(
            "run",
            "arches",
            "releases",
            "pte",
            "conformance",
            "plugins",
            "boot",
            "explore",
            "image",
            "disasm",
            "kernel",
            "build",
            "watch",
            "patch-test",
            "report",
            "verify",
            "inspect",
            "page",
            "savings",
            "replay",
            "torture",
            "new arch",
        )
    ]
    assert "| `--memory SIZE` | Memory of the machine, as 512M or 4G.  \\[default: 4G\\] |".replace("  ", " ") in text
    assert all(f"| {code.value} | " in commands.exit_codes() for code in ExitCode)


def test_columns_of_a_docstring_become_a_table() -> None:
    lines = ["Head.", "", "one    first,", "       still first", "two, 3 second", "", "Text", "Kernel: f().", ""]
    assert docstrings.as_rst(lines) == [
        *("Head.", ""),
        *(".. list-table::", "   :class: columns", "   :widths: auto", ""),
        *("   * - ``one``", "     - first, still first", "   * - ``two``, ``3``", "     - second", ""),
        *("Text", "", "Kernel: f().", ""),
    ]


def test_an_indented_block_of_a_docstring_is_literal() -> None:
    assert docstrings.as_rst(["As in:", "", "    code()"]) == ["As in::", "", "    code()", ""]


def test_text_is_shown_as_it_stands() -> None:
    assert markdown.plain("a*b <c> [d) __e `f*g`") == r"a\*b \<c\> \[d) \_\_e `f*g`"
    assert markdown.table(("a", "b"), [("1|2", "`3|4`")], right=("b",)) == (
        "| a | b |\n| --- | ---: |\n| 1\\|2 | `3\\|4` |\n"
    )


def test_a_listing_that_is_a_file_says_which() -> None:
    assert listings.with_captions("```python a/b.py\nx\n```") == "```{code-block} python\n:caption: a/b.py\n\nx\n```"
