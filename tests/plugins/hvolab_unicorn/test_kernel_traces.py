# SPDX-License-Identifier: GPL-2.0-only
"""The engine on emulated CPUs against kernels' own compiled code: the guest's stores, flushes and loads do the same."""

from __future__ import annotations

import pytest

from hvolab_unicorn import make_cpu
from tests.core.hvo import test_kernel_writes as writes
from tests.core.hvo.test_kernel_traces import TRACES, departures_of, report

#: One run of so many is made in every run of the tests.
_SAMPLE = 9


@pytest.mark.slow
@pytest.mark.parametrize("name", TRACES)
def test_some_runs_of_a_kernel(name: str) -> None:
    departures = departures_of(name, make_cpu, _SAMPLE)
    assert not departures, report(departures)


@pytest.mark.long
@pytest.mark.parametrize("name", TRACES)
def test_every_run_of_a_kernel(name: str) -> None:
    departures = departures_of(name, make_cpu)
    assert not departures, report(departures)


@pytest.mark.slow
@pytest.mark.parametrize("name", TRACES)
def test_every_write_of_a_kernel_in_its_place(name: str) -> None:
    departures = writes.departures_of(name, make_cpu)
    assert not departures, "\n".join(departures)
