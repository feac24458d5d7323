"""A kernel's own functions, carried out by an emulated CPU on a machine of hvolab's."""

from __future__ import annotations

from hvolab_kernel.running.call_status import CallResult, CallStatus
from hvolab_kernel.running.hvo import KernelHvo
from hvolab_kernel.running.kernel_cpu import KernelCpu

__all__ = ["CallResult", "CallStatus", "KernelCpu", "KernelHvo"]
