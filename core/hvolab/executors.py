# SPDX-License-Identifier: GPL-2.0-only
"""Executors of many independent jobs: processes of this machine, and a Dask cluster."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import multiprocessing.util
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Final

from hvolab.errors import UsageError

_DASK: Final = "dask://"
#: Seconds for the answer of a scheduler.
_PATIENCE: Final = 10


def job_count(jobs: int | None, units: int, each: int) -> int:
    """Return the number of processes for so many units; None: one for each CPU that has ``each`` units at least."""
    if jobs is not None:
        return jobs
    return max(1, min(len(os.sched_getaffinity(0)), units // each))


@contextmanager
def local_processes(jobs: int) -> Iterator[Executor]:
    """Provide an executor of so many processes, which end with the ``with`` block, or with this process.

    Ctrl-C interrupts this process alone. Raises UsageError if one of the others is killed.
    """
    before = set(multiprocessing.active_children())
    # a fork of a process with threads, as numpy starts them, may deadlock
    executor = ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), _end_with_parent)
    try:
        with _without_interrupts():  # the processes inherit that
            for _ in range(jobs):
                executor.submit(os.getpid)
        yield executor
    except BaseException as error:
        for process in set(multiprocessing.active_children()) - before:
            process.kill()
            process.join()
        executor.shutdown(cancel_futures=True)  # waits for its thread, which closes the same pipes as the next line
        # after an interrupt the program ends without Python's own end, which removes semaphores
        multiprocessing.util._run_finalizers()  # type: ignore[attr-defined]  # noqa: SLF001 - it has only this name
        if isinstance(error, BrokenProcessPool):
            raise UsageError(
                "a process was killed",
                rule="with huge pages of 1 GiB each process needs about 300 MiB",
                hint="use fewer: --jobs 1",
            ) from error
        raise
    executor.shutdown()


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Deliver SIGINT after the ``with`` block."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end_with_parent() -> None:
    """End this process as soon as its parent has ended, however that was."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_wait_and_end, args=(parent.sentinel,), daemon=True).start()


def _wait_and_end(sentinel: int) -> None:
    multiprocessing.connection.wait([sentinel])
    os._exit(1)


@contextmanager
def cluster(address: str) -> Iterator[Executor]:
    """Provide the executor of a cluster, `dask://HOST:PORT`.

    Raises UsageError for another address, without the extra `cluster`, and where no scheduler or worker answers.
    """
    if not address.startswith(_DASK):
        raise UsageError(f"unknown executor {address!r}", hint=f"name a Dask scheduler: {_DASK}HOST:PORT")
    try:
        distributed: Any = import_module("distributed")
    except ImportError as error:
        raise UsageError(
            "--executor dask:// needs the Python package distributed, which is not installed",
            hint="install the extra: pip install 'hvolab[cluster]'",
        ) from error
    try:
        client = distributed.Client(f"tcp://{address.removeprefix(_DASK)}", timeout=_PATIENCE)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"no Dask scheduler answers at {address}: {error}", hint="start one: dask scheduler; dask worker HOST:PORT"
        ) from error
    with client:
        if not client.nthreads():
            raise UsageError(f"the cluster at {address} has no worker", hint="start one: dask worker HOST:PORT")
        yield client.get_executor(pure=False)


@contextmanager
def executor_of(units: int, jobs: int | None, address: str | None, each: int) -> Iterator[Executor | None]:
    """Provide the executor for so many units of work: of a cluster, or of `jobs` processes; None: this process.

    jobs  None: one for each CPU, fewer for few units
    each  units for each process below which its start takes longer than it saves
    """
    count = job_count(jobs, units, each)
    if address is not None:
        with cluster(address) as executor:
            yield executor
    elif count > 1:
        with local_processes(count) as executor:
            yield executor
    else:
        yield None
