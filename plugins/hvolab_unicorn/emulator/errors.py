"""What can go wrong with an emulated CPU beside the faults of its guest."""

from __future__ import annotations

from hvolab.errors import HvolabError


class EmulatorError(HvolabError):
    """The emulator does something that is not expected of it: another release, or a step that is not what it says."""


class GuestStuckError(EmulatorError):
    """A guest that did not come to its end within the instructions or the time that its step may take."""
