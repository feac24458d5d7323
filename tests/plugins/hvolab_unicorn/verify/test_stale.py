# SPDX-License-Identifier: GPL-2.0-only
"""Stale translations: stores before the flush reach the old frame, after it they do not."""

from __future__ import annotations

import pytest

from hvolab_unicorn.cpu.emulated_cpu import EmulatedCpu
from hvolab_unicorn.verify import verify
from tests.plugins.hvolab_unicorn.verify.targets import few, mismatching


@pytest.mark.slow
@pytest.mark.arch("arm64")
def test_a_cpu_that_does_not_flush_still_reaches_freed_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EmulatedCpu, "flush_all", lambda _: None)
    monkeypatch.setattr(EmulatedCpu, "flush_range", lambda *_: None)
    assert "a store after the flush" in mismatching(verify(few()))


@pytest.mark.slow
@pytest.mark.arch("arm64")
def test_a_cpu_that_keeps_no_stale_translation_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    store = EmulatedCpu.store_word

    def eager(self: EmulatedCpu, va: int, value: int) -> None:
        self.flush_all()
        store(self, va, value)

    monkeypatch.setattr(EmulatedCpu, "store_word", eager)
    assert mismatching(verify(few())) == {"a stale store before the flush"}
