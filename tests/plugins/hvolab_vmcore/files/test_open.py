# SPDX-License-Identifier: GPL-2.0-only
"""Opening of a dump by the reader that knows its format."""

from __future__ import annotations

from pathlib import Path

import pytest

from hvolab.errors import CoreFileError
from hvolab_vmcore.files.open import open_dump
from tests.plugins.hvolab_vmcore.changed_cores import OPTIMIZED_2M


def test_a_core_is_opened_by_its_reader() -> None:
    dump = open_dump(OPTIMIZED_2M)
    assert (dump.format, dump.machine, dump.byte_order) == ("ELF core", "EM_X86_64", "little")


def test_a_file_of_no_known_format_is_refused_with_the_formats(tmp_path: Path) -> None:
    path = tmp_path / "a.core"
    path.write_bytes(b"garbage" * 100)
    with pytest.raises(CoreFileError, match="begins with 67 61 72 62") as caught:
        open_dump(path)
    assert "ELF core" in caught.value.rule
