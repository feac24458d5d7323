# SPDX-License-Identifier: GPL-2.0-only
"""Capabilities that checks need, and the search for them in a description."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable

from hvolab.arch import LiveEntryRule, PgprotRole, Target
from hvolab.conformance.check import (
    KNOWN_BYTES_NAME,
    KNOWN_ENTRIES_NAME,
    KNOWN_FIGURES_NAME,
    Capability,
)
from hvolab.conformance.queries import (
    examples_in_bytes,
    examples_of,
    figures_of,
    large_leaf_levels,
    optimizable_sizes,
    pgprot_of,
    spanning_sizes,
)
from hvolab.conformance.subject import Subject
from hvolab.errors import HvolabError
from hvolab.plugin import registry

#: Kind of CPU that executes a description's own instructions.
EMULATED = "emulated"


def _of_target(
    name: str, hint: str, missing: Callable[[Target], str], *, blocked_by: str = "", unfit: bool = False
) -> Capability:
    """Return a capability of the selected target; `missing` returns the reason why it lacks it."""

    def of_subject(subject: Subject) -> str:
        try:
            target = subject.target
        except HvolabError as error:  # reported by the check for a sound description
            return f"the description contradicts itself: {error.what}"
        return missing(target)

    return Capability(name, hint, of_subject, blocked_by, unfit)


def _of_mmu(name: str, attribute: str) -> Capability:
    """Return the capability of a target whose MmuRules have a pattern as an attribute."""
    hint = f"declare MmuRules.{attribute}, unless the architecture has none"
    return _of_target(name, hint, lambda target: "none is declared" if getattr(target.mmu, attribute) is None else "")


SOUND = _of_target(
    "a sound description",
    "fix the errors from the_description_is_sound",
    lambda _: "",
    blocked_by="the_description_is_sound",
)

# reference values

KNOWN_ENTRIES = Capability(
    KNOWN_ENTRIES_NAME,
    "declare Architecture.examples: entries of a running kernel or a manual, one at least for each form of page",
    lambda subject: "" if examples_of(subject) else "no example is of this mode or one with the same entries",
)
KNOWN_BYTES = Capability(
    KNOWN_BYTES_NAME,
    "give Example.raw as the bytes in memory: a number is the same in either byte order",
    lambda subject: "" if examples_in_bytes(subject.architecture) else "no example is given as bytes",
)
KNOWN_FIGURES = Capability(
    KNOWN_FIGURES_NAME,
    "declare Architecture.figures: the figures of the mode in the kernel's documentation",
    lambda subject: "" if figures_of(subject) else "none is declared for this mode",
)
DIRECT_MAP_SIZE = Capability(
    "the size of the direct map",
    "declare PagingMode.direct_map_size: bytes of VA that the kernel reserves for it",
    lambda subject: "" if subject.mode.direct_map_size else "it is not declared",
)

# entries

LEAF_ABOVE_LAST = _of_target(
    "a leaf above the last level",
    "declare the forms of such leaves, unless all memory is mapped by pages",
    lambda target: "" if large_leaf_levels(target) else "the direct map's levels have none",
)
RUNS = _of_target(
    "huge pages of several entries",
    "declare them in PagingMode.huge_page_levels, unless there are none",
    lambda target: "" if any(count > 1 for _, count in target.mode.huge_page_levels) else "this mode declares none",
)
ACCESSED = _of_mmu("an accessed flag", "accessed")
DIRTY = _of_mmu("a dirty flag", "dirty")
SHADOW_STACK = _of_mmu("a shadow-stack pattern", "shadow_stack")
WRITE_PERMISSION = _of_target(
    "a write permission in the leaf",
    "declare MmuRules.write.leaf: the pattern of a leaf that may be written to",
    lambda target: "every leaf may be written to" if target.mmu.write.leaf is None else "",
)

# behavior


def _writable_tails(target: Target) -> str:
    """Return why tails stay writable: the read-only protection has the name and the fields of PAGE_KERNEL."""
    kernel, read_only = (pgprot_of(target, role) for role in (PgprotRole.KERNEL, PgprotRole.KERNEL_RO))
    if target.profile == "strict" or (kernel.name, kernel.fields) != (read_only.name, read_only.fields):
        return ""
    return f"profile {target.profile} declares {kernel.name} for tails: {read_only.source or 'no source'}"


def _older_read_only(target: Target) -> str:
    """Return why PAGE_KERNEL_RO is not judged by today's rule: it is declared as another release had it."""
    releases = pgprot_of(target, PgprotRole.KERNEL_RO).releases
    if not releases or target.architecture.releases[0] in releases:
        return ""
    return f"kernels {', '.join(releases)} are declared to differ from {target.architecture.releases[0]}"


def _replaced_by_stores(target: Target) -> str:
    rule = target.traits.forbids
    return f"release {target.release} declares that {rule}, and HVO uses plain stores" if rule else ""


def _idle_flush(target: Target) -> str:
    traits = target.traits
    if traits.flush_all_effective or traits.live_entries is not LiveEntryRule.FORBIDDEN:
        return ""
    return f"flush_tlb_all() is declared to do nothing, where {traits.live_entries.value}"


READ_ONLY_TAILS = _of_target(
    "read-only tails",
    "nothing in this profile: a store to a tail is reported as a declared finding; profile strict must protect them",
    _writable_tails,
)
DIRTY_APART = _of_target(
    "a PAGE_KERNEL_RO of today", "nothing: the protection of another release is declared as it was", _older_read_only
)
LIVE_REPLACEMENT = _of_target(
    "live entries may be replaced",
    "declare a release or feature that replaces entries in another way",
    _replaced_by_stores,
    unfit=True,
)
EFFECTIVE_FLUSH = _of_target(
    "an effective flush_tlb_all",
    "none: batches rely on flush_tlb_all() before they free frames",
    _idle_flush,
    unfit=True,
)
SAVINGS = _of_target(
    "a huge page size that HVO can optimize",
    "declare PagingMode.huge_page_levels with a size whose struct pages fill more than a page",
    lambda target: "" if optimizable_sizes(target) else "no size has more than one page of struct pages",
)
SPANNING = _of_target(
    "a huge page whose vmemmap spans several tables",
    "nothing, where the vmemmap is mapped by pages or no size is that large: there is nothing to roll back",
    lambda target: "" if spanning_sizes(target) else "no split can fail in the middle of a folio",
)

# emulation


def _without_emulated_cpu(subject: Subject) -> str:
    """Return why the subject has no CPU but the model."""
    part = subject.architecture.emulation
    if part is None:
        return _WITHOUT_SEQUENCES
    if EMULATED not in registry().cpus():
        return f"no plugin has a kind of CPU called {EMULATED!r}"
    return part.refusal(subject.target) or _not_installed("unicorn")


def _not_installed(module: str) -> str:
    return f"{module} is not installed" if importlib.util.find_spec(module) is None else ""


_WITHOUT_SEQUENCES = "no instruction sequences are declared"
EMULATION = Capability(
    "emulation",
    "declare Architecture.emulation, unless its CPUs are not emulated",
    lambda subject: _WITHOUT_SEQUENCES if subject.architecture.emulation is None else "",
)
EMULATED_CPU = Capability(
    "an emulated CPU", "pip install 'hvolab[emulation]', where the emulator supports the mode", _without_emulated_cpu
)
DISASSEMBLER = Capability("a disassembler", "pip install capstone", lambda _: _not_installed("capstone"))

#: Names of all capabilities, as :attr:`hvolab.arch.Architecture.absent` has them.
CAPABILITY_NAMES = tuple(value.name for value in tuple(globals().values()) if isinstance(value, Capability))
