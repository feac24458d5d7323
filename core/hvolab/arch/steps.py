"""What an emulated CPU needs done by instructions: one contract for each step, the same for every architecture.

A contract names what a sequence finds in registers, and says what it does in a notation of one line that a reviewer
reads and a program checks:

    [a]            the eight bytes at VA ``a``; ``byte [a]`` is one of them
    x = y          x becomes y; parts that are separated by ``;`` happen in this order
    x = y if c     only where the condition holds, as it is after the parts before
    for i < n, j < m: …           once for each i from 0 on, and inside that for each j
    for i < n until c: …          the same, ended before the first turn at which c holds
    tlb(a) = none, tlb = none     this CPU has no translation of the page of ``a``; of no page at all
    order(x, y)    every earlier x takes effect before any later y: stores, walks, fetches
    pc = a         execution goes on at ``a``
    wait           nothing more is executed until an interrupt comes; there is none

Counts are 1 or more, and everything is of eight bytes where nothing else is said.
"""

from __future__ import annotations

from dataclasses import dataclass

#: Arguments that a sequence can have.
ARGUMENTS = 6
#: Bytes from the start of the argument block, which the guest shares with who drives it.
ARGUMENT, RESULT, DONE, RETURN, RECORD = 0, 48, 56, 64, 72
BLOCK_BYTES = 128


@dataclass(frozen=True)
class StepContract:
    """The contract of one step.

    name     what it is called
    inputs   what it finds in registers
    outputs  what it leaves in registers
    effect   what it does, in names of inputs and outputs; empty: the architecture says itself, see ``summary``
    summary  the same in words
    """

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    effect: str
    summary: str


_EXCHANGE = "found = [{0}]; [{0}] = new if found == old"
_ENTER = "; ".join(
    f"argument{number} = [block{f' + {ARGUMENT + 8 * number}' if number else ''}]" for number in range(ARGUMENTS)
)

STEPS: tuple[StepContract, ...] = (
    StepContract(
        "enter",
        ("block",),
        tuple(f"argument{number}" for number in range(ARGUMENTS)),
        _ENTER,
        "takes the arguments from the block",
    ),
    StepContract(
        "leave",
        ("block", "result"),
        (),
        f"[block + {RESULT}] = result; [block + {DONE}] = block; pc = [block + {RETURN}]",
        "leaves the result in the block, and a sign that it is there; ends at the VA in the block",
    ),
    StepContract("wait", (), (), "wait", "ends what an emulator was started for"),
    StepContract("load", ("va",), ("value",), "value = [va]", "loads a word"),
    StepContract("store", ("va", "value"), (), "[va] = value", "stores a word"),
    StepContract("touch", ("va",), (), "[va] = [va]", "needs permission to store to the word, and changes nothing"),
    StepContract(
        "compare_and_swap",
        ("va", "old", "new"),
        ("found",),
        _EXCHANGE.format("va"),
        "exchanges a word by one atomic operation, as the kernel's cmpxchg()",
    ),
    StepContract("write_entry", ("slot", "entry"), (), "[slot] = entry", "stores an entry. Kernel: set_pte()"),
    StepContract(
        "exchange_entry",
        ("slot", "old", "new"),
        ("found",),
        _EXCHANGE.format("slot"),
        "exchanges an entry by one atomic operation",
    ),
    StepContract("flush_page", ("va",), (), "tlb(va) = none", "forgets one page"),
    StepContract(
        "flush_pages",
        ("first", "count", "size"),
        (),
        "for i < count: tlb(first + size*i) = none",
        "forgets a run of pages of ``size`` bytes",
    ),
    StepContract(
        "flush_all", (), (), "tlb = none", "forgets every translation, global ones too. Kernel: flush_tlb_all()"
    ),
    StepContract("smp_wmb", (), (), "order(stores, stores)", "Kernel: smp_wmb()"),
    StepContract(
        "walker_barrier", (), (), "order(stores, walks)", "between a store to a page table and a use of what it maps"
    ),
    StepContract(
        "instruction_barrier", (), (), "order(stores, fetches)", "between a store and the execution of what it stored"
    ),
    StepContract("jump", ("va",), (), "pc = va", "executes what stands there"),
    StepContract(
        "copy_bytes",
        ("to", "from", "count"),
        (),
        "for i < count: byte [to + i] = byte [from + i]",
        "copies bytes, ascending",
    ),
    StepContract("copy_words", ("to", "from", "count"), (), "for i < count: [to + 8*i] = [from + 8*i]", "copies words"),
    StepContract(
        "load_words",
        ("vas", "to", "count"),
        (),
        "for i < count: [to + 8*i] = [[vas + 8*i]]",
        "loads the word at each of several VAs",
    ),
    StepContract(
        "store_words",
        ("vas", "values", "count"),
        (),
        "for i < count: [[vas + 8*i]] = [values + 8*i]",
        "stores a word at each of several VAs",
    ),
    StepContract(
        "copy_runs",
        ("to", "from", "count", "words"),
        (),
        "for i < count, j < words: [[to + 8*i] + 8*j] = [[from + 8*i] + 8*j]",
        "copies a run of words for each pair of VAs; a page is such a run. Kernel: copy_page()",
    ),
    StepContract(
        "write_entry_rows",
        ("slots", "entries", "rows", "columns"),
        (),
        "for i < rows, j < columns: [[slots + 8*i] + 8*j] = [entries + 8*(columns*i + j)]",
        "stores a run of entries at each of several slots, every one as ``write_entry`` does",
    ),
    StepContract(
        "load_chain",
        ("va", "end", "to", "limit"),
        ("count",),
        "count = 0; for i < limit until [va] == end: va = [va]; [to + 8*i] = va; count = i + 1",
        "follows the links of a list",
    ),
    StepContract(
        "handler",
        ("block",),
        (),
        "",
        f"records the registers that report a fault, one word each from [block + {RECORD}] on in the order of "
        f"``records``, and returns from the exception to the VA in [block + {RETURN}]",
    ),
)

STEP_BY_NAME: dict[str, StepContract] = {step.name: step for step in STEPS}

#: The kinds of barrier that a CPU is asked for, and the step of each.
BARRIERS: dict[str, str] = {
    "smp_wmb": "smp_wmb",
    "walker": "walker_barrier",
    "instruction": "instruction_barrier",
}
