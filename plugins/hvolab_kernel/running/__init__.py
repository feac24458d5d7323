"""A kernel's own functions, carried out by an emulated CPU on a machine of hvolab's."""

from __future__ import annotations

from .hvo import KernelHvo
from .kernel_cpu import KernelCpu
from .outcome import Ending, Outcome

__all__ = ["Ending", "KernelCpu", "KernelHvo", "Outcome"]
