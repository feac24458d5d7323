# SPDX-License-Identifier: GPL-2.0-only
"""Shrinking of a schedule to the fewest switches with which a finding still occurs."""

from __future__ import annotations

from hvolab.errors import HvolabError
from hvolab_explorer.exploration import Found, Limits, Program, explore
from hvolab_explorer.schedule import TO_THE_END, Replay, Segment, segments_of
from hvolab_explorer.steps.actor import Step

#: Schedules that are tried at most.
_MOST_TRIES = 200


def replay(program: Program, found: Found) -> Found:
    """Run the schedule of a finding again; return the finding. Raises HvolabError if it does not occur."""
    again = _run(program, segments_of(found.log), found.text)
    if again is None:
        raise HvolabError(
            f"a finding does not occur again in its own schedule: {found.text}",
            rule="a schedule decides everything that its actors do",
            hint="report it with the command and the version of hvolab",
        )
    return Found(found.text, found.schedule, again)


def shrink(program: Program, found: Found) -> Found:
    """Return the finding with a schedule of as few switches as dropping and extending segments leads to."""
    best, tries, progress = found.log, 0, True
    while progress and tries < _MOST_TRIES:
        progress = False
        segments = segments_of(best)
        for number, segment in enumerate(segments):
            before, after = segments[:number], segments[number + 1 :]
            extended = Segment(segment.actor, TO_THE_END)
            for candidate in ([*before, *after], [*before, extended, *after]):
                tries += 1
                log = _run(program, candidate, found.text)
                if log is not None and len(segments_of(log)) < len(segments):
                    best, progress = log, True
                    break
            if progress:
                break
    return Found(found.text, found.schedule, best)


def _run(program: Program, segments: list[Segment], text: str) -> tuple[Step, ...] | None:
    """Run a schedule; return its log if it has the finding."""
    result = explore(program, Replay(segments), Limits(schedules=1, refines=False))
    found = result.findings.get(text)
    return None if found is None else found.log
