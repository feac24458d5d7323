# SPDX-License-Identifier: GPL-2.0-only
"""Wrappings of a kernel, removed layer by layer: unified kernel image, bzImage, EFI zboot, whole-file compression.

The result is an ELF file, or a flat image with the header of its architecture.
Kernel: Documentation/arch/x86/boot.rst, Documentation/arch/arm64/booting.rst,
Documentation/arch/riscv/boot-image-header.rst, drivers/firmware/efi/libstub/zboot-header.S, v6.12.
Unified kernel images: specification UKI of the UAPI Group.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from hvolab_vmlinux.binary import damaged, fields, piece
from hvolab_vmlinux.containers.compression import compression_of, unpack
from hvolab_vmlinux.errors import KernelImageError

ELF_MAGIC: Final = b"\x7fELF"
#: Most layers of a kernel: the deepest known is a compressed file of a unified image of a zboot image.
_LAYERS: Final = 5
#: Section of a unified kernel image with the kernel.
_KERNEL_SECTION: Final = b".linux\0\0"
#: Start of an Authenticode signature, after its size: revision 2.0, PKCS #7.
_SIGNATURE: Final = b"\x00\x02\x02\x00"
_SECTOR: Final = 512


class FlatHeader(NamedTuple):
    """Header of a flat image: ELF machine of its architecture, and bytes of memory that the kernel needs."""

    machine: str
    memory_size: int


class Unwrapped(NamedTuple):
    """A kernel without its wrappings.

    content   an ELF file or a flat image
    layers    names of the wrappings, outermost first, and of the format inside
    flat      header of the flat image; None: the content is ELF
    """

    content: bytes
    layers: tuple[str, ...]
    flat: FlatHeader | None


#: Flat images, by the magic at byte 56: the ELF machine, and the name of the format.
_FLAT: Final = {b"ARM\x64": ("EM_AARCH64", "arm64 Image"), b"RSC\x05": ("EM_RISCV", "riscv Image")}
#: Other files that people mistake for kernels: first bytes, name, and the hint.
_OTHERS: Final = (
    (b"\x27\x05\x19\x56", "a U-Boot legacy image", "take the kernel out of it with dumpimage"),
    (b"\xd0\x0d\xfe\xed", "a flattened device tree or FIT image", "take the kernel out of it with dumpimage"),
    (b"!<arch>", "an archive or a Debian package", "name the kernel inside it"),
    (b"070701", "an initial RAM file system", "name the kernel next to it"),
)


def unwrap(content: bytes, where: str) -> Unwrapped:
    """Remove every layer.

    Raises KernelImageError for a file of an unknown format, and for a damaged one.
    """
    layers: list[str] = []
    for _ in range(_LAYERS):
        if content.startswith(ELF_MAGIC):
            return Unwrapped(content, (*layers, "ELF"), None)
        inner = _inside_uki(content) or _inside_bzimage(content, where) or _inside_zboot(content, where)
        if inner is None:
            flat = _FLAT.get(content[56:60])
            if flat is not None:
                content = _without_appendix(content)
                return Unwrapped(content, (*layers, flat[1]), _flat_header(content, *flat))
            compression = compression_of(content)
            if compression is None:
                raise _unknown(content, where, layers)
            inner = (compression.name,), unpack(content, compression, where).tobytes()
        layers += inner[0]
        content = inner[1]
    raise KernelImageError(f"there are more than {_LAYERS} layers: {', '.join(layers)}", where=where)


def _inside_uki(content: bytes) -> tuple[tuple[str, ...], bytes] | None:
    """Return the kernel of a unified kernel image, a PE file with a section for it; None for any other content."""
    if content[:2] != b"MZ" or len(content) < 64:
        return None
    (at,) = fields("<I", content, 0x3C, "the DOS header")
    if content[at : at + 4] != b"PE\0\0":
        return None
    sections, _, _, _, optional, _ = fields("<HIIIHH", content, at + 6, "the COFF header")
    first = at + 24 + optional
    for index in range(sections):
        name, size, _, stored, start = fields("<8sIIII", content, first + 40 * index, "a section header")
        if name == _KERNEL_SECTION:
            return ("unified kernel image",), piece(content, start, min(size, stored), "the section .linux")
    return None


def _without_appendix(content: bytes) -> bytes:
    """Cut off what follows a flat image: zero bytes, as of a partition, or a signature."""
    (size,) = fields("<Q", content, 16, "the header of the image")
    appendix = content[size:] if 0 < size < len(content) else b""
    if appendix[4:8] == _SIGNATURE or not appendix.strip(b"\0"):
        return content[: len(content) - len(appendix)]
    return content


def _inside_bzimage(content: bytes, where: str) -> tuple[tuple[str, ...], bytes] | None:
    """Return the layers of a bzImage and its unpacked payload; None for any other content."""
    if content[0x202:0x206] != b"HdrS":
        return None
    name = "bzImage"
    (version,) = fields("<H", content, 0x206, "the protocol version of the boot header")
    (load_flags,) = fields("<H", content, 0x236, "xloadflags of the boot header")
    if version < 0x208 or not load_flags & 1:
        raise KernelImageError(
            f"this bzImage is not a 64-bit kernel (boot protocol {version >> 8}.{version & 0xFF:02})",
            where=f"{where}, bytes 0x206 and 0x236",
            rule="x86 boot protocol 2.12: bit XLF_KERNEL_64 of xloadflags",
            hint="name a 64-bit kernel",
        )
    offset, size = fields("<II", content, 0x248, "payload_offset of the boot header")
    start = ((content[0x1F1] or 4) + 1) * _SECTOR + offset
    payload = piece(content, start, size, f"the payload of the {name}")
    if payload.startswith(ELF_MAGIC):
        return (name,), payload
    layers, inner = _unpack_payload(name, payload, f"{where}, payload at byte {start:#x}")
    (recorded,) = fields("<I", payload, len(payload) - 4, "the unpacked size at the end of the payload")
    if recorded != len(inner):
        raise damaged(f"the payload unpacks to {len(inner)} bytes, its end says {recorded}", where, "size_append")
    return layers, inner


def _inside_zboot(content: bytes, where: str) -> tuple[tuple[str, ...], bytes] | None:
    """Return the layers of an EFI zboot image and its unpacked payload; None for any other content."""
    if content[:2] != b"MZ" or content[4:8] != b"zimg":
        return None
    start, size = fields("<II", content, 8, "the zboot header")
    payload = piece(content, start, size, "the payload of the zboot image")
    return _unpack_payload("EFI zboot", payload, f"{where}, payload at byte {start:#x}")


def _unpack_payload(name: str, payload: bytes, where: str) -> tuple[tuple[str, ...], bytes]:
    compression = compression_of(payload)
    if compression is None:
        raise damaged(f"unknown compression: the payload begins with {payload[:6].hex(' ')}", where)
    return (name, compression.name), unpack(payload, compression, where).tobytes()


def _flat_header(content: bytes, machine: str, name: str) -> FlatHeader:
    memory_size, flags = fields("<QQ", content, 16, f"the header of the {name}")
    if flags & 1:
        raise KernelImageError(
            f"this {name} is big-endian", where="byte 24, bit 0 of flags", hint="name a little-endian kernel"
        )
    if not len(content) <= memory_size + 4096 <= 1 << 32:
        raise damaged(f"the {name} has {len(content)} bytes, its header says {memory_size}", "byte 16")
    return FlatHeader(machine, max(memory_size, len(content)))


def _unknown(content: bytes, where: str, layers: list[str]) -> KernelImageError:
    inside = f" (inside {', '.join(layers)})" if layers else ""
    if not content:
        return KernelImageError(f"the file is empty{inside}", where=where, hint="copy or fetch it again")
    for magic, name, hint in _OTHERS:
        if content.startswith(magic):
            return KernelImageError(f"this is {name}, not a kernel{inside}", where=where, hint=hint)
    return KernelImageError(
        f"unknown kernel format{inside}: the file begins with {content[:8].hex(' ')}",
        where=where,
        rule="bzImage, EFI zboot, arm64 or riscv Image, ELF; plain, compressed, or in a unified kernel image",
        hint="name a vmlinuz, Image or vmlinux; the copy may be damaged",
    )
