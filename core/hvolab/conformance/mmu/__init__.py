"""Every kind of access below every combination of entries, predicted from the description and carried out by a CPU.

After the example of kvm-unit-tests' `access`: entries are put in tables of their own, a CPU that is not the model makes
an access through them, and what it reports, loads, stores and changes in the tables must be what the model foretells.
"""

from __future__ import annotations

from hvolab.conformance.mmu.compare import AccessComparison, AccessMismatch, compare_walks
from hvolab.conformance.mmu.enumerate import AccessCase, cases

__all__ = ["AccessCase", "AccessComparison", "AccessMismatch", "cases", "compare_walks"]
