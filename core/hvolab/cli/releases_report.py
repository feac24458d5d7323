# SPDX-License-Identifier: GPL-2.0-only
"""Differences between kernel releases: of the kernel's own code, and of each architecture's description."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Final

from rich.console import Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from hvolab.arch import Architecture, PageFlags, Target
from hvolab.cli.protections import first_level
from hvolab.plugin import registry
from hvolab.release import DEFAULT, KernelRelease
from hvolab.release.kernel_release import PARTS

#: Output in the place of a commit that is not known.
UNKNOWN: Final = "commit not known"
_FLAGS: Final = {
    "zones": "zones",
    "node_bits": "bits of the node",
    "zone_bits": "bits of the zone",
    "cpupid_bits": "bits of the last CPU and PID",
}


@dataclass(frozen=True)
class Difference:
    """One difference of a release from the release before it.

    part      HVO, struct page, or another part of the kernel; of an architecture: its name
    sentence  what the code does now
    commit    the commit that made it: short id, subject, release; None where it is not known
    source    of an architecture: the series or configuration, where no commit is known
    faults    what it breaks, with the evidence
    """

    part: str
    sentence: str
    commit: str | None = None
    source: str = ""
    faults: tuple[str, ...] = ()

    @property
    def origin(self) -> str:
        """The commit as text, or what is known instead."""
        return self.commit or self.source or UNKNOWN


@dataclass(frozen=True)
class ReleaseReport:
    """One kernel release, in the JSON of `hvolab releases`.

    before         release that it is compared with
    default        whether it is modeled where no release is named
    architectures  architectures that have it
    faults         known faults of the release
    """

    name: str
    summary: str
    before: str | None
    default: bool
    architectures: tuple[str, ...]
    faults: tuple[str, ...]
    differences: tuple[Difference, ...]


def differences(release: KernelRelease, architectures: Iterable[Architecture] | None = None) -> list[Difference]:
    """Return the differences of a release from the one before it, those of each part of the kernel together.

    architectures  those whose descriptions are compared; by default all that are installed
    """
    found = [
        Difference(change.part, change.sentence, change.commit or None, faults=change.faults)
        for change in release.changes
    ]
    if release.before is not None:
        for architecture in registry().architectures().values() if architectures is None else architectures:
            if architecture.has(release) and architecture.has(release.before):
                found += _of_architecture(architecture, release.before, release)
    parts = list(dict.fromkeys([*(title for _, title in PARTS), *(one.part for one in found)]))
    return sorted(found, key=lambda one: parts.index(one.part))


def _of_architecture(architecture: Architecture, before: KernelRelease, after: KernelRelease) -> Iterator[Difference]:
    for change in architecture.changes:
        if change.release == after.name:
            yield Difference(architecture.name, f"{change.summary}.", change.commit or None, change.source)
    where: dict[Difference, dict[str, None]] = {}
    for mode, profile in product(architecture.modes, architecture.profiles):
        old, new = (architecture.select(mode.name, profile=profile, release=release) for release in (before, after))
        for one in _of_protections(old, new):
            where.setdefault(one, {})[mode.name] = None
    for one, modes in where.items():
        only = f" ({', '.join(modes)})" * (len(modes) < len(architecture.modes))
        yield Difference(one.part, f"{one.sentence}{only}.", one.commit)
    flags = architecture.flags_of(after)
    for sentence in _of_flags(architecture.flags_of(before), flags):
        yield Difference(architecture.name, sentence, source=flags.source if flags else "")


def _of_protections(before: Target, after: Target) -> Iterator[Difference]:
    """Return a difference for each protection whose raw bits differ; without a period."""
    for (role, old), (_, new) in zip(before.pgprots, after.pgprots, strict=True):
        level = first_level(after, role)
        bits = before.bits(level, role), after.bits(level, role)
        if bits[0] != bits[1]:
            fields = dict(old.fields), dict(new.fields)
            names = [name for name in fields[0] | fields[1] if fields[0].get(name, 0) != fields[1].get(name, 0)]
            changed = ", ".join(f"{name}={fields[1].get(name, 0):x}" for name in names)
            sentence = f"{new.name} is {bits[1]:#018x} instead of {bits[0]:#018x}: {changed}"
            yield Difference(after.architecture.name, sentence, new.commit or None)


def _of_flags(before: PageFlags | None, after: PageFlags | None) -> Iterator[str]:
    """Return a sentence for each width of the flags of a struct page that differs."""
    if before is not None and after is not None:
        for attribute, title in _FLAGS.items():
            old, new = getattr(before, attribute), getattr(after, attribute)
            if old != new:
                yield f"In the flags of a struct page, {title}: {new} instead of {old}, as configured."


def offering(release: KernelRelease) -> list[str]:
    """Return the names of the architectures that have the release."""
    return [name for name, architecture in registry().architectures().items() if architecture.has(release)]


def opening(release: KernelRelease) -> str:
    """Return the release that this one is compared with, and the architectures if not all have it, as text."""
    words = "the first of the table" if release.before is None else f"compared with {release.before}"
    return words if release.anywhere else f"{words}; only on {', '.join(offering(release)) or 'plugins not installed'}"


def data_of(release: KernelRelease) -> ReleaseReport:
    """Return a release for JSON."""
    return ReleaseReport(
        release.name,
        release.summary,
        None if release.before is None else release.before.name,
        release is DEFAULT,
        tuple(offering(release)),
        tuple(release.faults),
        tuple(differences(release)),
    )


def render(release: KernelRelease) -> Group:
    """Return one release as heading, summary and differences."""
    default = " (default)" if release is DEFAULT else ""
    heading = Text.assemble((release.name, "bold cyan"), default, (f"  {opening(release)}", "dim"))
    found = differences(release)
    rows = [Padding(_rows(found), (1, 0, 0, 2))] if found else []
    return Group(heading, Padding(f"{release.summary}", (0, 0, 0, 2)), *rows, Text())


def _rows(found: list[Difference]) -> Table:
    rows = Table.grid(padding=(0, 2))
    rows.add_column(style="bold", no_wrap=True)
    rows.add_column(overflow="fold")
    shown = ""
    for one in found:
        origin = Text(one.origin, "dim" if one.commit else "yellow")
        faults = (Padding(Text(f"fault: {fault}", "bold red"), (0, 0, 0, 4)) for fault in one.faults)
        rows.add_row("" if one.part == shown else one.part, Group(one.sentence, Padding(origin, (0, 0, 0, 4)), *faults))
        shown = one.part
    return rows
