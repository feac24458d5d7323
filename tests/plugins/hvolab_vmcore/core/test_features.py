# SPDX-License-Identifier: GPL-2.0-only
"""Features of a core's kernel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hvolab.errors import HvolabError
from hvolab.plugin import registry
from hvolab_vmcore.core.features import reported_features
from hvolab_vmcore.core.snapshot import SnapshotOptions, open_snapshot
from hvolab_vmcore.files.elfcore import open_core
from hvolab_vmcore.files.vmcoreinfo import parse_vmcoreinfo
from hvolab_vmcore.scan.scan import scan
from tests.plugins.hvolab_vmcore.changed_cores import (
    OPTIMIZED_1G,
    OPTIMIZED_2M,
    changed,
    offset_of,
    scanned,
    with_text,
)


def test_a_number_of_vmcoreinfo_reports_its_feature() -> None:
    architecture = registry().architecture("x86_64")
    mode = architecture.mode("4-level")
    text = "OSRELEASE=6.12.0\nPAGESIZE=4096\nNUMBER(MAX_PHYSMEM_BITS)=46\nNUMBER(sme_mask)={}\n"
    for mask, features in ((0, ()), (1 << 47, ("sme",)), (1 << 51, ("sme=51",))):
        assert reported_features(parse_vmcoreinfo(text.format(mask).encode()), architecture, mode) == features
    assert reported_features(None, architecture, mode) == ()


def test_page_table_isolation_is_found_in_entries_that_are_not_global(tmp_path: Path) -> None:
    content = bytearray(changed(OPTIMIZED_1G, {}, tmp_path / "pti.core").read_bytes())
    scan_of = scanned(OPTIMIZED_1G)
    core = open_core(OPTIMIZED_1G)
    for tables in scan_of.walk.levels:
        for table, slot in np.argwhere(tables.leaf).tolist():
            pa = int(tables.pas[table]) + slot * 8
            content[offset_of(core, pa) + 1] &= 0xFE  # bit 8: Global
    (tmp_path / "pti.core").write_bytes(content)
    found = scan(open_snapshot(tmp_path / "pti.core"))
    assert found.snapshot.target.features == ("pti",)
    assert found.findings == ()


def test_a_memory_encryption_mask_that_is_not_described_is_refused(tmp_path: Path) -> None:
    core = with_text(OPTIMIZED_2M, b"NUMBER(sme_mask)=0", b"NUMBER(sme_mask)=8", tmp_path / "changed.core")
    with pytest.raises(HvolabError, match="the kernel's sme_mask is 0x8"):
        open_snapshot(core)


@pytest.mark.parametrize("features", [(), ("sme=51",)])
def test_the_c_bit_is_where_the_kernel_has_it(features: tuple[str, ...], tmp_path: Path) -> None:
    core = open_core(OPTIMIZED_1G)
    content = bytearray(changed(OPTIMIZED_1G, {}, tmp_path / "sme.core").read_bytes())
    for tables in scanned(OPTIMIZED_1G).walk.levels:
        for table, slot in np.argwhere(tables.leaf | tables.table).tolist():
            content[offset_of(core, int(tables.pas[table]) + slot * 8) + 6] |= 1 << 3
    old = b"NUMBER(KERNEL_IMAGE_SIZE)=1073741824\nNUMBER(sme_mask)=0\n"
    new = b"NUMBER(sme_mask)=%d\n" % (1 << 51)
    new += b"X=".ljust(len(old) - len(new) - 1, b"-") + b"\n"
    path = tmp_path / "sme.core"
    path.write_bytes(bytes(content) if features else bytes(content).replace(old, new))
    found = scan(open_snapshot(path, SnapshotOptions(features=features)))
    assert found.snapshot.target.features == ("sme=51",)
    assert [int(huge.optimized.sum()) for huge in found.huge_pages] == [1, 8]
    assert found.findings == ()
