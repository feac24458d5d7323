# SPDX-License-Identifier: GPL-2.0-only
"""Errors of an emulated CPU, other than the faults of its guest."""

from __future__ import annotations

from hvolab.errors import HvolabError


class EmulatorError(HvolabError):
    """The emulator behaves unexpectedly: its release is untried, or a sequence does not do its step.

    Install the release of unicorn that `hvolab[emulation]` names; `hvolab conformance ARCH` tests the sequences.
    """


class GuestStuckError(EmulatorError):
    """A guest does not reach its end within the instructions or the time that its step may take.

    Look for a loop in the code that the message names; it may wait for an event that no stub delivers.
    """
