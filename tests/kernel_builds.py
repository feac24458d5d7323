# SPDX-License-Identifier: GPL-2.0-only
"""Builds arm64 kernels with HVO, which Debian's arm64 kernels leave out, from Debian's own source.

HVO is left out because arm64 does not select it: with that one line in its Kconfig, and a small configuration that has
what distributions have around HVO, and what `hvolab boot` needs, an image takes minutes.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.kernel_apt import Apt, FetchError, pipe, require_apt


@dataclass(frozen=True)
class BuiltImage:
    """A kernel image that is built: our name for it, Debian's suite and source package, options, and a remark.

    options  of the configuration, beside those of OPTIONS, which they replace
    version  of the source package; empty: the newest
    """

    name: str
    options: tuple[tuple[str, str], ...] = ()
    remark: str = ""
    suite: str = "trixie"
    source: str = "linux-source-6.12"
    version: str = ""
    architecture: str = "arm64"
    by_default: bool = False


#: What all images have: HVO, what shows it to hvolab (kallsyms, BTF), what distributions have that its code uses, and
#: from BLK_DEV_INITRD on what QEMU's machine and the one program of a guest need.
OPTIONS: Final = {
    "LOCALVERSION": '"-hvo"',
    "HUGETLBFS": "y",
    "HUGETLB_PAGE_OPTIMIZE_VMEMMAP": "y",
    "SPARSEMEM_VMEMMAP": "y",
    "MEMORY_HOTPLUG": "y",  # without it self-hosted vmemmap is not told from other
    "MEMORY_HOTREMOVE": "y",
    "MIGRATION": "y",
    "MHP_MEMMAP_ON_MEMORY": "y",
    "NUMA": "y",
    "TRANSPARENT_HUGEPAGE": "y",
    "ARM64_CONTPTE": "y",
    "ARM64_4K_PAGES": "y",
    "ARM64_VA_BITS_48": "y",
    "ARM64_PA_BITS_48": "y",
    "ARM64_LSE_ATOMICS": "y",
    "ARM64_USE_LSE_ATOMICS": "y",
    "ARM64_HW_AFDBM": "y",
    "ARM64_TLB_RANGE": "y",
    "ARM64_PAN": "y",
    "ARM64_PTR_AUTH": "y",
    "ARM64_PTR_AUTH_KERNEL": "y",
    "UNMAP_KERNEL_AT_EL0": "y",
    "JUMP_LABEL": "y",
    "RELOCATABLE": "y",
    "RANDOMIZE_BASE": "y",
    "STACKPROTECTOR": "y",
    "STACKPROTECTOR_STRONG": "y",
    "LIST_HARDENED": "y",
    "DEBUG_LIST": "y",
    "BUG": "y",
    "PRINTK": "y",
    "SYSFS": "y",
    "PROC_FS": "y",
    "PROC_SYSCTL": "y",
    "EXPERT": "y",
    "KALLSYMS": "y",
    "KALLSYMS_ALL": "y",
    "BPF_SYSCALL": "y",
    "DEBUG_KERNEL": "y",
    "DEBUG_INFO_DWARF5": "y",
    "DEBUG_INFO_BTF": "y",
    "BLK_DEV_INITRD": "y",
    "BINFMT_ELF": "y",
    "MULTIUSER": "y",
    "DEVTMPFS": "y",
    "TTY": "y",
    "SERIAL_AMBA_PL011": "y",
    "SERIAL_AMBA_PL011_CONSOLE": "y",
    "PROC_PAGE_MONITOR": "y",
    "PROC_KCORE": "y",  # selects VMCORE_INFO
    "INIT_ON_ALLOC_DEFAULT_ON": "y",
}
_PLAIN: Final = (("JUMP_LABEL", "n"), ("ARM64_LSE_ATOMICS", "n"), ("ARM64_USE_LSE_ATOMICS", "n"))
_LPA2: Final = (
    *(("ARM64_VA_BITS_48", "n"), ("ARM64_VA_BITS_52", "y")),
    *(("ARM64_PA_BITS_48", "n"), ("ARM64_PA_BITS_52", "y")),
)
IMAGES: Final = (
    BuiltImage("arm64-6.12-hvo", remark="4K pages; built, since Debian's arm64 kernels leave HVO out"),
    BuiltImage(
        "arm64-6.12-hvo-64K",
        (("ARM64_4K_PAGES", "n"), ("ARM64_64K_PAGES", "y")),
        "64K pages, whose vmemmap is mapped by pages",
    ),
    BuiltImage(
        "arm64-6.12-hvo-16K",
        (("ARM64_4K_PAGES", "n"), ("ARM64_16K_PAGES", "y")),
        "16K pages, whose vmemmap is mapped by pages",
    ),
    BuiltImage(
        "arm64-6.12-hvo-LPA2",
        _LPA2,
        "4K pages, 52 bits of VA and PA: LPA2 where the CPU has it",
    ),
    BuiltImage(
        "arm64-6.12-hvo-plain",
        _PLAIN,
        "4K pages, static keys and atomics inline",
    ),
    BuiltImage(
        "arm64-6.12.107-hvo",
        _PLAIN,
        "HVO as v6.12 has it: the source, and as far as HVO goes the options, of the kernel of tests/kernel_traces",
        version="6.12.107-1",
    ),
)
_CROSS: Final = "aarch64-linux-gnu-"
#: What building takes: a command, or a header, and the package of Debian's that has it.
_NEEDED: Final = (
    ("make", "make"),
    ("gcc", "gcc"),
    (f"{_CROSS}gcc", "gcc-aarch64-linux-gnu"),
    ("flex", "flex"),
    ("bison", "bison"),
    ("bc", "bc"),
    ("tar", "tar"),
    ("xz", "xz-utils"),
    ("pahole", "dwarves"),
    ("/usr/include/libelf.h", "libelf-dev"),
    ("/usr/include/zlib.h", "zlib1g-dev"),
)
#: The line of arch/arm64/Kconfig behind which HVO is selected.
_BEHIND: Final = "config ARM64\n\tdef_bool y\n"
_SELECT: Final = "\tselect ARCH_WANT_OPTIMIZE_HUGETLB_VMEMMAP\n"
#: Who builds an image, and when, is no part of it.
_REPRODUCIBLE: Final = {
    "KBUILD_BUILD_TIMESTAMP": "1970-01-01",
    "KBUILD_BUILD_USER": "hvolab",
    "KBUILD_BUILD_HOST": "hvolab",
    "LC_ALL": "C",
}
#: Lines of what a failed command printed that are told.
_TOLD: Final = 8


def build(wanted: Sequence[BuiltImage], directory: Path) -> dict[str, Path]:
    """Build images into `directory`; returns the path of each by name. Raises FetchError."""
    require_apt()
    _require_tools()
    directory.mkdir(parents=True, exist_ok=True)
    built = {}
    for origin in dict.fromkeys((image.suite, image.source, image.version) for image in wanted):
        with tempfile.TemporaryDirectory(prefix="build-", dir=directory) as scratch:
            tree = _source_tree(Path(scratch), *origin)
            for image in wanted:
                if (image.suite, image.source, image.version) == origin:
                    built[image.name] = _build_one(tree, image, directory / f"{image.name}.image")
    return built


def _require_tools() -> None:
    missing = [
        (tool, package)
        for tool, package in _NEEDED
        if not (Path(tool).exists() if tool.startswith("/") else shutil.which(tool))
    ]
    if missing:
        packages = " ".join(package for _, package in missing)
        raise FetchError(
            f"building a kernel needs {', '.join(tool for tool, _ in missing)}, not here: apt-get install {packages}"
        )


def _source_tree(scratch: Path, suite: str, package: str, version: str) -> Path:
    """Fetch the source and unpack it, with HVO selected for arm64."""
    state = scratch / "apt"
    state.mkdir()
    archive = Apt(state, suite, ["arm64"]).download(f"{package}={version}" if version else package)
    tree = scratch / "linux"
    tree.mkdir()
    inner = f"./usr/src/{package}.tar.xz"
    pipe(
        tree,
        ["dpkg-deb", "--fsys-tarfile", str(archive)],
        ["tar", "-x", "--to-stdout", inner],
        ["tar", "-xJ", "--strip-components=1"],
    )
    archive.unlink()
    kconfig = tree / "arch/arm64/Kconfig"
    text = kconfig.read_text()
    if _BEHIND not in text:
        raise FetchError(f"{package} has another arch/arm64/Kconfig than is known: HVO cannot be selected there")
    kconfig.write_text(text.replace(_BEHIND, _BEHIND + _SELECT, 1))
    return tree


def _build_one(tree: Path, image: BuiltImage, path: Path) -> Path:
    output = tree.parent / image.name
    output.mkdir()
    options = OPTIONS | dict(image.options)
    chosen = output / "options"
    chosen.write_text("".join(f"CONFIG_{name}={value}\n" for name, value in options.items()))
    _make(tree, output, f"KCONFIG_ALLCONFIG={chosen}", "allnoconfig")
    _check(image, options, (output / ".config").read_text())
    _make(tree, output, f"-j{len(os.sched_getaffinity(0))}", "Image")
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    shutil.copyfile(output / "arch/arm64/boot/Image", partial)
    partial.replace(path)
    shutil.rmtree(output)
    return path


def _make(tree: Path, output: Path, *arguments: str) -> None:
    """Build a target of the kernel's; FetchError with the last lines if it fails."""
    command = ["make", "-s", "-C", str(tree), f"O={output}", "ARCH=arm64", f"CROSS_COMPILE={_CROSS}", *arguments]
    done = subprocess.run(command, env={**os.environ, **_REPRODUCIBLE}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise FetchError("\n  ".join(["the kernel cannot be built:", *done.stderr.strip().splitlines()[-_TOLD:]]))


def _check(image: BuiltImage, options: dict[str, str], configuration: str) -> None:
    """Raise FetchError for options that the source does not take as they are wanted."""
    lines = frozenset(configuration.splitlines())
    lost = [name for name, value in options.items() if value != "n" and f"CONFIG_{name}={value}" not in lines]
    lost += [name for name, value in options.items() if value == "n" and f"CONFIG_{name}=y" in lines]
    if lost:
        raise FetchError(f"the source of {image.name} does not take these options: {', '.join(lost)}")
