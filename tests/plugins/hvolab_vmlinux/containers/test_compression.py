# SPDX-License-Identifier: GPL-2.0-only
"""Every compression: whole, followed by other bytes, cut, damaged, too large, several streams, without its package."""

from __future__ import annotations

import bz2
import gzip
import lzma
import random
import struct
import sys
from collections.abc import Callable

import pytest
import zstandard

from hvolab.errors import CoreFileError, HvolabError
from hvolab_vmlinux.containers.compression import COMPRESSIONS, Compression, compression_of, unpack
from hvolab_vmlinux.errors import KernelImageError
from tests.plugins.hvolab_vmlinux.packers import lz4_packed, lzo_packed

CONTENT = b"".join(random.Random(1).randbytes(8) + bytes(56) for _ in range(3000))


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "xz": lambda content: lzma.compress(content, lzma.FORMAT_XZ, lzma.CHECK_CRC32),
    "lzma": lambda content: lzma.compress(content, lzma.FORMAT_ALONE),
    "bzip2": bz2.compress,
    "zstd": zstandard.ZstdCompressor(write_checksum=True).compress,
    "lz4": lz4_packed,
    "lzo": lzo_packed,
}
#: Those that notice a changed bit by a checksum, wherever it is.
CHECKED = ("gzip", "xz", "bzip2", "zstd", "lzo")


def known(name: str) -> Compression:
    return next(one for one in COMPRESSIONS if one.name == name)


@pytest.mark.parametrize("name", PACKERS)
def test_what_is_packed_is_unpacked_and_what_follows_is_left_alone(name: str) -> None:
    packed = PACKERS[name](CONTENT)
    found = compression_of(packed)
    assert found is known(name)
    assert unpack(packed, found, "here").tobytes() == CONTENT
    if name != "lz4":  # whose blocks have no end mark
        assert unpack(packed + struct.pack("<I", len(CONTENT)), found, "here").tobytes() == CONTENT


@pytest.mark.parametrize("name", PACKERS)
def test_a_stream_that_is_cut_short_is_refused(name: str) -> None:
    packed = PACKERS[name](CONTENT)
    with pytest.raises(KernelImageError, match=f"the {name} data"):
        unpack(packed[: len(packed) // 2], known(name), "here")


@pytest.mark.slow
@pytest.mark.parametrize("name", PACKERS)
def test_nothing_is_unpacked_beyond_the_limit(name: str) -> None:
    packed = PACKERS[name](bytes(20 << 20))
    with pytest.raises(KernelImageError, match="unpacks to more than 1000000 bytes"):
        unpack(packed, known(name), "here", limit=1_000_000)


@pytest.mark.parametrize("name", PACKERS)
def test_a_damaged_stream_is_refused_or_at_least_no_traceback(name: str) -> None:
    packed, chance = PACKERS[name](CONTENT), random.Random(2)
    refused = 0
    for _ in range(60):
        changed = bytearray(packed)
        changed[chance.randrange(len(packed) // 3, len(packed) - 8)] ^= 1 << chance.randrange(8)
        try:
            assert name not in CHECKED or unpack(bytes(changed), known(name), "here").tobytes() == CONTENT
        except KernelImageError as error:
            assert error.where.startswith("here")  # noqa: PT017 - some changes do no harm
            refused += 1
    assert refused > 40 or name not in CHECKED


def test_what_is_not_compressed_is_said_to_be_none() -> None:
    assert compression_of(b"\x7fELF") is None
    assert compression_of(b"") is None


@pytest.mark.parametrize("name", PACKERS)
def test_all_streams_of_a_file_are_unpacked_and_nothing_else_may_follow(name: str) -> None:
    packed = PACKERS[name](CONTENT)
    if name == "lz4":  # whose blocks have no end mark: a second frame is more blocks of the first
        packed = packed[:-4]
        content = packed * 2
    else:
        content = packed + bytes(5000) + packed + bytes(3)
        with pytest.raises(CoreFileError, match=f"the {name} data cannot be unpacked: something else follows at byte"):
            unpack(packed + b"garbage", known(name), "here", all_streams=True, error_type=CoreFileError)
    assert unpack(content, known(name), "here", all_streams=True).tobytes() == CONTENT * 2


@pytest.mark.parametrize(("name", "package"), [("lz4", "lz4.block"), ("lzo", "lzallright")])
def test_a_missing_package_is_named_with_the_extra_to_install(
    name: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = PACKERS[name](CONTENT)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(HvolabError, match=rf"needs the Python package {package[:3]}.*pip install 'hvolab"):
        unpack(packed, known(name), "here")
