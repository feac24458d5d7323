# SPDX-License-Identifier: GPL-2.0-only
"""An unstripped vmlinux, as a developer's own tree has it: with an ELF symbol table, and with BTF or without.

The file is that of a fetched image, with the image's symbols added to its symbol table.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from hvolab_vmlinux.containers.unwrap import unwrap
from hvolab_vmlinux.formats.elf import ElfKernel, elf_symbols, read_elf
from hvolab_vmlinux.open import read_kernel
from hvolab_vmlinux.symbols.table import SymbolTable
from tests.kernel_images import images_directory
from tests.plugins.hvolab_kernel.cli_runner import as_json, hvolab
from tests.plugins.hvolab_kernel.objects.developer_objects import kernel_of, object_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("objcopy") is None, reason="no objcopy: apt-get install binutils"),
]
pytest.importorskip("unicorn", reason="no emulator: pip install 'hvolab[emulation]'")
pytest.importorskip("capstone", reason="no disassembler: pip install 'hvolab[kernel]'")
NAME = "x86_64-6.12"
IMAGE = images_directory() / f"{NAME}.image"
SCENARIO = ("--scenario", "2M buddy: optimize", "--no-cache")
_ALLOCATED = 2


def _symbols(elf: ElfKernel, symbols: SymbolTable) -> list[str]:
    """Return arguments of objcopy that add the symbols, each to the section that holds it."""
    sections = [one for one in elf.sections if one.flags & _ALLOCATED and one.va]
    arguments = []
    for va, name in zip(symbols.addresses.tolist(), symbols.text.decode().split("\0"), strict=False):
        section = next((one for one in sections if one.va <= va < one.va + one.size), None)
        if section is not None:
            arguments.append(f"--add-symbol={name}={section.name}:{va - section.va:#x},global")
    return arguments


@pytest.fixture(scope="module")
def vmlinux(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the path of a vmlinux with a symbol table and BTF."""
    folder = tmp_path_factory.mktemp("vmlinux")
    symbols = kernel_of(NAME).table  # skips without the image
    content, _, _ = unwrap(IMAGE.read_bytes(), NAME)
    bare, arguments, made = folder / "bare", folder / "symbols", folder / "vmlinux"
    bare.write_bytes(content)
    assert symbols is not None
    arguments.write_text("\n".join(_symbols(read_elf(content, NAME), symbols)))
    subprocess.run(["objcopy", f"@{arguments}", str(bare), str(made)], check=True)
    return made


def test_its_symbols_are_those_of_its_symbol_table(vmlinux: Path) -> None:
    content = vmlinux.read_bytes()
    kernel = read_kernel(content, "vmlinux")
    table = elf_symbols(content, read_elf(content, "vmlinux"), "vmlinux")
    assert table is not None
    assert kernel.table is not None
    assert len(kernel.table) == len(table) > 100_000
    assert kernel.lacks == ()
    for name in ("hugetlb_vmemmap_optimize_folio", "vmemmap_remap_range", "hugetlb_lock"):
        assert kernel.symbols.address(name) == kernel_of(NAME).symbols.address(name)


def test_its_code_runs_as_that_of_the_image(vmlinux: Path) -> None:
    own, image = (as_json("kernel", str(path), *SCENARIO) for path in (vmlinux, IMAGE))
    assert own["cases"] == image["cases"] > 0
    assert own["differing"] == image["differing"] == []


def test_without_btf_it_takes_the_types_of_an_object_or_names_the_command_that_adds_them(vmlinux: Path) -> None:
    bare, developers = vmlinux.with_name("without-btf"), ("--object", str(object_of(NAME)))
    subprocess.run(["objcopy", "--remove-section=.BTF", str(vmlinux), str(bare)], check=True)
    alone = hvolab("kernel", str(bare), *SCENARIO)
    # an object has no struct that only boot uses: the variable is zero with four levels, and is not with five
    wide = hvolab("kernel", str(bare), *developers, "--mode", "5-level", *SCENARIO)
    for refused in (alone, wide):
        assert refused.exit_code == 2
        assert "pahole -J vmlinux" in " ".join(refused.stderr.split())
    assert "no struct cpuinfo_x86" in wide.stderr
    linked = as_json("kernel", str(bare), *developers, "--against", "rules", *SCENARIO)
    assert linked["cases"] > 0
    assert all(one["known"] for one in linked["broken"])
    report = " ".join(hvolab("image", str(bare), *developers, "--no-cache").stdout.split())
    assert "the image has no types, and those of the object are used for both" in report
