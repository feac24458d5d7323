"""Errors of an emulated CPU, other than the faults of its guest."""

from __future__ import annotations

from hvolab.errors import HvolabError


class EmulatorError(HvolabError):
    """Unexpected behavior of the emulator: an untried release, or a sequence that does not do its step."""


class GuestStuckError(EmulatorError):
    """A guest that did not reach its end within the instructions or the time that its step may take."""
