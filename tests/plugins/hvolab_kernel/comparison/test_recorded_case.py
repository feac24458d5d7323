# SPDX-License-Identifier: GPL-2.0-only
"""A recorded case: the engine and the kernel as two voices."""

from __future__ import annotations

from typing import Any

import pytest

from hvolab.errors import UsageError
from hvolab_kernel.comparison import Comparer, compare, scenarios_of, target_of
from hvolab_kernel.comparison.recorded_case import RecordedCase, require_recordable
from hvolab_kernel.comparison.selection import chosen_scenarios
from hvolab_report.timeline.writer import StepsWriter
from hvolab_vmlinux.kernel import Kernel

pytest.importorskip("unicorn", reason="no emulator: pip install 'hvolab[emulation]'")
pytestmark = pytest.mark.slow
IMAGE = pytest.mark.parametrize("real_kernel", ["x86_64-6.12"], indirect=True)


def recorded(kernel: Kernel, release: str | None) -> Any:
    """The data of the case that is recorded of one scenario."""
    comparer, writer = Comparer(target_of(kernel, release=release), kernel), StepsWriter()
    scenarios = chosen_scenarios(scenarios_of(comparer.target), ["2M boot: optimize"])[:1]
    compared = [(comparer, compare(comparer, scenarios))]
    assert list(RecordedCase(writer, scenarios).follow(compared)) == compared
    return writer.data()


@IMAGE
def test_the_first_scenario_is_recorded_where_none_differs(real_kernel: Kernel) -> None:
    data = recorded(real_kernel, None)
    assert data["difference"] == []
    assert [voice["name"] for voice in data["voices"]] == [
        f"model of {data['voices'][0]['release']}",
        f"kernel {real_kernel.image.release}",
    ]
    assert all(voice["steps"] > 20 for voice in data["voices"])


@IMAGE
def test_the_first_case_that_differs_from_another_release_is_recorded(real_kernel: Kernel) -> None:
    data = recorded(real_kernel, "6.12")
    assert data["difference"]
    assert data["differs"][0].startswith("GFP flags: GFP_KERNEL|__GFP_NORETRY|__GFP_NOWARN against GFP_KERNEL")
    assert any(text.startswith("outside call 3 of optimize(0)") for text in data["voices"][1]["texts"])


def test_comparisons_without_two_voices_are_refused() -> None:
    require_recordable(callers=False, rules=False)
    with pytest.raises(UsageError, match="--callers"):
        require_recordable(callers=True, rules=False)
    with pytest.raises(UsageError, match="--against rules"):
        require_recordable(callers=False, rules=True)
