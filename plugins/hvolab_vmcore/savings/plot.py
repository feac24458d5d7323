# SPDX-License-Identifier: GPL-2.0-only
"""Plot of savings by memory, for a planning meeting; needs the extra `plot`."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from hvolab.errors import UsageError
from hvolab.units import format_size
from hvolab_vmcore.savings.savings import SavingsReport
from hvolab_vmlinux.errors import missing_library

_GIB: Final = 1 << 30
#: Kinds of files, by the ends of their names.
_FORMATS: Final = (".svg", ".png")
#: Memory on the axis, as a multiple of that in the report.
_STEPS: Final = (0.25, 0.5, 1, 2, 4)


def write_plot(report: SavingsReport, path: Path) -> None:
    """Write the savings of each size of huge page, for memory around that of the report; SVG or PNG by the name.

    Of the sizes of base pages only the report's own counts, or all where it has none.
    Raises UsageError for another name, a file that cannot be written, and where matplotlib is not installed.
    """
    if path.suffix not in _FORMATS:
        raise UsageError(f"the plot cannot be written as {path.name!r}", hint=f"name a file *{' or *'.join(_FORMATS)}")
    try:
        import matplotlib as mpl  # noqa: PLC0415 - optional
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError as error:
        raise missing_library("matplotlib", "plotting", extra="plot") from error
    rows = [row for row in report.plan if row.page_size == report.page_size] or list(report.plan)
    memory = [step * report.memory / _GIB for step in _STEPS]
    with mpl.rc_context({"svg.hashsalt": "hvolab", "svg.fonttype": "none"}):
        figure = Figure(figsize=(8, 4.5), layout="constrained")
        axes = figure.subplots()
        for row in rows:
            label = f"{format_size(row.size)} huge pages, {format_size(row.page_size)} base pages: {row.percent:.2f} %"
            axes.plot(memory, [one * row.percent / 100 for one in memory], marker="o", label=label)
        axes.axvline(report.memory / _GIB, color="gray", linestyle=":", label=f"{report.memory / _GIB:.0f} GiB")
        axes.set_xlabel("memory in huge pages, GiB")
        axes.set_ylabel("saved by HVO, GiB")
        axes.set_title(f"Memory that HVO saves, struct pages of {report.struct_page_size} bytes")
        axes.set_ylim(bottom=0)
        axes.grid(visible=True, alpha=0.3)
        axes.legend(fontsize="small")
        try:
            figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
        except OSError as error:
            raise UsageError(f"the plot cannot be written: {error.strerror}", where=str(path)) from error
