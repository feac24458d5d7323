# SPDX-License-Identifier: GPL-2.0-only
"""QEMU's monitor, by QMP, over a Unix socket."""

from __future__ import annotations

import json
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any

from hvolab.errors import HvolabError


class QemuError(HvolabError):
    """QEMU cannot be started, ends before the guest does, or refuses a command.

    Read QEMU's own message in the error; `--cpu-model`, `--memory` and `--boot` change what it is started with.
    """


class Monitor:
    """Connection to the monitor of a running QEMU.

    path  the socket
    """

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        try:
            self._socket.connect(str(path))
            self._stream = self._socket.makefile("rwb")
            self._exchange(b"")
            self.execute("qmp_capabilities")
        except OSError:
            self._socket.close()
            raise

    def execute(self, command: str, **arguments: Any) -> Any:
        """Execute a command and return its result; events in between are dropped. Raises QemuError."""
        message = {"execute": command} | ({"arguments": arguments} if arguments else {})
        line = json.dumps(message).encode() + b"\n"
        while True:
            answer = self._exchange(line)
            line = b""
            if "error" in answer:
                raise QemuError(f"QEMU refuses {command}: {answer['error'].get('desc', '')}", where="QMP")
            if "return" in answer:
                return answer["return"]

    def close(self) -> None:
        """Close the connection."""
        with suppress(OSError):  # what could not be sent to a QEMU that has ended
            self._stream.close()
        self._socket.close()

    def _exchange(self, line: bytes) -> dict[str, Any]:
        """Send a line, unless it is empty, and return the next one that QEMU sends."""
        try:
            self._stream.write(line)
            self._stream.flush()
            received = self._stream.readline()
        except OSError:
            received = b""
        if not received:
            raise QemuError("QEMU has closed its monitor", where="QMP", hint="its message is in the log of the guest")
        answer: dict[str, Any] = json.loads(received)
        return answer
