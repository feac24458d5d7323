# SPDX-License-Identifier: GPL-2.0-only
"""Lists as the kernel's are: words in memory, reached through a CPU, checked before they are changed."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hvolab.errors import KernelBug
from hvolab.machine import Cpu, MachineSpec, build_machine
from hvolab.machine.struct_pages import lists
from hvolab_x86_64.description import X86_64
from tests.machines import pools

_MACHINE = build_machine(X86_64.select(), MachineSpec(memory=64 << 20))
NODES = tuple(_MACHINE.kernel_data(lists.SIZE) for _ in range(6))
HEAD, OTHER = _MACHINE.kernel_data(lists.SIZE), _MACHINE.kernel_data(lists.SIZE)


@pytest.fixture
def cpu() -> Cpu:
    """A CPU, two empty lists, and nodes on none."""
    cpu = _MACHINE.cpus[0]
    for head in (HEAD, OTHER):
        lists.init(cpu, head)
    return cpu


def on(cpu: Cpu, head: int) -> list[int]:
    return list(lists.nodes(cpu, head))


def backwards(cpu: Cpu, head: int) -> list[int]:
    """The nodes from last to first, by the other links."""
    found, node = [], cpu.load_word(head + 8)
    while node != head:
        found.append(node)
        node = cpu.load_word(node + 8)
    return found


def test_nodes_are_added_first_or_last(cpu: Cpu) -> None:
    assert lists.empty(cpu, HEAD)
    for node in NODES[:2]:
        lists.add(cpu, node, HEAD)
    for node in NODES[2:4]:
        lists.add_tail(cpu, node, HEAD)
    assert on(cpu, HEAD) == [NODES[1], NODES[0], NODES[2], NODES[3]]
    assert not lists.empty(cpu, HEAD)


def test_a_deleted_node_is_poisoned(cpu: Cpu) -> None:
    for node in NODES[:3]:
        lists.add_tail(cpu, node, HEAD)
    lists.delete(cpu, NODES[1])
    assert on(cpu, HEAD) == [NODES[0], NODES[2]]
    assert (cpu.load_word(NODES[1]), cpu.load_word(NODES[1] + 8)) == lists.POISON


def test_deleting_twice_is_a_kernel_bug(cpu: Cpu) -> None:
    lists.add(cpu, NODES[0], HEAD)
    lists.unlink(cpu, NODES[0])
    with pytest.raises(KernelBug, match="list corruption"):
        lists.unlink(cpu, NODES[0])


@pytest.mark.parametrize("word", [0, 8], ids=["next", "prev"])
def test_an_insertion_beside_a_corrupted_link_is_a_kernel_bug(cpu: Cpu, word: int) -> None:
    lists.add(cpu, NODES[0], HEAD)
    cpu.store_word(NODES[0] + 8 if word else HEAD, OTHER)
    with pytest.raises(KernelBug, match="before an insertion"):
        lists.add(cpu, NODES[1], HEAD)


def test_the_node_in_hand_may_leave_the_list(cpu: Cpu) -> None:
    for node in NODES[:4]:
        lists.add_tail(cpu, node, HEAD)
    for node in lists.nodes(cpu, HEAD):
        lists.move(cpu, node, OTHER)
    assert (on(cpu, HEAD), on(cpu, OTHER)) == ([], list(NODES[3::-1]))


def test_a_spliced_list_comes_first_and_in_its_order(cpu: Cpu) -> None:
    for node in NODES[:2]:
        lists.add_tail(cpu, node, HEAD)
    for node in NODES[2:5]:
        lists.add_tail(cpu, node, OTHER)
    lists.splice_init(cpu, OTHER, HEAD)
    assert on(cpu, HEAD) == [*NODES[2:5], *NODES[:2]]
    assert lists.empty(cpu, OTHER)


@settings(max_examples=50)
@given(
    st.lists(
        st.tuples(st.sampled_from(["add", "add_tail", "delete", "move"]), st.sampled_from(NODES), st.booleans()),
        max_size=30,
    )
)
def test_any_operations_leave_what_python_s_lists_would(steps: list[tuple[str, int, bool]]) -> None:
    cpu, model = _MACHINE.cpus[0], {HEAD: list[int](), OTHER: list[int]()}
    for head in model:
        lists.init(cpu, head)
    for step, node, other in steps:
        head = OTHER if other else HEAD
        holding = next((held for held in model.values() if node in held), None)
        if (step in {"add", "add_tail"}) is (holding is not None):
            continue
        if holding is not None:
            holding.remove(node)
        match step:
            case "delete":
                lists.delete(cpu, node)
                continue
            case "add_tail":
                lists.add_tail(cpu, node, head)
                model[head].append(node)
                continue
            case "add":
                lists.add(cpu, node, head)
            case _:
                lists.move(cpu, node, head)
        model[head].insert(0, node)
    for head, expected in model.items():
        assert on(cpu, head) == expected
        assert backwards(cpu, head) == expected[::-1]


def test_a_corrupt_list_of_free_folios_stops_like_the_kernel() -> None:
    lab = pools(MachineSpec(memory=512 << 20))
    lab.pools[0].set_max_huge_pages(3)
    head = lab.pools[0].h.freelists[0]
    first = lab.machine.cpus[0].load_word(head)
    lab.machine.cpus[0].store_word(first + 8, first)
    with pytest.raises(KernelBug, match="list corruption"):
        lists.delete(lab.machine.cpus[0], first)


def test_a_successor_that_does_not_point_back_is_a_kernel_bug(cpu: Cpu) -> None:
    for node in NODES[:3]:
        lists.add_tail(cpu, node, HEAD)
    cpu.store_word(NODES[1] + 8, OTHER)
    for read in (on, lists.walk):
        with pytest.raises(KernelBug, match=f"next->prev of the node at VA {NODES[0]:#x} is {OTHER:#x}") as caught:
            read(cpu, HEAD)
        assert caught.value.va == NODES[0]


def test_a_circle_without_the_head_is_a_kernel_bug(cpu: Cpu) -> None:
    for node in NODES[:4]:
        lists.add_tail(cpu, node, HEAD)
    cpu.store_word(NODES[3], NODES[1])
    for read in (on, lists.walk):
        with pytest.raises(KernelBug, match=r"next->prev of the node|comes back to VA"):
            read(cpu, HEAD)


def test_a_list_that_grows_while_it_is_walked_has_an_end(cpu: Cpu) -> None:
    for node in NODES[:3]:
        lists.add_tail(cpu, node, HEAD)

    def turn() -> None:
        for node in lists.nodes(cpu, HEAD, 8):
            lists.unlink(cpu, node)
            lists.add_tail(cpu, node, HEAD)

    with pytest.raises(KernelBug, match="has no end after 8 nodes"):
        turn()
