# SPDX-License-Identifier: GPL-2.0-only
"""Huge pages of a scan by size and node."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hvolab_vmcore.core.layout import has_nodes
from hvolab_vmcore.core.memory import Ints
from hvolab_vmcore.scan.huge_pages import HugePages, Sharing
from hvolab_vmcore.scan.scan import Scan


@dataclass(frozen=True)
class PoolData:
    """Huge pages of one size on one node.

    size          bytes of each
    node          NUMA node; null: the head was not saved, or the core does not show where nodes are in flags
    frames_saved  frames that HVO freed
    bytes_saved   their bytes
    """

    size: int
    node: int | None
    optimized: int
    not_optimized: int
    device_dax: int
    cannot_tell: int
    frames_saved: int
    bytes_saved: int


def nodes_of(scan: Scan, huge: HugePages) -> Ints:
    """Return the NUMA node of each huge page, -1 where it is unknown."""
    layout, heads = scan.snapshot.struct_pages.layout, huge.heads
    if not has_nodes(scan.snapshot.core.vmcoreinfo):
        return np.full(huge.rows.size, -1, dtype=np.int64)
    shift, mask = (layout.node_shift, (1 << layout.node_bits) - 1) if layout.node_bits else (0, 0)
    return np.where(heads.there, (heads.flags >> np.uint64(shift) & np.uint64(mask)).astype(np.int64), -1)


def pools(scan: Scan) -> Iterator[PoolData]:
    """Yield the huge pages of each size on each node; those whose state is unknown are on no node."""
    shift = scan.snapshot.target.mode.page_shift
    for huge in scan.huge_pages:
        nodes, unknown = nodes_of(scan, huge), scan.unsaved.blocks[huge.order]
        present = {-1} if unknown or not nodes.size else set[int]()
        for node in sorted({*nodes.tolist(), *present}, key=lambda one: (one < 0, one)):
            mine = nodes == node
            frames = huge.frames_saved_by(mine)
            yield PoolData(
                size=1 << huge.order + shift,
                node=None if node < 0 else node,
                optimized=int((mine & huge.optimized).sum()),
                not_optimized=int((mine & huge.with_sharing(Sharing.NONE)).sum()),
                device_dax=int((mine & huge.with_sharing(Sharing.DAX)).sum()),
                cannot_tell=unknown if node < 0 else 0,
                frames_saved=frames,
                bytes_saved=frames << shift,
            )
