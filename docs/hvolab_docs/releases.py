# SPDX-License-Identifier: GPL-2.0-only
"""The tables of kernel releases, generated from the table of the product."""

from __future__ import annotations

from collections.abc import Iterator

from hvolab.cli.releases_report import UNKNOWN, differences, opening
from hvolab.release import DEFAULT, RELEASES, KernelFeature, KernelRelease

from .markdown import code, plain, table


def releases() -> str:
    """Return a section for every release, with its differences from the one before it."""
    return "\n".join(text for release in RELEASES for text in _section(release))


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
        rows = [(one.part, plain(one.sentence), plain(one.commit or UNKNOWN)) for one in found]
        yield table(("part", "what the code does", "commit"), rows)
