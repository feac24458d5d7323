# SPDX-License-Identifier: GPL-2.0-only
"""Execution of a kernel's own functions on one of hvolab's machines, by an emulated CPU."""

from __future__ import annotations

from hvolab_kernel.running.call_result import CallResult, CallStatus
from hvolab_kernel.running.hvo import KernelHvo
from hvolab_kernel.running.kernel_cpu import KernelCpu

__all__ = ["CallResult", "CallStatus", "KernelCpu", "KernelHvo"]
