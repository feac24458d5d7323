# SPDX-License-Identifier: GPL-2.0-only
"""Debian's kernels against their recorded traces, which `python -m tests.golden_traces` makes."""

from __future__ import annotations

import json
import lzma

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hvolab_kernel.identify.release import release_of
from hvolab_vmlinux.kernel import Kernel
from tests.core.hvo.test_kernel_traces import VARIANTS
from tests.kernel_runs import TRACES, load, unfolded

pytest.importorskip("unicorn", reason="no emulator: pip install 'hvolab[emulation]'")

from tests.golden_traces import RECORDED, Recorder, folded, record, scenarios_of, text_of

EACH = pytest.mark.parametrize(
    ("real_kernel", "name"), [(image, name) for name, (image, _) in RECORDED.items()], indirect=["real_kernel"]
)
#: Scenarios that are recorded again in every test run that has the image.
QUICK = ("single-o8", "selfhosted", "batch0")


def recorded_text(name: str, kernel: Kernel) -> str:
    """Return the text of a trace; skips if the image is of another release than the trace."""
    text = lzma.decompress((TRACES / f"{name}.json.xz").read_bytes()).decode()
    release = json.loads(text)["meta"]["kernel"]
    if release != kernel.image.release:
        pytest.skip(f"image {kernel.image.release}, trace {release}: python -m tests.golden_traces {name}")
    return text


@pytest.mark.slow
@EACH
def test_a_kernel_repeats_its_recorded_runs(real_kernel: Kernel, name: str) -> None:
    recorded_text(name, real_kernel)
    runs = load(name)["scenarios"]
    recorder = Recorder(real_kernel, name)
    for scenario in scenarios_of(release_of(real_kernel)):
        if scenario.name in QUICK:
            again = json.loads(json.dumps(list(recorder.runs(scenario))))
            assert again == [run for run in runs if run["scenario"].split("/")[0] == scenario.name]


@pytest.mark.long
@EACH
def test_a_trace_recorded_again_has_the_same_bytes(real_kernel: Kernel, name: str) -> None:
    assert text_of(record(real_kernel, name)) == recorded_text(name, real_kernel)


@pytest.mark.parametrize("name", RECORDED)
def test_a_trace_is_small_and_has_every_scenario_with_failures(name: str) -> None:
    assert (TRACES / f"{name}.json.xz").stat().st_size < 100_000
    trace = load(name)
    variant = VARIANTS[trace["meta"]["form"]]
    assert {run["scenario"].split("/")[0] for run in trace["scenarios"]} == {
        scenario.name for scenario in scenarios_of(variant)
    }
    assert sum(len(run["fail"]) == 2 for run in trace["scenarios"]) > 40


CALL = st.one_of(
    st.tuples(st.just("free"), st.integers(0, 5), st.just(0)).map(list),
    st.tuples(st.just("memmap"), st.sampled_from([-1, 1])).map(list),
    st.tuples(st.just("alloc"), st.just("f"), st.just("0x1"), st.just(0), st.integers(0, 5) | st.just("FAIL")).map(
        list
    ),
)


@given(st.lists(CALL, max_size=12), st.integers(1, 4))
def test_folding_loses_nothing(log: list[list[object]], times: int) -> None:
    assert unfolded(folded(log * times)) == log * times


def test_repeats_whose_frame_moves_are_folded() -> None:
    log = [one for pfn in range(9, 0, -1) for one in (["memmap", -1], ["free", pfn, 0])]
    assert folded(log) == [["run", 9, -1, [["memmap", -1], ["free", 9, 0]]]]
