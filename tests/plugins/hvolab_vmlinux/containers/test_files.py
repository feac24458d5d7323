# SPDX-License-Identifier: GPL-2.0-only
"""Files that are mapped, files that are unpacked, and files that are refused."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from hvolab.errors import CoreFileError
from hvolab_vmlinux.containers.files import map_file, read_file
from hvolab_vmlinux.errors import KernelImageError


def test_a_file_is_read_the_same_compressed_or_not(tmp_path: Path) -> None:
    content = bytes(range(256)) * 100
    (tmp_path / "plain").write_bytes(content)
    (tmp_path / "packed").write_bytes(gzip.compress(content))
    for name in ("plain", "packed"):
        found = read_file(tmp_path / name, CoreFileError)
        assert found.tobytes() == content
        assert not found.flags.writeable


def test_a_compressed_file_is_unpacked_up_to_the_limit_of_the_caller(tmp_path: Path) -> None:
    (tmp_path / "packed").write_bytes(gzip.compress(bytes(4097)))
    assert len(read_file(tmp_path / "packed", CoreFileError, max_size=4097)) == 4097
    with pytest.raises(CoreFileError, match="unpacks to more than 4096 bytes"):
        read_file(tmp_path / "packed", CoreFileError, max_size=4096)


@pytest.mark.parametrize("error_type", [CoreFileError, KernelImageError])
def test_a_refused_file_raises_the_error_of_the_caller(
    tmp_path: Path, error_type: type[CoreFileError | KernelImageError]
) -> None:
    (tmp_path / "empty").touch()
    for name, complaint in (("", "not a regular file"), ("empty", "is empty"), ("missing", "cannot be opened")):
        with pytest.raises(error_type, match=complaint):
            map_file(tmp_path / name, error_type)
