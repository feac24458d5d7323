# SPDX-License-Identifier: GPL-2.0-only
"""Page protections under the kernel's names."""

from __future__ import annotations

import enum
from collections.abc import Container
from dataclasses import dataclass, replace

from hvolab.arch.entry import FieldValues
from hvolab.overrides import check_name
from hvolab.release import RELEASES


class PgprotRole(enum.Enum):
    """The use that HVO has for a protection."""

    KERNEL = "PAGE_KERNEL"  #: head pages, restored tails, the entries of a split
    KERNEL_RO = "PAGE_KERNEL_RO"  #: tails of an optimized folio
    KERNEL_LARGE = "PAGE_KERNEL_LARGE"  #: a leaf above the last level, as boot maps the vmemmap
    KERNEL_EXEC = "PAGE_KERNEL_ROX"  #: the kernel's text; only with an emulation part
    TABLE = "table"  #: an entry that points to a table


@dataclass(frozen=True)
class Pgprot:
    """One protection.

    role      its use
    name      the kernel's name
    fields    values of the entry's fields
    releases  kernel releases that have it; empty: all
    profiles  profiles that have it; empty: all
    modes     paging modes that have it; empty: all
    source    kernel file
    commit    commit since which kernels have it: short id, subject, release; empty where it is not known
    """

    role: PgprotRole
    name: str
    fields: FieldValues
    releases: tuple[str, ...] = ()
    profiles: tuple[str, ...] = ()
    modes: tuple[str, ...] = ()
    source: str = ""
    commit: str = ""

    def changed(self, cleared: Container[str], sets: FieldValues = ()) -> Pgprot:
        """Return the protection without the fields ``cleared``, and with the values ``sets``."""
        fields = {name: value for name, value in self.fields if name not in cleared} | dict(sets)
        return replace(self, fields=tuple(fields.items()))

    def check(self, architecture: str) -> None:
        """Raise DescriptionError for a release that does not exist."""
        for name in self.releases:
            check_name("release", name, map(str, RELEASES), f"{architecture}, {self.name}")

    def belongs_to(self, mode: str, profile: str, release: str) -> bool:
        """Return whether that mode, profile and release have the protection."""
        return all(
            not having or chosen in having
            for having, chosen in ((self.modes, mode), (self.profiles, profile), (self.releases, release))
        )
