"""Comparison of instruction sequences, executed by a CPU, with their declared effects, evaluated in Python."""

from __future__ import annotations

from hvolab.conformance.effects.compare import compare_effect, stale_after
from hvolab.conformance.effects.notation import State, apply_effect
from hvolab.conformance.effects.trials import TrialPages, trials

__all__ = ["State", "TrialPages", "apply_effect", "compare_effect", "stale_after", "trials"]
