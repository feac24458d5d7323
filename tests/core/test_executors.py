# SPDX-License-Identifier: GPL-2.0-only
"""Executors: processes that end whatever happens, and a Dask cluster."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from importlib import import_module
from pathlib import Path

import pytest

from hvolab.errors import UsageError
from hvolab.executors import cluster, executor_of, job_count, local_processes


def test_there_is_a_process_for_each_cpu_unless_there_is_little_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(4)), raising=False)
    assert [job_count(None, units, 16) for units in (0, 15, 40, 120)] == [1, 1, 2, 4]
    assert [job_count(7, units, 16) for units in (0, 120)] == [7, 7]
    with executor_of(3, None, None, 16) as executor:
        assert executor is None


@pytest.mark.slow
def test_processes_end_at_an_interrupt_and_do_not_see_it() -> None:
    with pytest.raises(KeyboardInterrupt), executor_of(1, 2, None, 16) as executor:  # noqa: PT012 - the block ends by it
        assert executor is not None
        assert signal.SIGINT in executor.submit(signal.pthread_sigmask, signal.SIG_BLOCK, ()).result()
        executor.submit(time.sleep, 60)
        processes = multiprocessing.active_children()
        assert len(processes) == 2
        raise KeyboardInterrupt
    assert not any(process.is_alive() for process in processes)
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


@pytest.mark.slow
def test_a_process_that_is_killed_is_an_error_with_a_hint() -> None:
    with pytest.raises(UsageError, match="a process was killed"), local_processes(1) as executor:
        executor.submit(os._exit, 9).result()


def test_an_executor_that_is_not_known_is_refused() -> None:
    with pytest.raises(UsageError, match=r"unknown executor 'ray://x:1'.*dask://HOST:PORT"), cluster("ray://x:1"):
        pass


def test_without_the_extra_the_command_that_installs_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UsageError, match=r"pip install 'hvolab\[cluster\]'"), cluster("dask://127.0.0.1:1"):
        pass


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # of Dask and its event loop
def test_a_cluster_runs_functions_and_one_without_workers_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("distributed", reason="no Dask: pip install 'hvolab[cluster]'")
    distributed = import_module("distributed")
    folder = str(tmp_path)
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, dashboard_address=None, local_directory=folder
    ) as local:
        address = local.scheduler_address.replace("tcp://", "dask://")
        with executor_of(100, None, address, 16) as executor:
            assert executor is not None
            assert executor.submit(os.getpid).result() != os.getpid()
        local.scale(0)
        while local.scheduler.workers:
            time.sleep(0.05)
        with pytest.raises(UsageError, match="has no worker"), cluster(address):
            pass
