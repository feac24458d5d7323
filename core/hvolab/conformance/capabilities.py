"""The capabilities that checks need, and how a description is found to have them."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable

from hvolab.arch import (
    EntryKind,
    EntryUpdateRule,
    Example,
    LiveEntryRule,
    MmuRules,
    ModeFigures,
    PagingMode,
    Pgprot,
    PgprotRole,
    Target,
)
from hvolab.conformance.check import Capability
from hvolab.conformance.subject import Subject
from hvolab.errors import HvolabError
from hvolab.hvo import VmemmapSizes
from hvolab.machine import STRUCT_PAGE_V6_12
from hvolab.plugin import registry


def _of_target(answer: Callable[[Target], str]) -> Callable[[Subject], str]:
    """Ask the target; where none can be selected another check has told, and this one is no use."""

    def missing(subject: Subject) -> str:
        try:
            target = subject.target
        except HvolabError as error:
            return f"the description contradicts itself: {error.what}"
        return answer(target)

    return missing


def _of_mmu(answer: Callable[[MmuRules], object], why: str) -> Callable[[Subject], str]:
    return _of_target(lambda target: "" if answer(target.mmu) else why)


SOUND = Capability("a sound description", "mend what the_description_is_sound tells", _of_target(lambda _: ""))


# what is known


def family(mode: PagingMode) -> object:
    """What modes share whose entries an example speaks for: the form of a page."""
    return mode.format.leaf_form(mode.last.name)


def examples_of(subject: Subject) -> list[Example]:
    """The examples that speak for the subject's mode."""
    families = {mode.name: family(mode) for mode in subject.architecture.modes}
    own = family(subject.mode)
    return [known for known in subject.architecture.examples if known.mode in families and families[known.mode] == own]


def figures_of(subject: Subject) -> list[ModeFigures]:
    """What is known of the subject's mode."""
    return [known for known in subject.architecture.figures if known.mode == subject.mode_name]


KNOWN_ENTRIES = Capability(
    "known entries",
    "declare Architecture.examples: entries of a running kernel or a manual, one at least for each form of page",
    lambda subject: "" if examples_of(subject) else "no example speaks for this mode",
)
KNOWN_FIGURES = Capability(
    "known figures",
    "declare Architecture.figures: what the kernel's documents say of the mode",
    lambda subject: "" if figures_of(subject) else "nothing is declared to be known of this mode",
)
DIRECT_MAP_SIZE = Capability(
    "the size of the direct map",
    "declare PagingMode.direct_map_size: how much VA the kernel sets aside for it",
    lambda subject: "" if subject.mode.direct_map_size else "it is not declared",
)


# what entries have


def leaf_levels(target: Target) -> list[str]:
    """Names of the levels above the last that may hold leaves of PAGE_KERNEL_LARGE: the direct map's, from the top."""
    names = [level.name for level in target.mode.levels]
    first = names.index(target.mode.direct_map_level)
    return [name for name in names[first:-1] if target.mode.format.leaf_form(name) is not None]


LEAF_ABOVE_LAST = Capability(
    "a leaf above the last level",
    "nothing, where all memory is mapped by pages; else declare the forms of such leaves",
    _of_target(lambda target: "" if leaf_levels(target) else "the direct map's levels have none"),
)
RUNS = Capability(
    "huge pages of several entries",
    "nothing, where there are none; else declare them in PagingMode.huge_page_levels",
    _of_target(
        lambda target: (
            "" if any(count > 1 for _, count in target.mode.huge_page_levels) else "none is declared in this mode"
        )
    ),
)
WRITE_PERMISSION = Capability(
    "a write permission in the leaf",
    "declare MmuRules.write.leaf: the pattern of a leaf that may be written to",
    _of_mmu(lambda mmu: mmu.write.leaf, "every leaf may be written to"),
)
ACCESSED = Capability(
    "an accessed flag",
    "nothing, where entries have none; else declare MmuRules.accessed",
    _of_mmu(lambda mmu: mmu.accessed, "none is declared"),
)
DIRTY = Capability(
    "a dirty flag",
    "nothing, where the architecture's walks know none; else declare MmuRules.dirty",
    _of_mmu(lambda mmu: mmu.dirty, "none is declared"),
)
SHADOW_STACK = Capability(
    "a shadow-stack pattern",
    "nothing, where no leaf is taken for a shadow stack; else declare MmuRules.shadow_stack",
    _of_mmu(lambda mmu: mmu.shadow_stack, "none is declared"),
)


# what HVO needs


def pgprot_of(target: Target, role: PgprotRole) -> Pgprot:
    """The resolved protection of ``role``."""
    return dict(target.pgprots)[role]


def _writable_tails(target: Target) -> str:
    """Why tails are declared to stay writable: the read-only protection is by name and fields PAGE_KERNEL."""
    kernel, read_only = (pgprot_of(target, role) for role in (PgprotRole.KERNEL, PgprotRole.KERNEL_RO))
    if target.profile == "strict" or (kernel.name, kernel.fields) != (read_only.name, read_only.fields):
        return ""
    return f"profile {target.profile} declares {kernel.name} for tails: {read_only.source or 'no source'}"


READ_ONLY_TAILS = Capability(
    "read-only tails",
    "nothing in this profile: a store to a tail is reported as a declared finding; profile strict must protect them",
    _of_target(_writable_tails),
)


def _history(target: Target) -> str:
    """Why PAGE_KERNEL_RO is declared to be what an older or other kernel had, and not judged as today's."""
    releases = pgprot_of(target, PgprotRole.KERNEL_RO).releases
    if not releases or target.architecture.releases[0] in releases:
        return ""
    return f"kernels {', '.join(releases)} are declared to have it otherwise than {target.architecture.releases[0]}"


DIRTY_APART = Capability(
    "a PAGE_KERNEL_RO of today",
    "nothing: what another release had is declared, and stays as it was",
    _of_target(_history),
)


def _replaced_by_stores(target: Target) -> str:
    traits = target.traits
    if traits.live_entries is LiveEntryRule.FREE or traits.entry_update is not EntryUpdateRule.STORE:
        return ""
    return f"release {target.release} declares that {traits.live_entries.value}, and HVO stores plainly"


LIVE_REPLACEMENT = Capability(
    "live entries may be replaced",
    "HVO is not for this kernel: a release or feature has to declare how it replaces entries otherwise",
    _of_target(_replaced_by_stores),
)


def _idle_flush(target: Target) -> str:
    traits = target.traits
    if traits.flush_all_effective or traits.live_entries is not LiveEntryRule.FORBIDDEN:
        return ""
    return f"flush_tlb_all() is declared to do nothing, where {traits.live_entries.value}"


EFFECTIVE_FLUSH = Capability(
    "an effective flush_tlb_all",
    "HVO is not for this kernel: batches rely on flush_tlb_all() to forget what was freed",
    _of_target(_idle_flush),
)
EMULATION = Capability(
    "emulation",
    "nothing, where no CPU is emulated; else declare Architecture.emulation",
    lambda subject: "" if subject.architecture.emulation is not None else "no instruction sequences are declared",
)


def _without_emulated_cpu(subject: Subject) -> str:
    """Why no CPU other than the model can be had for the subject."""
    part = subject.architecture.emulation
    make = registry().cpus().get(EMULATED)
    if part is None:
        return "no instruction sequences are declared"
    if make is None:
        return f"no plugin has a kind of CPU that is called {EMULATED!r}"
    if why := part.refusal(subject.target):
        return why
    return "" if importlib.util.find_spec("unicorn") is not None else "unicorn is not installed"


#: The kind of CPU that runs a description's own instructions.
EMULATED = "emulated"
EMULATED_CPU = Capability(
    "an emulated CPU",
    "pip install 'hvolab[emulation]', where the emulator can do the mode",
    _without_emulated_cpu,
)
DISASSEMBLER = Capability(
    "a disassembler",
    "pip install capstone",
    lambda _: "" if importlib.util.find_spec("capstone") is not None else "capstone is not installed",
)


def table_levels(target: Target) -> list[str]:
    """Names of the levels that may point to tables."""
    forms = target.mode.format.forms
    held = {name for form in forms if form.kind is EntryKind.TABLE for name in form.levels}
    return [level.name for level in target.mode.levels[:-1] if level.name in held]


# what HVO gains


def optimizable_sizes(target: Target) -> list[int]:
    """The huge page sizes that HVO can optimize, ascending, in bytes."""
    mode = target.mode
    return [
        huge.size
        for huge in mode.huge_pages
        if VmemmapSizes(
            (huge.size >> mode.page_shift).bit_length() - 1, mode.page_size, STRUCT_PAGE_V6_12.size
        ).optimizable
    ]


def spanning_sizes(target: Target) -> list[int]:
    """Those sizes whose vmemmap lies in several tables of the last level, where boot maps it by leaves above."""
    mode = target.mode
    if mode.vmemmap_level == mode.last.name:
        return []
    return [
        size
        for size in optimizable_sizes(target)
        if (size >> mode.page_shift) * STRUCT_PAGE_V6_12.size > mode.levels[-2].size
    ]


SAVINGS = Capability(
    "a huge page size that HVO can optimize",
    "declare PagingMode.huge_page_levels with a size whose struct pages fill more than a page",
    _of_target(lambda target: "" if optimizable_sizes(target) else "no size has more than one page of struct pages"),
)
SPANNING = Capability(
    "a huge page whose vmemmap spans several tables",
    "nothing, where the vmemmap is mapped by pages or no size is that large: there is nothing to roll back",
    _of_target(lambda target: "" if spanning_sizes(target) else "no split can fail in the middle of a folio"),
)
