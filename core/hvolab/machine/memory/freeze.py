# SPDX-License-Identifier: GPL-2.0-only
"""Frozen objects over memory: bytes from which equal objects, over memory of their own, are made in any process.

Views of memory, which many objects of a machine hold, become views of the new memory.
"""

from __future__ import annotations

import io
import pickle
from typing import Any

import numpy as np

from hvolab.machine.memory.mapping import RestorableMapping
from hvolab.trace import Trace

#: Size and parts of each mapping, see `RestorableMapping.contents()`.
Contents = list[tuple[int, list[tuple[int, bytes]]]]


def freeze(state: Any) -> tuple[Contents, bytes]:
    """Return the contents of all memory that `state` refers to, and the rest of it. A trace has no listeners in it."""
    data = io.BytesIO()
    freezer = _Freezer(data)
    freezer.dump(state)
    return [(mapping.octets.size, mapping.contents()) for mapping in freezer.mappings], data.getvalue()


def thaw(contents: Contents, data: bytes) -> Any:
    """Return an equal state over new memory."""
    return _Thawer(io.BytesIO(data), [RestorableMapping.holding(size, parts) for size, parts in contents]).load()


class _Freezer(pickle.Pickler):
    """Pickler that names memory, and views of it, by place; the mappings are in order of their numbers."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, protocol=pickle.HIGHEST_PROTOCOL)
        self.mappings: list[RestorableMapping] = []

    def persistent_id(self, obj: Any) -> tuple[Any, ...] | None:
        """Return the name of memory, of a view of it, or of a trace; None for all else, which is pickled."""
        if isinstance(obj, Trace):
            return ("trace",)
        if isinstance(obj, RestorableMapping):
            return ("mapping", self._number(obj))
        if isinstance(obj, np.ndarray) and (mapping := RestorableMapping.at(obj.ctypes.data)) is not None:
            offset = obj.ctypes.data - mapping.octets.ctypes.data
            return ("array", self._number(mapping), offset, obj.dtype.str, obj.shape, obj.strides)
        if isinstance(obj, memoryview):
            mapping = RestorableMapping.at(np.frombuffer(obj, np.uint8).ctypes.data)
            if mapping is not None:
                return ("words", self._number(mapping), obj.format)
        return None

    def _number(self, mapping: RestorableMapping) -> int:
        if mapping not in self.mappings:
            self.mappings.append(mapping)
        return self.mappings.index(mapping)


class _Thawer(pickle.Unpickler):
    """Unpickler that finds memory, and views of it, in new mappings."""

    def __init__(self, file: io.BytesIO, mappings: list[RestorableMapping]) -> None:
        super().__init__(file)
        self._mappings = mappings
        self._trace = Trace()

    def persistent_load(self, pid: Any) -> Any:
        """Return the object of that name."""
        kind, *rest = pid
        if kind == "trace":
            return self._trace
        mapping = self._mappings[rest[0]]
        if kind == "mapping":
            return mapping
        if kind == "words":
            return memoryview(mapping.buffer).cast(rest[1])
        offset, dtype, shape, strides = rest[1:]
        return np.ndarray(shape, dtype, mapping.octets.data, offset, strides)
