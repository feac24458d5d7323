# SPDX-License-Identifier: GPL-2.0-only
"""Verification of optimized folios on emulated CPUs: every tail is loaded, stored to, exchanged and fetched from."""

from __future__ import annotations

from hvolab_unicorn.verify.probes import ProbeCounts, ProbeMismatch, ProbeRecord, Verification
from hvolab_unicorn.verify.verification import verify

__all__ = ["ProbeCounts", "ProbeMismatch", "ProbeRecord", "Verification", "verify"]
