# SPDX-License-Identifier: GPL-2.0-only
"""Packed pages: unpacked within their size, damaged or too large ones refused, missing libraries named."""

from __future__ import annotations

import sys

import pytest

from hvolab.errors import UsageError
from hvolab_vmcore.files.packed import Unpacker, unpack_lzo, unpack_snappy, unpack_zlib, unpack_zstd
from hvolab_vmcore.torture.dump_writers import pack

EACH = pytest.mark.parametrize(
    ("unpack", "kind"), [(unpack_zlib, 1), (unpack_lzo, 2), (unpack_snappy, 4), (unpack_zstd, 0x20)]
)
DATA = b"page" * 1024


@EACH
def test_a_page_is_unpacked(unpack: Unpacker, kind: int) -> None:
    assert unpack(pack(DATA, kind), 4096, 4096) == DATA
    assert unpack(pack(DATA, kind), 4096, 16)[:16] == DATA[:16]


@EACH
def test_damaged_data_are_refused(unpack: Unpacker, kind: int) -> None:
    with pytest.raises(ValueError, match=r"."):
        unpack(b"\xff\xfe" + pack(DATA, kind)[2:], 4096, 4096)


@EACH
def test_data_of_more_than_a_page_take_no_more_than_a_page(unpack: Unpacker, kind: int) -> None:
    packed = pack(bytes(1 << 22), kind)
    if kind == 1:
        assert len(unpack(packed, 4096, 4096)) == 4096
        return
    with pytest.raises(ValueError, match=r"."):
        unpack(packed, 4096, 4096)


@pytest.mark.parametrize(("unpack", "library"), [(unpack_lzo, "lzallright"), (unpack_snappy, "cramjam")])
def test_a_missing_library_is_named_with_its_extra(
    unpack: Unpacker, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(UsageError, match=f"needs the Python package {library}") as caught:
        unpack(b"", 4096, 4096)
    assert "hvolab[dumps]" in caught.value.hint
