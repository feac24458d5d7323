"""Every instruction sequence carried out by a CPU that is not the model, and by its effect: both must do the same."""

from __future__ import annotations

from hvolab.conformance.effects.compare import compare_effect, forgets
from hvolab.conformance.effects.notation import State, carry_out
from hvolab.conformance.effects.trials import TrialPages, trials

__all__ = ["State", "TrialPages", "carry_out", "compare_effect", "forgets", "trials"]
