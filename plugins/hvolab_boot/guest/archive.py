# SPDX-License-Identifier: GPL-2.0-only
"""Writer of an initial RAM file system: a cpio archive in the `newc` form.

Kernel: Documentation/driver-api/early-userspace/buffer-format.rst, v6.12.
"""

from __future__ import annotations

from typing import Final

_FILE, _DIRECTORY, _CHARACTER = 0o100000, 0o040000, 0o020000
#: Major and minor number of /dev/console. Kernel: Documentation/admin-guide/devices.txt.
_CONSOLE: Final = (5, 1)
_TRAILER: Final = "TRAILER!!!"


def initramfs_of(init: bytes) -> bytes:
    """Return an archive with a program as `/init`, and the console that the kernel opens for it."""
    return b"".join(
        (
            _entry(1, "dev", _DIRECTORY | 0o755),
            _entry(2, "dev/console", _CHARACTER | 0o600, device=_CONSOLE),
            _entry(3, "init", _FILE | 0o755, init),
            _entry(0, _TRAILER, 0),
        )
    )


def _entry(inode: int, name: str, mode: int, content: bytes = b"", device: tuple[int, int] = (0, 0)) -> bytes:
    """Return one entry; header with name, and content, each filled up to a multiple of four bytes."""
    fields = (inode, mode, 0, 0, 1, 0, len(content), 0, 0, *device, len(name) + 1, 0)
    head = b"070701" + b"".join(b"%08x" % field for field in fields) + name.encode() + b"\0"
    return _padded(head) + _padded(content)


def _padded(part: bytes) -> bytes:
    return part + bytes(-len(part) % 4)
