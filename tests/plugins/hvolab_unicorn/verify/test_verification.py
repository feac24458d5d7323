"""`hvolab verify`: what it finds where all is as described, and where a description or a CPU is wrong."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from hvolab.arch import Access, FaultKind, FieldValues, Target, values
from hvolab.cli.app import build_app
from hvolab.hvo import Hvo
from hvolab.hvo.sizes import HasOrder
from hvolab.plugin import registry
from hvolab_unicorn.cpu.emulated_cpu import EmulatedCpu
from hvolab_unicorn.verify import Verification, verify

#: Modes whose folios have few tails, and those whose 1 GiB pages have 4095.
FEW = [("arm64", name) for name in ("16K-47bit", "16K-36bit", "16K-48bit", "64K-48bit", "64K-42bit")]
MANY = [
    *(("x86_64", name) for name in ("4-level", "5-level")),
    *(("arm64", name) for name in ("4K-48bit", "4K-39bit")),
    *(("riscv", name) for name in ("Sv39", "Sv48", "Sv57")),
]
MODES = [
    *(pytest.param(*mode, id="-".join(mode)) for mode in FEW),
    *(pytest.param(*mode, id="-".join(mode), marks=pytest.mark.slow) for mode in MANY),
]


def target_of(architecture: str, mode: str, profile: str | None = None) -> Target:
    return registry().architecture(architecture).select(mode, profile=profile)


def few() -> Target:
    return target_of("arm64", "64K-42bit")


def told(found: Verification) -> set[str]:
    return {mismatch.what for mismatch in found.mismatches}


@pytest.mark.parametrize(("architecture", "mode"), MODES)
def test_every_tail_is_what_the_description_says(architecture: str, mode: str) -> None:
    target = target_of(architecture, mode)
    found = verify(target)
    counts = found.counts
    assert found.mismatches == ()
    assert found.as_declared
    assert counts.huge_pages >= 3
    assert counts.loads == counts.exchanges == 2 * counts.tails
    assert counts.stale_stores > 0
    refused = 2 * (counts.tails + counts.huge_pages)  # fetches
    if target.tails_fault:
        refused += 2 * counts.tails * (1 + target.traits.compare_and_swap_needs_write)
    assert counts.faults == refused
    assert bool(found.findings) is not target.tails_fault


@pytest.mark.arch("riscv")
@pytest.mark.slow
def test_strict_tails_of_riscv_fault() -> None:
    found = verify(target_of("riscv", "Sv39", profile="strict"))
    assert (found.mismatches, found.findings) == ((), ())
    assert found.counts.faults == 2 * (2 * found.counts.tails + found.counts.huge_pages)


@pytest.mark.arch("arm64")
def test_a_handler_in_the_guest_records_the_same() -> None:
    assert verify(few(), handler=True) == verify(few())


@pytest.mark.arch("arm64")
def test_a_wrong_syndrome_is_a_mismatch_of_every_fault() -> None:
    right = few().mmu.syndrome

    def wrong(kind: FaultKind, access: Access, va: int, depth: int) -> FieldValues:
        told = dict(right(kind, access, va, depth))
        return values(esr=told["esr"] ^ (1 << 6), far=told["far"])  # WnR the wrong way round

    found = verify(replace(few(), mmu=replace(few().mmu, syndrome=wrong)))
    assert told(found) >= {"store to a tail", "jump into the vmemmap", "compare_and_swap that fails, of a tail"}
    assert found.counts.faults == 0
    assert not found.as_declared


@pytest.mark.arch("arm64")
def test_a_cpu_that_does_not_flush_still_reaches_freed_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EmulatedCpu, "flush_all", lambda _: None)
    monkeypatch.setattr(EmulatedCpu, "flush_range", lambda *_: None)
    assert "a store after the flush" in told(verify(few()))


@pytest.mark.arch("arm64")
def test_a_cpu_that_keeps_no_stale_translation_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    store = EmulatedCpu.store_word

    def eager(self: EmulatedCpu, va: int, value: int) -> None:
        self.flush_all()
        store(self, va, value)

    monkeypatch.setattr(EmulatedCpu, "store_word", eager)
    assert told(verify(few())) == {"a stale store before the flush"}


@pytest.mark.arch("arm64")
def test_restored_pages_that_share_a_frame_are_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    restore = Hvo.restore_folio

    def two_on_one_frame(self: Hvo, h: HasOrder, folio: int) -> int:
        result = restore(self, h, folio)
        machine, size = self.machine, self.machine.target.mode.page_size
        (_, kept, raw), (_, lost, _) = (machine.tables.descend(folio + page * size) for page in (2, 3))
        assert kept != lost
        machine.memory.words[lost] = raw
        machine.flush_tlb_all()
        return result

    monkeypatch.setattr(Hvo, "restore_folio", two_on_one_frame)
    found = verify(few())
    assert told(found) == {"a store to a restored page"}
    assert len(found.mismatches) == 2 * found.counts.huge_pages  # on each of two CPUs


@pytest.mark.arch("arm64")
def test_json_lists_each_mode_and_what_is_not_emulated() -> None:
    options = ["--arch", "arm64", "--mode", "64K-42bit", "--mode", "64K-52bit", "--json"]
    result = CliRunner().invoke(build_app(), ["verify", *options])
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    [mode] = report["modes"]
    assert {key: mode[key] for key in ("mode", "huge_pages", "tails", "mismatches")} == {
        "mode": "64K-42bit",
        "huge_pages": 3,
        "tails": 269,
        "mismatches": 0,
    }
    [refused] = report["not_emulated"]
    assert refused["mode"] == "64K-52bit"
    assert "52-bit VA" in refused["reason"]
    assert report["mismatches"] == 0


@pytest.mark.arch("arm64")
@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--arch", "arm64", "--mode", "4K-52bit"], "no target can be emulated: arm64 4K-52bit"),
        (["--arch", "arm64", "--mode", "Sv39"], "unknown paging mode 'Sv39'"),
        (["--arch", "vax"], "no architecture is called 'vax'"),
    ],
)
def test_wrong_use_is_told_in_a_sentence(options: list[str], complaint: str) -> None:
    result = CliRunner().invoke(build_app(), ["verify", *options])
    assert result.exit_code == 2
    assert complaint in result.stderr
