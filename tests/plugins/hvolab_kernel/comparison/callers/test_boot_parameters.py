# SPDX-License-Identifier: GPL-2.0-only
"""hugepages= and the pages that it requests: a kernel's own functions of boot, and hvolab's.

The code of boot runs where the loader maps it as text, on x86_64. Two functions are left out: hugepages_setup() of 7.2,
whose text hugepages_setupargs() stores for later, stores no number in the hstate when it is called as here, and
hugetlb_hstate_alloc_pages() of 6.12.117 stores to a page that is mapped as text.
"""

from __future__ import annotations

import pytest

from hvolab.arithmetic import WORD_BYTES
from hvolab.hugetlb.boot import alloc_boot_pages
from hvolab.hugetlb.parameters import parse_hugetlb
from hvolab.hvo.command_line import parse_args
from hvolab.units import NodeCounts
from hvolab_kernel.comparison import target_of
from hvolab_kernel.comparison.callers import KernelPool, PoolComparer, PoolPair, pool_scenarios_of
from hvolab_kernel.comparison.callers.pool_pair import EnginePool, counters_of
from hvolab_vmlinux.kernel import Kernel
from tests.plugins.hvolab_kernel.kernel_machines import SIZE, X86_6_1, X86_PARSERS

pytest.importorskip("unicorn", reason="no emulator: pip install 'hvolab[emulation]'")

NODES = 2
REQUESTS = ("3", "0:2,1:1", "1:2", "0:1", "0:0,1:3")
#: Nodes that are not online, numbers that are none, and text behind numbers.
MALFORMED = ("5:1", "1:2x", "0:2,1", "junk", "0:2,1:junk", "4x", "0:2,", ":1", "0:2,0:1", "0x2", "010")


def pair_on_nodes(kernel: Kernel) -> PoolPair:
    """Machines with empty pools of 2 MiB on two nodes."""
    target = target_of(kernel)
    scenario = next(one for one in pool_scenarios_of(target) if (one.nodes, one.huge_page.size) == (NODES, SIZE))
    assert not scenario.prelude
    pair = PoolComparer(target, kernel).pair(scenario)
    pair.begin(scenario)
    return pair


def pool_of(pair: PoolPair) -> KernelPool:
    pool = pair.kernel.pool
    assert isinstance(pool, KernelPool)
    return pool


def parsed(pair: PoolPair, kernel: Kernel, text: str) -> tuple[int, list[int]]:
    """Let a kernel parse hugepages=, as the first of the size; return the pages in sum and for each node."""
    pool = pool_of(pair)
    cpu, h = pool.hvo.kernel_cpu, pool.h
    value, place = f"{text}\0".encode(), h.text + 512
    cpu.loaded.write(place, len(value), int.from_bytes(value, "little"))
    cpu.loaded.write(kernel.symbols.address("parsed_hstate"), WORD_BYTES, h.va)
    assert cpu.call("hugepages_setup", place).required().result == 1
    nodes = h.va + kernel.types.offset("hstate", "max_huge_pages_node")
    return h.counters()["max_huge_pages"], [cpu.loaded.read(nodes + 4 * node, 4) for node in range(NODES)]


@pytest.mark.slow
@X86_PARSERS
def test_a_request_is_parsed_as_by_the_kernel(real_kernel: Kernel) -> None:
    pair = pair_on_nodes(real_kernel)
    restore = pool_of(pair).hvo.save()
    for text in (*REQUESTS, *MALFORMED):
        restore()
        wanted = parse_hugetlb(parse_args(f"hugepagesz=2M hugepages={text}"), [SIZE], SIZE, NODES).pages.get(SIZE, 0)
        by_node = wanted.nodes if isinstance(wanted, NodeCounts) else {}
        count, nodes = parsed(pair, real_kernel, text)
        assert nodes == [by_node.get(node, 0) for node in range(NODES)], text
        if text != "0:2,0:1":  # a kernel adds both to the sum
            assert count == wanted, text


@pytest.mark.slow
@X86_6_1
def test_pages_are_allocated_at_boot_as_by_the_kernel(real_kernel: Kernel) -> None:
    for text in REQUESTS:
        pair = pair_on_nodes(real_kernel)
        count, nodes = parsed(pair, real_kernel, text)
        pool, engine = pool_of(pair), pair.engine.pool
        assert isinstance(engine, EnginePool)
        pool.hvo.kernel_cpu.call("hugetlb_hstate_alloc_pages", pool.h.va).required()
        by_node = {node: wanted for node, wanted in enumerate(nodes) if wanted}
        assert alloc_boot_pages(engine, NodeCounts(by_node) if by_node else count) == count
        assert pool.h.counters() == counters_of(engine.h), text
        assert pair.kernel.free_folios() == pair.engine.free_folios(), text
