"""The static key is the number of optimized folios.

`hugetlb_optimize_vmemmap_key` counts the folios that have the flag, in pools and outside of them.
"""

from __future__ import annotations

from operator import attrgetter

from hvolab.invariants.invariant import Invariant, Report
from hvolab.invariants.survey import Survey


def _state(survey: Survey, report: Report) -> None:
    optimized = sum(int(survey.optimized(folios.pfns).sum()) for folios in survey.folios)
    if optimized != survey.machine.key:
        report(f"the static key is {survey.machine.key}, but {optimized} folios are optimized")


INVARIANT = Invariant(2, "static_key", __doc__, state=_state, applies_to=attrgetter("counts_folios"))
