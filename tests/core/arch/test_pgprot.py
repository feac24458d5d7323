# SPDX-License-Identifier: GPL-2.0-only
"""Protections belong to modes, profiles and releases."""

from __future__ import annotations

import pytest

from hvolab.arch import Pgprot, PgprotRole

EVERYWHERE = Pgprot(PgprotRole.KERNEL, "PAGE_KERNEL", ())
SOMEWHERE = Pgprot(PgprotRole.KERNEL, "PAGE_KERNEL", (), releases=("6.1",), profiles=("linux",), modes=("Sv39", "Sv48"))


@pytest.mark.parametrize(
    ("mode", "profile", "release", "belongs"),
    [
        ("Sv39", "linux", "6.1", True),
        ("Sv48", "linux", "6.1", True),
        ("Sv57", "linux", "6.1", False),
        ("Sv39", "strict", "6.1", False),
        ("Sv39", "linux", "6.12", False),
    ],
)
def test_a_protection_belongs_to_the_selections_that_it_names(
    mode: str, profile: str, release: str, *, belongs: bool
) -> None:
    assert SOMEWHERE.belongs_to(mode, profile, release) is belongs
    assert EVERYWHERE.belongs_to(mode, profile, release)
