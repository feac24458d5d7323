# SPDX-License-Identifier: GPL-2.0-only
"""Judgment of a boot: every stage is read and checked, every step repeated, and all of it is one report."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from hvolab.units import format_short
from hvolab_boot.guest.readings import Message
from hvolab_boot.judging.checks import ReadStage, check_all, is_error, is_fatal, log_findings
from hvolab_boot.judging.keep import keep
from hvolab_boot.judging.result import BootFinding, BootReport, PairReport, StageReport
from hvolab_boot.judging.voices import replay_all
from hvolab_boot.running.plan import Plan
from hvolab_boot.running.session import BootSpec, Session, Stage
from hvolab_kernel.comparison.selection import target_of
from hvolab_vmcore.scan.releases import open_scan
from hvolab_vmlinux.kernel import Kernel

#: Lines of the console of a guest that ended early; messages from the first error of a stage on.
_LOG: Final = 40
_MESSAGES: Final = 12
_OPTIONS: Final = "see --cpu-model and --boot"


def judge(session: Session, spec: BootSpec, kernel: Kernel, on_step: Callable[[str], None]) -> BootReport:
    """Return the report of a boot; cores and report are written to the folder of ``spec.keep``.

    on_step  is called with what is being done
    """
    stages = [_read(stage, on_step) for stage in session.stages]
    findings = list(check_all(stages, spec.plan.smallest))
    pairs: list[PairReport] = []
    for pair, found in replay_all(stages, spec.image, on_step):
        pairs.append(pair)
        findings += found
    findings += _early_end(session)
    target = next((one.scan.snapshot.target for one in stages if one.scan is not None), None) or target_of(kernel)
    release = next((pair.release for pair in reversed(pairs) if pair.release), target.release.name)
    # a guest that has not come to its plan shows none of them
    faults = target.architecture.release(release).faults if findings and len(stages) > 1 else ()
    report = BootReport(
        image=str(spec.image),
        kernel=kernel.image.release,
        architecture=target.architecture.name,
        mode=target.mode.name,
        requested_mode=spec.requested or target.mode.name,
        release=release,
        features=target.features,
        qemu=session.command,
        command_line=spec.command_line,
        memory=spec.memory,
        cpus=spec.cpus,
        kvm=spec.kvm,
        stages=tuple(_stage_report(one, stages[0]) for one in stages),
        pairs=tuple(pairs),
        findings=tuple(findings),
        notes=(
            *_notes(session, stages, spec, pairs, target.mode.name),
            *(f"known of release {release}: {fault}" for fault in faults),
        ),
        end=session.end,
        seconds=round(session.seconds, 1),
        cpu_seconds=round(session.cpu_seconds, 1),
        log=tuple(_log(session)),
    )
    return report if spec.keep is None else keep(spec.keep, report, stages)


def _read(stage: Stage, on_step: Callable[[str], None]) -> ReadStage:
    if stage.core is None:
        return ReadStage(stage, None)
    on_step(f"reading the memory after: {stage.name}")
    return ReadStage(stage, open_scan(stage.core))


def _stage_report(one: ReadStage, first: ReadStage) -> StageReport:
    readings = one.stage.readings
    return StageReport(
        name=one.stage.name,
        mem_free=readings.mem_free,
        cpu_lists=readings.cpu_lists,
        unaccounted=one.unaccounted(first),
        pools=readings.pools,
        vmemmap=readings.vmemmap,
        hvo=readings.hvo,
        huge=readings.huge,
        optimized={str(size): count for size, count in one.optimized.items() if count},
        frames=one.frames,
        saved=None if one.scan is None else one.scan.savings.frames,
        errors=one.stage.errors,
        unread=one.stage.unread,
        file="",
    )


def _early_end(session: Session) -> Iterator[BootFinding]:
    """Yield the errors of a guest that ended early: its last messages are in the log of its console.

    One that ended before its program ran, and reported no bug and no bad page, may lack a driver or a root file system:
    nothing is known of its HVO then.
    """
    if not session.end:
        return
    after = session.stages[-1].name if session.stages else "the start of QEMU"
    errors = list(log_findings(after, (Message(0, 0.0, line) for line in session.log)))
    if session.stages or any(one.kind in {"bad-page", "kernel-bug"} for one in errors):
        yield BootFinding("early-end", "guest", after, 1, session.end)
        yield from errors


def _notes(
    session: Session, stages: list[ReadStage], spec: BootSpec, pairs: list[PairReport], mode: str
) -> Iterator[str]:
    """Yield sentences about what was not done or is unknown."""
    if spec.requested not in {None, mode}:
        yield f"--mode {spec.requested} was requested, and the kernel uses {mode}: {spec.mode.needs or _OPTIONS}"
    if not stages:
        silent = (
            "" if session.log else "; it printed nothing: the kernel needs a driver of the machine's serial console"
        )
        yield f"nothing is known of this kernel's HVO, as the plan did not begin: {session.end}{silent}"
    for one in stages:
        yield from (f"{one.stage.name}: {line}" for line in (*one.stage.errors, *(one.stage.done or ())))
        if one.stage.unread:
            yield f"{one.stage.name}: memory was not read: {one.stage.unread}"
    if stages and stages[0].stage.readings.hvo != 1:
        yield "HVO is off in this boot: the kernel keeps the vmemmap of all huge pages"
    missing = [
        size
        for size in spec.plan.sizes
        if stages and size not in {pool.size for pool in stages[0].stage.readings.pools}
    ]
    if missing:
        yield f"the kernel has no pool of {', '.join(map(format_short, missing))}"
    yield from _fewer(stages, spec.plan)
    for pair in pairs:
        for voice in pair.voices:
            if voice.why:
                yield f"{pair.after}: {voice.voice}: {voice.why}"


def _fewer(stages: list[ReadStage], plan: Plan) -> Iterator[str]:
    """Yield a sentence for each step that made fewer huge pages than it names."""
    for step, one in zip(plan.steps, stages[1:], strict=False):
        pools = {pool.size: pool.total for pool in one.stage.readings.pools}
        if step.operation.name == "resize" and pools.get(step.size or 0, step.count) < step.count:
            made = f"{pools[step.size or 0]} of {step.count} huge pages"
            yield f"{one.stage.name}: the kernel has memory in one piece for {made}: see --memory"


def _log(session: Session) -> Iterator[str]:
    """Yield the first error in the messages after each step, and the fault or the last lines of a guest that ended."""
    for stage in session.stages[1:]:
        messages = stage.readings.messages
        first = next((number for number, one in enumerate(messages) if is_error(one)), len(messages))
        yield from map(str, messages[first : first + _MESSAGES])
    if session.end:
        last = max(0, len(session.log) - _LOG)
        fatal = next((number for number, line in enumerate(session.log) if is_fatal(line)), last)
        yield from session.log[min(fatal, last) :][:_LOG]
