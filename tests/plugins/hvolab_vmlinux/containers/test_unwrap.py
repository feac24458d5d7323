# SPDX-License-Identifier: GPL-2.0-only
"""What kernels come wrapped in, and what is said of files that are no kernels."""

from __future__ import annotations

import gzip
import lzma
import struct

import pytest

from hvolab_vmlinux.containers.unwrap import unwrap
from hvolab_vmlinux.errors import KernelImageError
from tests.plugins.hvolab_vmlinux.made_up_kernels import MadeUp, bzimage, elf_image, flat_image, unified, zboot

ELF = elf_image(MadeUp())
ARM64 = flat_image(MadeUp("EM_AARCH64"))
#: Bytes of memory in the header.
MEMORY = struct.unpack_from("<Q", ARM64, 16)[0]
#: A signature after a file: its size, revision and type.
SIGNED = struct.pack("<IHH", 1496, 0x0200, 2).ljust(1496, b"\x30")


@pytest.mark.parametrize(
    ("content", "layers", "inside"),
    [
        (ELF, ("ELF",), ELF),
        (bzimage(ELF), ("bzImage", "gzip", "ELF"), ELF),
        (bzimage(ELF, lzma.compress(ELF) + struct.pack("<I", len(ELF))), ("bzImage", "xz", "ELF"), ELF),
        (bzimage(ELF, ELF), ("bzImage", "ELF"), ELF),
        (gzip.compress(ELF), ("gzip", "ELF"), ELF),
        (ARM64, ("arm64 Image",), ARM64),
        (gzip.compress(ARM64), ("gzip", "arm64 Image"), ARM64),
        (zboot(ARM64), ("EFI zboot", "gzip", "arm64 Image"), ARM64),
        (gzip.compress(zboot(ARM64)), ("gzip", "EFI zboot", "gzip", "arm64 Image"), ARM64),
        (unified(bzimage(ELF)), ("unified kernel image", "bzImage", "gzip", "ELF"), ELF),
        (unified(zboot(ARM64)), ("unified kernel image", "EFI zboot", "gzip", "arm64 Image"), ARM64),
        (bzimage(ELF) + SIGNED, ("bzImage", "gzip", "ELF"), ELF),
        (ARM64.ljust(MEMORY, b"\0") + SIGNED, ("arm64 Image",), ARM64.ljust(MEMORY, b"\0")),
        (ARM64.ljust(MEMORY + (1 << 20), b"\0"), ("arm64 Image",), ARM64.ljust(MEMORY, b"\0")),
        (zboot(ARM64).ljust(1 << 20, b"\0"), ("EFI zboot", "gzip", "arm64 Image"), ARM64),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, tuple) else "",
)
def test_every_layer_is_taken_off(content: bytes, layers: tuple[str, ...], inside: bytes) -> None:
    found = unwrap(content, "here")
    assert found.layers == layers
    assert found.content == inside
    assert (found.flat is None) == (inside is ELF)


def test_zboot_images_have_every_compression() -> None:
    zstandard, packers = pytest.importorskip("zstandard"), pytest.importorskip("tests.plugins.hvolab_vmlinux.packers")
    packed = {
        "gzip": gzip.compress(ARM64),
        "xz": lzma.compress(ARM64),
        "lzma": lzma.compress(ARM64, lzma.FORMAT_ALONE),
        "zstd": zstandard.compress(ARM64),
        "lz4": packers.lz4_packed(ARM64),
        "lzo": packers.lzo_packed(ARM64),
    }
    for name, payload in packed.items():
        assert unwrap(zboot(ARM64, payload), "here")[:2] == (ARM64, ("EFI zboot", name, "arm64 Image"))


def changed(content: bytes, at: int, data: bytes) -> bytes:
    return content[:at] + data + content[at + len(data) :]


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "the file is empty"),
        (b"#!/bin/sh\necho hello\n" * 9, "unknown kernel format: the file begins with 23 21"),
        (gzip.compress(b"hello world"), "unknown kernel format .inside gzip."),
        (b"\x27\x05\x19\x56" + bytes(99), "U-Boot legacy image"),
        (b"!<arch>\ndebian-binary", "an archive or a Debian package"),
        (changed(bzimage(ELF), 0x236, b"\0\0"), "not a 64-bit kernel"),
        (changed(bzimage(ELF), 0x24C, b"\xff\xff\xff\x7f"), "the payload of the bzImage is not within"),
        (bzimage(ELF, lzma.compress(ELF) + struct.pack("<I", 5)), "its end says 5"),
        (bzimage(ELF, b"nothing that is known"), "unknown compression: the payload begins with 6e 6f"),
        (bzimage(ELF)[:0x240], "the boot header is not within"),
        (changed(ARM64, 24, b"\1"), "is big-endian"),
        (changed(ARM64, 16, bytes(8)), "its header says 0"),
        (zboot(ARM64)[:100], "payload of the zboot image is not within"),
        (
            gzip.compress(gzip.compress(gzip.compress(gzip.compress(gzip.compress(gzip.compress(ELF)))))),
            "more than 5 layers",
        ),
    ],
    ids=lambda value: "" if isinstance(value, bytes) else None,  # gzip writes the time
)
def test_what_is_no_kernel_is_refused_with_a_reason(content: bytes, what: str) -> None:
    with pytest.raises(KernelImageError, match=what):
        unwrap(content, "here")
