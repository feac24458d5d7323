"""Every kind of access below every combination of entries, predicted from the description and carried out by a CPU.

After the example of kvm-unit-tests' `access`: entries are put in tables of their own, a CPU that is not the model makes
an access through them, and what it reports, loads, stores and changes in the tables must be what the model foretells.
"""

from __future__ import annotations

from hvolab.conformance.mmu.compare import Comparison, Mismatch, compare_walks
from hvolab.conformance.mmu.enumerate import Case, cases

__all__ = ["Case", "Comparison", "Mismatch", "cases", "compare_walks"]
