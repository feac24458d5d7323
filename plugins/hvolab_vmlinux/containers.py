"""What a kernel comes wrapped in, taken off layer by layer: bzImage, EFI zboot, whole-file compression.

What is left is an ELF file, or a flat image with the header of its architecture.
Kernel: Documentation/arch/x86/boot.rst, Documentation/arch/arm64/booting.rst,
Documentation/arch/riscv/boot-image-header.rst, drivers/firmware/efi/libstub/zboot-header.S, v6.12.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hvolab_vmlinux.binary import damaged, fields, piece
from hvolab_vmlinux.compression import compression_of, unpacked
from hvolab_vmlinux.errors import KernelImageError

ELF_MAGIC: Final = b"\x7fELF"
#: Layers that a kernel may have: the deepest known is a compressed file of a zboot image.
_LAYERS: Final = 4
_SECTOR: Final = 512


@dataclass(frozen=True)
class FlatHeader:
    """What the header of a flat image says: ELF machine of its architecture, and bytes of memory that it takes."""

    machine: str
    memory_size: int


@dataclass(frozen=True)
class Unwrapped:
    """A kernel without its wrappings.

    content   an ELF file or a flat image
    layers    what was taken off, outermost first, and what was found inside
    flat      the flat image's header; None: the content is ELF
    """

    content: bytes
    layers: tuple[str, ...]
    flat: FlatHeader | None


#: Flat images have their magic at byte 56: that, the ELF machine, and the name of the form.
_FLAT: Final = (
    (b"ARM\x64", "EM_AARCH64", "arm64 Image"),
    (b"RSC\x05", "EM_RISCV", "riscv Image"),
)
_FLAT_MAGIC_AT: Final = 56
#: Other things that are taken for kernels, by their first bytes.
_OTHERS: Final = (
    (b"\x27\x05\x19\x56", "a U-Boot legacy image", "take the kernel out of it with dumpimage"),
    (b"\xd0\x0d\xfe\xed", "a flattened device tree or FIT image", "take the kernel out of it with dumpimage"),
    (b"!<arch>", "an archive or a Debian package", "name the kernel inside it"),
    (b"070701", "an initial RAM file system", "name the kernel that stands beside it"),
)


def unwrap(content: bytes, where: str) -> Unwrapped:
    """Take off every layer.

    Raises KernelImageError for a file that is none of the known forms, or damaged.
    """
    layers: list[str] = []
    for _ in range(_LAYERS):
        if content.startswith(ELF_MAGIC):
            return Unwrapped(content, (*layers, "ELF"), None)
        inner = _inside_bzimage(content, where) or _inside_zboot(content, where)
        if inner is None:
            for magic, machine, name in _FLAT:
                if content[_FLAT_MAGIC_AT : _FLAT_MAGIC_AT + 4] == magic:
                    return Unwrapped(content, (*layers, name), _flat_header(content, machine, name))
            compression = compression_of(content)
            if compression is None:
                raise _unknown(content, where, layers)
            inner = (compression.name,), unpacked(content, compression, where)
        layers += inner[0]
        content = inner[1]
    raise KernelImageError(f"there are more than {_LAYERS} layers: {', '.join(layers)}", where=where)


def _inside_bzimage(content: bytes, where: str) -> tuple[tuple[str, ...], bytes] | None:
    """Names of the layers and unpacked payload of a bzImage; None for anything else."""
    if content[0x202:0x206] != b"HdrS":
        return None
    name = "bzImage"
    (version,) = fields("<H", content, 0x206, "the protocol version of the boot header")
    (loads,) = fields("<H", content, 0x236, "xloadflags of the boot header")
    if version < 0x208 or not loads & 1:
        raise KernelImageError(
            f"this bzImage is not a 64-bit kernel (boot protocol {version >> 8}.{version & 0xFF:02})",
            where=f"{where}, bytes 0x206 and 0x236",
            rule="x86 boot protocol 2.12: bit XLF_KERNEL_64 of xloadflags",
            hint="name a 64-bit kernel: only those have HVO",
        )
    offset, size = fields("<II", content, 0x248, "payload_offset of the boot header")
    start = ((content[0x1F1] or 4) + 1) * _SECTOR + offset
    payload = piece(content, start, size, "the payload of the bzImage")
    if payload.startswith(ELF_MAGIC):
        return (name,), payload
    compression = compression_of(payload)
    if compression is None:
        raise damaged(f"the payload begins with {payload[:6].hex(' ')}, which is no known compression", where)
    inner = unpacked(payload, compression, f"{where}, payload at byte {start:#x}")
    (said,) = fields("<I", payload, len(payload) - 4, "the unpacked size at the end of the payload")
    if said != len(inner):
        raise damaged(f"the payload unpacks to {len(inner)} bytes, its end says {said}", where, "size_append")
    return (name, compression.name), inner


def _inside_zboot(content: bytes, where: str) -> tuple[tuple[str, ...], bytes] | None:
    """Names of the layers and unpacked payload of an EFI zboot image; None for anything else."""
    if content[:2] != b"MZ" or content[4:8] != b"zimg":
        return None
    start, size = fields("<II", content, 8, "the zboot header")
    payload = piece(content, start, size, "the payload of the zboot image")
    compression = compression_of(payload)
    if compression is None:
        raise damaged(f"the payload begins with {payload[:6].hex(' ')}, which is no known compression", where)
    return ("EFI zboot", compression.name), unpacked(payload, compression, f"{where}, payload at byte {start:#x}")


def _flat_header(content: bytes, machine: str, name: str) -> FlatHeader:
    memory_size, flags = fields("<QQ", content, 16, f"the header of the {name}")
    if flags & 1:
        raise KernelImageError(
            f"this {name} is big-endian", where="byte 24, bit 0 of flags", hint="name a little-endian kernel"
        )
    if not len(content) <= memory_size + 4096 <= 1 << 32:
        raise damaged(f"the {name} has {len(content)} bytes, its header says that it takes {memory_size}", "byte 16")
    return FlatHeader(machine, max(memory_size, len(content)))


def _unknown(content: bytes, where: str, layers: list[str]) -> KernelImageError:
    inside = f" (inside {', '.join(layers)})" if layers else ""
    if not content:
        return KernelImageError(f"the file is empty{inside}", where=where, hint="copy or fetch it again")
    for magic, name, hint in _OTHERS:
        if content.startswith(magic):
            return KernelImageError(f"this is {name}, not a kernel{inside}", where=where, hint=hint)
    return KernelImageError(
        f"this is no known form of kernel{inside}: it begins with {content[:8].hex(' ')}",
        where=where,
        rule="bzImage, EFI zboot, arm64 or riscv Image, ELF; plain or compressed",
        hint="name a vmlinuz, Image or vmlinux; the copy may be damaged",
    )
