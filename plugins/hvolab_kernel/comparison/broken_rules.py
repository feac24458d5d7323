# SPDX-License-Identifier: GPL-2.0-only
"""A rule that a case breaks, as text that another process can send."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

#: What comes before the sentence of a fault in a report.
FAULT: Final = "known fault of the release: "
_NUMBER: Final = re.compile(r"0x[0-9a-f]+|\d+")


@dataclass(frozen=True)
class BrokenRule:
    """A rule that a case breaks.

    rule   its name: that of an invariant, or `completion`, `report`, `result`, `balance`, `stores`
    what   what is wrong
    where  folio, VA, entry, PFN
    code   functions that ran when it was seen, innermost first, with file and line; empty: it was seen at rest
    known  the reason for which it does not count; empty: it does
    fault  the known fault of the release that it is; empty: none
    """

    rule: str
    what: str
    where: str = ""
    code: str = ""
    known: str = ""
    fault: str = ""

    @property
    def kind(self) -> tuple[str, str]:
        """Rule and text without numbers: breaches of one kind are one."""
        return self.rule, _NUMBER.sub("…", self.what.partition(";")[0])
