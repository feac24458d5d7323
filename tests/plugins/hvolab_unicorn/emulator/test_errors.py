# SPDX-License-Identifier: GPL-2.0-only
"""Errors of the emulator: a guest that does not end is one of them, and each has a place in the hierarchy."""

from __future__ import annotations

from hvolab.errors import HvolabError
from hvolab_unicorn.emulator.errors import EmulatorError, GuestStuckError


def test_a_stuck_guest_is_an_error_of_the_emulator_and_of_hvolab() -> None:
    error = GuestStuckError("load does not come to its end", where="pc=0x10", rule="CPU 0")
    assert isinstance(error, EmulatorError)
    assert isinstance(error, HvolabError)
    assert str(error) == "load does not come to its end; where: pc=0x10; rule: CPU 0"
