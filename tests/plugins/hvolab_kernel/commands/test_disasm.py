# SPDX-License-Identifier: GPL-2.0-only
"""`hvolab disasm` as a user types it."""

from __future__ import annotations

from pathlib import Path

from tests.plugins.hvolab_kernel.cli_runner import as_json, hvolab
from tests.plugins.hvolab_kernel.code.made_up_code import paravirtual_kernel
from tests.plugins.hvolab_vmlinux.made_up_kernels import elf_image


def test_disasm_marks_the_store_beside_the_plugins_own_sequence(tmp_path: Path) -> None:
    path = tmp_path / "vmlinux"
    path.write_bytes(elf_image(paravirtual_kernel()))
    result = hvolab("disasm", path, "vmemmap_remap_pte")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert any(line.startswith("▶ +0") and "pv_ops.mmu.set_pte" in line for line in lines)
    assert any("goes to native_set_pte" in line for line in lines)
    assert any(line.startswith("the plugin's sequence for write_entry: mov") for line in lines)


def test_disasm_prints_json_with_stable_keys(image: Path) -> None:
    data = as_json("disasm", image, "vmemmap_remap_pte")
    assert list(data) == [
        "kernel", "machine", "function", "va", "size", "prototype", "instructions", "entry_stores", "plugin_sequence",
    ]  # fmt: skip
    assert data["entry_stores"] == [data["instructions"][1]["va"]]
    assert data["instructions"][1]["stores_entry"].endswith("through the parameter pte_t *pte")
    assert data["plugin_sequence"]["step"] == "write_entry"


def test_a_function_that_is_not_there_ends_with_advice_and_2(image: Path) -> None:
    result = hvolab("disasm", image, "vmemmap_remap")
    assert result.exit_code == 2
    assert "use a similar name: vmemmap_remap_pte" in result.stderr
