# SPDX-License-Identifier: GPL-2.0-only
"""Capabilities: a description has one, or lacks it for a reason that is given."""

from __future__ import annotations

import pytest

from hvolab.arch import Architecture
from hvolab.conformance import capabilities
from hvolab.conformance.check import Capability
from hvolab.conformance.subject import Subject
from tests.core.conformance.mutants import ARM, SV39, X86
from tests.core.conformance.slips import in_mode
from tests.made_up import MADE_UP


@pytest.mark.parametrize(
    ("capability", "subject", "reason"),
    [
        (capabilities.READ_ONLY_TAILS, Subject(SV39, "Sv39"), "profile linux declares PAGE_KERNEL for tails"),
        (capabilities.READ_ONLY_TAILS, Subject(SV39, "Sv39", "strict"), ""),
        (capabilities.READ_ONLY_TAILS, Subject(X86, "4-level"), ""),
        (capabilities.SHADOW_STACK, Subject(ARM, "4K-48bit"), "none is declared"),
        (capabilities.SHADOW_STACK, Subject(X86, "4-level"), ""),
        (capabilities.EMULATION, Subject(MADE_UP, "crooked"), "no instruction sequences are declared"),
        (capabilities.EMULATED_CPU, Subject(MADE_UP, "crooked"), "no instruction sequences are declared"),
        (capabilities.KNOWN_ENTRIES, Subject(MADE_UP, "crooked"), "no example is of this mode"),
        (capabilities.KNOWN_ENTRIES, Subject(X86, "4-level"), ""),
        (capabilities.RUNS, Subject(X86, "4-level"), "this mode declares none"),
        (capabilities.RUNS, Subject(ARM, "4K-48bit"), ""),
        (capabilities.LIVE_REPLACEMENT, Subject(ARM, "4K-48bit"), "release 6.12 declares that"),
        (capabilities.LIVE_REPLACEMENT, Subject(X86, "4-level"), ""),
        (capabilities.SPANNING, Subject(X86, "4-level"), ""),
    ],
)
def test_a_reason_is_given_where_a_capability_is_missing(capability: Capability, subject: Subject, reason: str) -> None:
    found = capability.missing(subject)
    assert found.startswith(reason)
    assert bool(found) is bool(reason)


def test_a_description_that_contradicts_itself_lacks_a_target() -> None:
    wrong: Architecture = in_mode(X86, direct_map_level="pgd of another mode")
    assert "contradicts itself" in capabilities.SOUND.missing(Subject(wrong, "4-level"))
    assert capabilities.SOUND.missing(Subject(X86, "4-level")) == ""


def test_every_capability_has_a_hint() -> None:
    found = [one for one in vars(capabilities).values() if isinstance(one, Capability)]
    assert len({one.name for one in found}) == len(found) > 15
    assert all(one.hint for one in found)
