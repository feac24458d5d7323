# SPDX-License-Identifier: GPL-2.0-only
"""Hypothesis profiles: fresh examples on a desk, the same in CI; and marks of an architecture and of an emulator."""

from __future__ import annotations

import gc
import importlib.util
import os
import re
import signal

import pytest
from hypothesis import HealthCheck, settings

#: The option --hvolab-arch, the marker arch, and the kit's summary.
pytest_plugins = ("hvolab.conformance.pytest_plugin",)

# No test of hvolab is about time, and a busy machine is no finding.
settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("default"), derandomize=True, database=None, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")

#: What names an architecture in a test's path or in what it is parametrized with, and the architecture.
_NAMES = {"x86_64": "x86_64", "arm64": "arm64", "riscv": "riscv", "riscv64": "riscv"}
_PATH = re.compile(r"arches/hvolab_(\w+)/")
#: What the tests of a folder cannot do without, and what to install where it is missing.
_NEEDED = {
    "plugins/hvolab_boot/": (("unicorn", "capstone", "lz4", "lzallright"), "pip install 'hvolab[boot]'"),
    "plugins/hvolab_explorer/": (("greenlet",), "pip install 'hvolab[explore]'"),
    "plugins/hvolab_unicorn/": (("unicorn", "capstone"), "pip install 'hvolab[emulation]'"),
    "plugins/hvolab_vmlinux/": (("lz4", "lzallright"), "pip install 'hvolab[kernel]'"),
    "plugins/hvolab_kernel/": (("capstone", "lz4", "lzallright"), "pip install 'hvolab[kernel]'"),
}
#: Folders, and the fixtures, whose tests need an emulator or a disassembler, some of them or all.
_EMULATED = ("plugins/hvolab_boot/", "plugins/hvolab_unicorn/", "plugins/hvolab_kernel/", "core/conformance/")
_IMAGES = {"real_kernel", "given_kernel"}
#: Allocations after which the garbage collector looks at young objects.
_ALLOCATIONS = 50_000


def pytest_configure() -> None:
    """Accept Ctrl-C where the shell has started a job of its background with SIGINT ignored, which children inherit."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """Let the garbage collector look less often at what lives as long as the run.

    It is not frozen: hypothesis 6.115 looks for the referrers of its random numbers, which gc.freeze() hides.
    """
    gc.collect()
    gc.set_threshold(_ALLOCATIONS)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that names kernel images, and a short name of the kit's option."""
    group = parser.getgroup("hvolab")
    group.addoption("--arch", action="append", dest="hvolab_arch", metavar="NAME", help="the same as --hvolab-arch")
    group.addoption(
        "--kernel-image",
        action="append",
        metavar="FILE",
        help="a kernel image for the tests that take any; the option may be repeated",
    )


def _missing() -> dict[str, str]:
    """Reason to skip the tests of a folder, for each folder whose libraries are not all installed."""
    reasons = {}
    for folder, (needed, hint) in _NEEDED.items():
        if names := [name for name in needed if importlib.util.find_spec(name) is None]:
            reasons[folder] = f"{', '.join(names)} not installed: {hint}"
    return reasons


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests of one architecture, by folder or parameter as `riscv64-6.12-sv39`; of an emulator; and long ones."""
    missing = _missing()
    for item in items:
        found = set(_PATH.findall(item.path.as_posix()))
        if isinstance(item, pytest.Function) and hasattr(item, "callspec"):
            words = [value for value in item.callspec.params.values() if isinstance(value, str)]
            found |= {_NAMES[first] for word in words if (first := word.partition("-")[0]) in _NAMES}
        if found:
            item.add_marker(pytest.mark.arch(*sorted(found)))
        fixtures = set(item.fixturenames) if isinstance(item, pytest.Function) else set()
        if fixtures & _IMAGES or any(folder in item.path.as_posix() for folder in _EMULATED):
            item.add_marker(pytest.mark.emulator)
        if item.get_closest_marker("long"):
            item.add_marker(pytest.mark.slow)
        for folder, reason in missing.items():
            if folder in item.path.as_posix():
                item.add_marker(pytest.mark.skip(reason=reason))
