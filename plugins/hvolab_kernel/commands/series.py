# SPDX-License-Identifier: GPL-2.0-only
"""Runs of a series of patches, each compared with the one before."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from hvolab.cli.output import print_json, show
from hvolab.errors import UsageError
from hvolab_kernel.build.objects import ObjectBuilder
from hvolab_kernel.build.patches import Patch, PatchedCopy
from hvolab_kernel.build.tree import KernelTree
from hvolab_kernel.commands.runs import RunHistory
from hvolab_kernel.comparison.changes import ComparisonChanges, changes_data, changes_text
from hvolab_kernel.comparison.comparer import KernelComparison


def source_in(tree: KernelTree) -> Path:
    """Return the file in a tree, or next to unpacked headers; raises UsageError where there is none."""
    for folder in (tree.source / "mm", tree.private):
        if folder is not None and (folder / "hugetlb_vmemmap.c").exists():
            return folder / "hugetlb_vmemmap.c"
    raise UsageError(
        f"{tree.source} has no mm/hugetlb_vmemmap.c: headers of a distribution lack it",
        hint="name the file that the series applies to: --file",
    )


def run_series(
    history: RunHistory, builder: ObjectBuilder, source: Path, series: Sequence[Patch], *, json: bool
) -> bool:
    """Run the file, then each patch of a series; print the changes, and return True if they are for no worse.

    Raises UsageError for a patch that does not apply, BuildError for one that does not compile, both with its number.
    """
    clean, data = True, list[dict[str, Any]]()
    with tempfile.TemporaryDirectory(prefix="hvolab-") as folder:
        copy = PatchedCopy(source, Path(folder))
        _, result, _ = history.compare(builder.build(copy.source, name=copy.name).path)
        if not json:
            show(Group(Text(f"{source}, unpatched: {_state(result)}"), Text()))
        for number, patch in enumerate(series, start=1):
            place = f"{number}/{len(series)}"
            copy.apply(patch)
            built = builder.build(copy.source, name=copy.name)
            _, result, changes = history.compare(built.path)
            clean &= not (changes.differing or changes.otherwise or changes.found)
            data.append({"patch": str(patch.path), "subject": patch.subject, "others": list(patch.others)})
            data[-1] |= {
                "messages": built.messages,
                "disagreements": len(result.disagreements),
                **changes_data(changes),
            }
            if not json:
                show(_view(place, patch, built.messages, changes, result))
    if json:
        print_json(data)
    return clean


def _view(
    place: str, patch: Patch, messages: str, changes: ComparisonChanges, result: KernelComparison[Any]
) -> RenderableType:
    parts: list[RenderableType] = [Text(f"{place} {patch.subject}", "bold")]
    if patch.others:
        parts.append(Text(f"not applied: its changes of {', '.join(patch.others)}", "yellow"))
    if messages:
        parts.append(Text(messages))
    return Group(*parts, changes_text(changes), Text(_state(result)), Text())


def _state(result: KernelComparison[Any]) -> str:
    return f"{result.cases} cases, {len(result.disagreements)} differ from the model, {len(result.findings)} findings"
