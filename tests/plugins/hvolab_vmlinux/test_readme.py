# SPDX-License-Identifier: GPL-2.0-only
"""The example of the package's README, run on a kernel image in the current folder."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import hvolab_vmlinux
from tests.plugins.hvolab_vmlinux.made_up_btf import BtfBuilder
from tests.plugins.hvolab_vmlinux.made_up_kernels import RELEASE, MadeUp, bzimage, elf_image


def test_the_example_prints_release_symbols_and_types(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    readme = Path(next(iter(hvolab_vmlinux.__path__))) / "README.md"
    (example,) = re.findall(r"```python\n(.*?)```", readme.read_text("utf-8"), re.DOTALL)
    types = BtfBuilder()
    long = types.integer("long unsigned int", 8)
    links = types.struct("list_head", 16, [("next", long, 0), ("prev", long, 64)])
    types.struct("page", 24, [("flags", long, 0), ("lru", links, 64)])
    types.function("copy_page", 0, [("to", types.pointer(0)), ("from", types.pointer(0))])
    (tmp_path / "vmlinuz").write_bytes(bzimage(elf_image(MadeUp(btf=types.content()))))
    monkeypatch.chdir(tmp_path)
    exec(compile(example, str(readme), "exec"), {})
    assert capsys.readouterr().out.splitlines() == [
        f"{RELEASE} EM_X86_64 bzImage > gzip > ELF",
        "b'Linux version' at linux_banner",
        "page->lru.prev is at byte 16",
        "void copy_page(void * to, void * from)",
    ]
