# SPDX-License-Identifier: GPL-2.0-only
"""The tables of kernel releases, generated from the table of the product."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import Field, fields
from typing import Any

from hvolab.cli.releases_report import differences, opening
from hvolab.release import DEFAULT, RELEASES, HugetlbVariant, HvoVariant, KernelFeature, KernelRelease

from .markdown import code, plain, table


def releases() -> str:
    """Return a section for every release, with its differences from the one before it."""
    return "\n".join(text for release in RELEASES for text in _section(release))


def facts() -> str:
    """Return the table of the facts of HVO and hugetlb: each with its meaning, and its value in each release."""
    rows = []
    for part, kind in {"HVO": HvoVariant, "hugetlb": HugetlbVariant}.items():
        for fact in fields(kind):
            owners = (release.variant if kind is HvoVariant else release.hugetlb for release in RELEASES)
            values = [_value(fact, getattr(owner, fact.name)) for owner in owners]
            rows.append((part, code(fact.name), plain(fact.metadata["meaning"]), *values))
    return table(("part", "fact", "meaning", *map(str, RELEASES)), rows)


def _value(fact: Field[Any], value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else code(fact.metadata["show"](value))


def features() -> str:
    """Return the table of the features by which releases differ, and whether each release has them."""
    rows = [
        (feature.value, _question(feature), *("yes" if feature in release.features else "no" for release in RELEASES))
        for feature in KernelFeature
        if 0 < sum(feature in release.features for release in RELEASES) < len(RELEASES)
    ]
    return table(("feature", "question to an image", *map(str, RELEASES)), rows)


def _question(feature: KernelFeature) -> str:
    """Return the question about a feature as text: the kind of evidence, and the names."""
    question = feature.question
    return f"{question.evidence.value} {' or '.join(map(code, question.names))}"


def _section(release: KernelRelease) -> Iterator[str]:
    default = ", the default" * (release is DEFAULT)
    yield f"## {release}\n"
    yield f"{plain(release.summary[0].upper() + release.summary[1:])} ({plain(opening(release))}{default}).\n"
    found = differences(release)
    if found:
        rows = [(one.part, plain(one.sentence), plain(one.origin)) for one in found]
        yield table(("part", "what the code does", "commit"), rows)
    for fault in release.faults:
        yield f"\n**Known fault**: {plain(fault)}\n"
