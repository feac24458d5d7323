# SPDX-License-Identifier: GPL-2.0-only
"""hvolab: a workbench for HVO, the Linux kernel's HugeTLB Vmemmap Optimization."""

from __future__ import annotations

__version__ = "0.1.0"
