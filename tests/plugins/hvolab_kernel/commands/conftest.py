# SPDX-License-Identifier: GPL-2.0-only
"""An image for the commands."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.plugins.hvolab_kernel.code.made_up_code import x86_kernel_like_6_12
from tests.plugins.hvolab_vmlinux.made_up_kernels import bzimage, elf_image


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "vmlinuz"
    path.write_bytes(bzimage(elf_image(x86_kernel_like_6_12())))
    return path
