# SPDX-License-Identifier: GPL-2.0-only
"""Contracts of the steps that an emulated CPU carries out by instructions, the same for every architecture.

A contract names the inputs and outputs of a sequence, and its effect in a notation of one line that a reviewer reads
and a program checks:

    [a]            the eight bytes at VA ``a``; ``byte [a]`` is one of them
    x = y          x becomes y; parts that are separated by ``;`` happen in this order
    x = y if c     only if the condition holds after the parts before
    for i < n, j < m: …           once for each i from 0 on, and inside that for each j
    for i < n until c: …          the same, ended before the first turn at which c holds
    tlb(a) = none, tlb = none     this CPU has no translation of the page of ``a``; of any page
    order(x, y)    every earlier x takes effect before any later y: stores, walks, fetches
    pc = a         execution continues at ``a``
    wait           execution stops until an interrupt, and there are none

Counts are 1 or more; loads and stores are of eight bytes unless the notation gives another size.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

#: Most arguments of a sequence.
ARGUMENTS = 6
#: Offsets in the argument block, which the guest shares with its driver.
ARGUMENT, RESULT, DONE, RETURN, RECORD = 0, 48, 56, 64, 72
BLOCK_BYTES = 128


@dataclass(frozen=True)
class StepContract:
    """The contract of one step.

    name     its name
    inputs   names of the inputs, each in a register
    outputs  names of the outputs, each in a register
    effect   its effect, in names of inputs and outputs; empty: it differs between architectures, see ``summary``
    summary  the same in words
    """

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    effect: str
    summary: str


_NUMBERED = [f"argument{number}" for number in range(ARGUMENTS)]
#: One step at a time: name, inputs, outputs; then effect and summary.
_TEXT = f"""
enter(block) -> {" ".join(_NUMBERED)}
    | {"; ".join(f"{name} = [block{f' + {8 * at}' if at else ''}]" for at, name in enumerate(_NUMBERED))}
    | loads the arguments from the block
leave(block result)
    | [block + {RESULT}] = result; [block + {DONE}] = block; pc = [block + {RETURN}]
    | stores the result and a completion mark in the block; ends at the VA in the block
wait() | wait | ends a run of the emulator
load(va) -> value | value = [va] | loads a word
store(va value) | [va] = value | stores a word
touch(va) | [va] = [va] | stores a word to itself, which needs write permission
compare_and_swap(va old new) -> found
    | found = [va]; [va] = new if found == old
    | exchanges a word by one atomic operation, as the kernel's cmpxchg()
write_entry(slot entry) | [slot] = entry | stores an entry. Kernel: set_pte()
exchange_entry(slot old new) -> found
    | found = [slot]; [slot] = new if found == old
    | exchanges an entry by one atomic operation
flush_page(va) | tlb(va) = none | invalidates the translation of one page
flush_pages(first count size)
    | for i < count: tlb(first + size*i) = none
    | invalidates the translations of a run of pages of ``size`` bytes
flush_all() | tlb = none | invalidates every translation, global ones too. Kernel: flush_tlb_all()
smp_wmb() | order(stores, stores) | Kernel: smp_wmb()
walker_barrier() | order(stores, walks) | between a store to a page table and a use of the mapping
instruction_barrier() | order(stores, fetches) | between a store and the execution of the stored code
jump(va) | pc = va | executes the code at a VA
copy_bytes(to from count) | for i < count: byte [to + i] = byte [from + i] | copies bytes, ascending
copy_words(to from count) | for i < count: [to + 8*i] = [from + 8*i] | copies words
load_words(vas to count) | for i < count: [to + 8*i] = [[vas + 8*i]] | loads the word at each of several VAs
store_words(vas values count)
    | for i < count: [[vas + 8*i]] = [values + 8*i]
    | stores a word at each of several VAs
copy_runs(to from count words)
    | for i < count, j < words: [[to + 8*i] + 8*j] = [[from + 8*i] + 8*j]
    | copies a run of words for each pair of VAs; a page is such a run. Kernel: copy_page()
write_entry_rows(slots entries rows columns)
    | for i < rows, j < columns: [[slots + 8*i] + 8*j] = [entries + 8*(columns*i + j)]
    | stores a run of entries at each of several slots, each like ``write_entry``
load_chain(va end to limit) -> count
    | count = 0; for i < limit until [va] == end: va = [va]; [to + 8*i] = va; count = i + 1
    | follows the links of a list
handler(block) |
    | records the registers that report a fault, one word each from [block + {RECORD}] on in the order of ``records``,
      and returns from the exception to the VA in [block + {RETURN}]
"""


def _step(text: str) -> StepContract:
    """Return the contract in one entry of the text."""
    head, effect, summary = (" ".join(part.split()) for part in text.split("|"))
    name, inputs, outputs = (part.strip("-> ") for part in re.split("[()]", head))
    return StepContract(name, tuple(inputs.split()), tuple(outputs.split()), effect, summary)


STEPS: tuple[StepContract, ...] = tuple(map(_step, re.split(r"\n(?=\w)", _TEXT.rstrip())[1:]))

STEP_BY_NAME: dict[str, StepContract] = {step.name: step for step in STEPS}

#: The kinds of barrier, and the step of each.
BARRIERS: dict[str, str] = {
    "smp_wmb": "smp_wmb",
    "walker": "walker_barrier",
    "instruction": "instruction_barrier",
}
