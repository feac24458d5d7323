"""`hvolab image` and `hvolab disasm` as a user types them: what they print, and what they exit with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

import hvolab_kernel
from hvolab.cli.app import build_app
from tests.plugins.hvolab_kernel.code.made_up_code import paravirtual_kernel, x86_kernel_like_6_12
from tests.plugins.hvolab_vmlinux.made_up_kernels import RELEASE, MadeUp, bzimage, elf_image, flat_image


def hvolab(*arguments: str | Path) -> Result:
    return CliRunner().invoke(build_app(), [str(argument) for argument in arguments])


def as_json(*arguments: str | Path) -> Any:
    return json.loads(hvolab(*arguments, "--json").stdout)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "vmlinuz"
    path.write_bytes(bzimage(elf_image(x86_kernel_like_6_12())))
    return path


def test_the_hook_adds_its_commands_to_any_command_line() -> None:
    app = typer.Typer()
    hvolab_kernel.hvolab_commands(app)
    assert [command.name for command in app.registered_commands] == ["image", "disasm", "kernel"]


def test_image_shows_what_is_in_an_image(image: Path) -> None:
    result = hvolab("image", image)
    assert result.exit_code == 0
    for text in (RELEASE, "x86_64 (EM_X86_64)", "bzImage > gzip > ELF", "it has HVO as in 6.12", "waits for RCU"):
        assert text in result.stdout


def test_image_prints_json_with_stable_keys(image: Path) -> None:
    data = as_json("image", image)
    assert list(data) == [
        "release", "architecture", "machine", "layers", "digest", "base", "entry", "memory_size", "relocations",
        "segments", "symbols", "types", "lacks", "hvo", "timings",
    ]  # fmt: skip
    assert (data["architecture"], data["hvo"]["release"], data["lacks"]) == ("x86_64", "6.12", [])
    assert list(as_json("image", image)["timings"]) == ["file and digest", "cache", "total"]
    assert "cache" not in as_json("image", image, "--no-cache")["timings"]


def test_image_lists_what_the_machine_answers_for(image: Path) -> None:
    result = hvolab("image", image, "--stubs")
    assert "memmap_pages_add(delta)  adds to nr_memmap_pages" in result.stdout
    assert "HVO also calls functions that run unchanged: copy_page" in result.stdout
    data = as_json("image", image, "--stubs")
    assert [one["function"] for one in data["stubs"]] == ["synchronize_rcu", "memmap_pages_add"]
    assert data["runs_unchanged"] == ["copy_page"]


def test_an_image_without_hvo_is_shown_with_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "Image"
    path.write_bytes(flat_image(MadeUp("EM_AARCH64", symbols=("copy_page",), btf=b"")))
    result = hvolab("image", path)
    assert result.exit_code == 0
    assert "it has no HVO" in result.stdout
    assert "it has no type information (BTF)" in result.stdout


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


@pytest.mark.parametrize("arguments", [("image",), ("disasm", "vmemmap_remap_pte")])
@pytest.mark.parametrize(
    ("content", "what"), [(b"no kernel", "unknown kernel format"), (None, "the file cannot be opened")]
)
def test_what_cannot_be_read_ends_with_a_sentence_and_2(
    arguments: tuple[str, ...], content: bytes | None, what: str, tmp_path: Path
) -> None:
    path = tmp_path / "vmlinuz"
    if content is not None:
        path.write_bytes(content)
    result = hvolab(arguments[0], path, *arguments[1:])
    assert result.exit_code == 2
    assert what in result.stderr


def test_a_function_that_is_not_there_ends_with_advice_and_2(image: Path) -> None:
    result = hvolab("disasm", image, "vmemmap_remap")
    assert result.exit_code == 2
    assert "use a similar name: vmemmap_remap_pte" in result.stderr


def test_a_folder_is_refused(tmp_path: Path) -> None:
    assert "this is not a regular file" in hvolab("image", tmp_path).stderr
