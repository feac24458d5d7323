"""What optimized folios are to a CPU that executes: every tail loaded, stored to, exchanged and fetched from."""

from __future__ import annotations

from hvolab_unicorn.verify.probes import ProbeCounts, ProbeMismatch, ProbeRecord
from hvolab_unicorn.verify.verification import Verification, verify

__all__ = ["ProbeCounts", "ProbeMismatch", "ProbeRecord", "Verification", "verify"]
