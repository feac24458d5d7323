# SPDX-License-Identifier: GPL-2.0-only
"""Generated blocks of pages, which are committed as text: `python -m docs.hvolab_docs` writes them anew."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from . import architectures, commands, conformance, errors, invariants, releases, schemas

GENERATED: dict[str, Callable[[], str]] = {
    "architectures": architectures.architectures,
    "capabilities": conformance.capabilities,
    "checks": conformance.checks,
    "commands": commands.commands,
    "errors": errors.errors,
    "exit-codes": commands.exit_codes,
    "facts": releases.facts,
    "features": releases.features,
    "invariants": invariants.sections,
    "kit": conformance.kit,
    "operations": commands.operations,
    "releases": releases.releases,
    "rules": invariants.rules,
    "schemas": schemas.schemas,
    "scopes": conformance.scopes,
}

_BLOCK = re.compile(r"(<!-- generated: ([\w-]+) -->\n).*?(\n<!-- end of \2 -->)", re.DOTALL)


def blocks(markdown: str) -> list[str]:
    """Return the names of the generated blocks of a page."""
    return [name for _, name, _ in _BLOCK.findall(markdown)]


def refreshed(markdown: str) -> str:
    """Return a page with its generated blocks written anew."""
    return _BLOCK.sub(lambda block: f"{block[1]}\n{GENERATED[block[2]]().strip()}\n{block[3]}", markdown)


def refresh(folder: Path) -> list[Path]:
    """Write the generated blocks of all pages of a folder anew; return the pages that changed."""
    changed = []
    for page in sorted(folder.rglob("*.md")):
        text = page.read_text("utf-8")
        if (new := refreshed(text)) != text:
            page.write_text(new, encoding="utf-8")
            changed.append(page)
    return changed
