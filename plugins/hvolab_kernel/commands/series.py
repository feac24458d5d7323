# SPDX-License-Identifier: GPL-2.0-only
"""Runs of a series of patches, each compared with the one before."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from hvolab.cli.output import print_json, progress, show
from hvolab.errors import UsageError
from hvolab_kernel.build.objects import ObjectBuilder
from hvolab_kernel.build.patches import Patch, PatchedCopy
from hvolab_kernel.build.tree import KernelTree
from hvolab_kernel.commands.runs import RunHistory
from hvolab_kernel.comparison.changes import ComparisonChanges, kinds_of
from hvolab_kernel.comparison.comparer import KernelComparison
from hvolab_kernel.comparison.rules_report import kinds_view


@dataclass(frozen=True)
class PatchReport:
    """A patch of the series, in the JSON of `hvolab patch-test`: its code, compared with the code before it.

    patch       file
    subject     its subject; the name of the file for a diff without one
    others      files that it changes and that are not compiled
    messages    warnings of the compiler
    cases       number of cases run
    differing   cases in which the code differs from the code before
    kinds       kinds of differences, without numbers, and the number of cases that have each
    broken      findings and broken rules that are new
    hold_again  those that are there no longer
    """

    patch: Path
    subject: str
    others: tuple[str, ...]
    messages: str
    cases: int
    differing: tuple[str, ...]
    kinds: Mapping[str, int]
    broken: tuple[str, ...]
    hold_again: tuple[str, ...]


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
    """Run the file, then each patch of a series; print what each changes, and return True if none breaks a rule.

    Raises UsageError for a patch that does not apply, BuildError for one that does not compile.
    """
    clean, reports = True, list[PatchReport]()
    with tempfile.TemporaryDirectory(prefix="hvolab-") as folder:
        copy = PatchedCopy(source, Path(folder))
        before = builder.build(copy.source, name=copy.name).path
        _, result, _ = history.compare(before)
        if not json:
            compared = f"{len(result.disagreements)} of {result.cases} cases differ from the image's own code"
            show(Group(Text(f"{source}, unpatched: {compared}"), Text()))
        for number, patch in enumerate(series, start=1):
            copy.apply(patch)
            with progress(f"compile patch {number}", quiet=json):
                built = builder.build(copy.source, name=copy.name)
            _, result, changes = history.compare(built.path, before)
            before = built.path
            clean &= not changes.found
            if json:
                reports.append(_report_of(patch, built.messages, changes, result))
            else:
                show(_view(f"{number}/{len(series)}", patch, built.messages, changes, result))
    if json:
        print_json(reports)
    return clean


def _view(
    place: str, patch: Patch, messages: str, changes: ComparisonChanges, result: KernelComparison[Any]
) -> RenderableType:
    parts: list[RenderableType] = [Text(f"{place} {patch.subject}", "bold")]
    if patch.others:
        parts.append(Text(f"not applied: its changes of {', '.join(patch.others)}", "yellow"))
    if messages:
        parts.append(Text(messages))
    count = len(result.disagreements)
    if count:
        parts += [Text(f"{count} of {result.cases} cases differ from the code before:"), kinds_view(result)]
    else:
        parts.append(Text(f"no difference from the code before in {result.cases} cases", "green"))
    broken = [Text(f"broken: {one}", "bold red") for one in changes.found]
    return Group(*parts, *broken, *(Text(f"holds again: {one}", "green") for one in changes.gone), Text())


def _report_of(patch: Patch, messages: str, changes: ComparisonChanges, result: KernelComparison[Any]) -> PatchReport:
    return PatchReport(
        patch=patch.path,
        subject=patch.subject,
        others=patch.others,
        messages=messages,
        cases=result.cases,
        differing=tuple(map(str, result.disagreements)),
        kinds=kinds_of(result.disagreements.values()),
        broken=changes.found,
        hold_again=changes.gone,
    )
