# SPDX-License-Identifier: GPL-2.0-only
"""Discovery of the installed plugins: the entry points of group `hvolab`, in the order of loading."""

from __future__ import annotations

import importlib.metadata
import re
from functools import cache
from typing import TYPE_CHECKING, Final

from hvolab.plugin.report import PluginOrigin, PluginStatus, sentence

if TYPE_CHECKING:
    from collections.abc import Iterable
    from importlib.metadata import Distribution, EntryPoint

#: The entry-point group under which distributions announce plugins.
GROUP: Final = "hvolab"
#: The name of a distribution whose metadata has none.
_UNNAMED: Final = "(unnamed)"


def installed_entry_points() -> tuple[list[EntryPoint], list[PluginStatus]]:
    """Return the entry points of every installed distribution, and a status for each one whose list is unreadable.

    Distributions are read one by one, because a single malformed file stops importlib.metadata.entry_points() for all.
    Of a distribution that is on the path twice the first counts, as in an import.
    """
    found: list[EntryPoint] = []
    unreadable: list[PluginStatus] = []
    seen: set[str] = set()
    for distribution in importlib.metadata.distributions():
        try:
            # Names are in the metadata, whose parsing costs more than all the rest: only for those with plugins.
            if f"[{GROUP}]" not in (distribution.read_text("entry_points.txt") or ""):
                continue
            name, _ = _identity(distribution)
            if _normalized(name) not in seen:
                seen.add(_normalized(name))
                found += importlib.metadata.distribution(name).entry_points.select(group=GROUP)
        except Exception as error:  # noqa: BLE001 - reported, whatever it is: foreign metadata must not stop the rest
            name, version = _identity(distribution)
            reason = f"its entry points cannot be read: {sentence(error)}; where: {distribution.locate_file('')}"
            unreadable.append(PluginStatus(PluginOrigin(name, name, "", version), problem=reason))
    return found, unreadable


def in_loading_order(entry_points: Iterable[EntryPoint]) -> list[tuple[PluginOrigin, EntryPoint]]:
    """Sort entry points: hvolab's own first, then by entry point's name, distribution and value.

    The later one of two plugins that clash is left out: hvolab's own keep their names, and the path does not matter.
    """
    pairs = []
    for entry_point in entry_points:
        distribution, version = ("", "") if entry_point.dist is None else _identity(entry_point.dist)
        # The value is split by hand: EntryPoint.module raises on a malformed one, which is reported later.
        package = entry_point.value.partition(":")[0].strip().partition(".")[0]
        pairs.append((PluginOrigin(entry_point.name, distribution, package, version), entry_point))

    def order(pair: tuple[PluginOrigin, EntryPoint]) -> tuple[bool, str, str, str]:
        origin, entry_point = pair
        return not origin.is_own, origin.name, origin.distribution, entry_point.value

    return sorted(pairs, key=order)


@cache  # parsing the metadata takes milliseconds, and each entry point of a distribution has the same object
def _identity(distribution: Distribution) -> tuple[str, str]:
    """Return name and version of a distribution; what its metadata does not have is replaced."""
    try:
        metadata = distribution.metadata
    except (OSError, UnicodeError):
        return _UNNAMED, ""
    name = metadata["Name"] if "Name" in metadata else _UNNAMED  # noqa: SIM401 - its protocol has no get() in 3.11
    return name, metadata["Version"] if "Version" in metadata else ""  # noqa: SIM401 - the same


def _normalized(name: str) -> str:
    """Return the form in which two spellings of one distribution's name are equal, as packaging tools compare them."""
    return re.sub(r"[-_.]+", "-", name).lower()
