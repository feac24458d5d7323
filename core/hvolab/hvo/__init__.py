# SPDX-License-Identifier: GPL-2.0-only
"""The optimization itself, named as the kernel names it. Kernel: mm/hugetlb_vmemmap.c, v6.12."""

from __future__ import annotations

from hvolab.hvo.engine import Hvo
from hvolab.hvo.interface import EngineMaker, EngineSetup, HvoEngine, ImageEngineMaker, VmemmapOptimizer
from hvolab.hvo.knobs import Sysctl
from hvolab.hvo.pages import VmemmapPageAllocator
from hvolab.hvo.sizes import HasOrder, VmemmapSizes
from hvolab.hvo.walk import ENOMEM, ENOTSUPP

__all__ = [
    "ENOMEM",
    "ENOTSUPP",
    "EngineMaker",
    "EngineSetup",
    "HasOrder",
    "Hvo",
    "HvoEngine",
    "ImageEngineMaker",
    "Sysctl",
    "VmemmapOptimizer",
    "VmemmapPageAllocator",
    "VmemmapSizes",
]
