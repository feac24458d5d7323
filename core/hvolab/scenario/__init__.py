# SPDX-License-Identifier: GPL-2.0-only
"""Scenarios: one machine, operations on its pools, and their result as data."""

from __future__ import annotations

from hvolab.scenario.boot import BootSettings, parse_boot
from hvolab.scenario.data import (
    FindingRow,
    FolioRow,
    FrameRange,
    MeasuredPool,
    OperationRow,
    PoolRow,
    RunData,
    StageCounters,
    run_data,
)
from hvolab.scenario.operations import OPERATIONS, Operation, Outcome, PoolSet, Request, parse_operations
from hvolab.scenario.recorder import Recorder
from hvolab.scenario.result import PoolReport, ScenarioResult, Stage
from hvolab.scenario.scenario import run_scenario
from hvolab.scenario.spec import DEFAULT_MEMORY, ScenarioSpec, default_hugepages, memory_needed
from hvolab.scenario.stops import as_findings
from hvolab.scenario.stores import StoreHit, TailStores
from hvolab.scenario.views import FolioHistory, MappingRun, VmemmapView
from hvolab.scenario.work import FailedCall, OperationCounts

__all__ = [
    "DEFAULT_MEMORY",
    "OPERATIONS",
    "BootSettings",
    "FailedCall",
    "FindingRow",
    "FolioHistory",
    "FolioRow",
    "FrameRange",
    "MappingRun",
    "MeasuredPool",
    "Operation",
    "OperationCounts",
    "OperationRow",
    "Outcome",
    "PoolReport",
    "PoolRow",
    "PoolSet",
    "Recorder",
    "Request",
    "RunData",
    "ScenarioResult",
    "ScenarioSpec",
    "Stage",
    "StageCounters",
    "StoreHit",
    "TailStores",
    "VmemmapView",
    "as_findings",
    "default_hugepages",
    "memory_needed",
    "parse_boot",
    "parse_operations",
    "run_data",
    "run_scenario",
]
