# SPDX-License-Identifier: GPL-2.0-only
"""Files of the makedumpfile that is installed, of every compression and level: read, and equal to their ELF core."""

from __future__ import annotations

import lzma
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from hvolab_vmcore.commands.report_data import scan_data
from hvolab_vmcore.scan.releases import open_scan
from hvolab_vmcore.scan.scan import Verdict

SOURCE = Path(__file__).with_name("made_dumps") / "source.core.xz"
#: The first one in PATH, or in the folders of the system, which a test's environment may leave out.
TOOL = shutil.which("makedumpfile") or shutil.which("makedumpfile", path="/usr/sbin:/usr/bin:/sbin:/bin")
pytestmark = pytest.mark.skipif(TOOL is None, reason="makedumpfile is not installed: apt install makedumpfile")
#: Options of each compression, and the word of `makedumpfile -v` for it.
COMPRESSIONS = {"zlib": ("-c", ""), "lzo": ("-l", "lzo"), "snappy": ("-p", "snappy"), "zstd": ("-z", "zstd")}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("makedumpfile") / "source.core"
    path.write_bytes(lzma.decompress(SOURCE.read_bytes()))
    return path


def run(*arguments: str | Path) -> bytes:
    assert TOOL is not None
    return subprocess.run([TOOL, *map(str, arguments)], check=True, capture_output=True).stdout


def result_of(path: Path, *parts: Path) -> dict[str, object]:
    """Return what a dump shows, apart from its name, format and what its format cannot tell."""
    data = scan_data(open_scan(path, parts=parts))
    return {key: data[key] for key in ("kernel", "mode", "release", "pools", "huge_pages", "savings", "findings")}


@pytest.mark.slow
@pytest.mark.parametrize("level", ["0", "31"])
@pytest.mark.parametrize("compression", [*COMPRESSIONS, None])
def test_a_compressed_dump_shows_what_its_elf_core_shows(
    source: Path, tmp_path: Path, compression: str | None, level: str
) -> None:
    option, word = COMPRESSIONS[compression] if compression else ("", "")
    version = run("-v").decode()
    if word and not re.search(rf"^{word}\s+enabled", version, re.MULTILINE):
        pytest.skip(f"this makedumpfile is built without {word}: install one that is built with it")
    run(*filter(None, [option]), "-d", level, source, tmp_path / "a.kdump")
    assert result_of(tmp_path / "a.kdump") == result_of(source)


@pytest.mark.slow
def test_flattened_and_split_dumps_show_the_same(source: Path, tmp_path: Path) -> None:
    (tmp_path / "a.flat").write_bytes(run("-c", "-d", "0", "-F", source))
    assert result_of(tmp_path / "a.flat") == result_of(source)
    parts = [tmp_path / f"part{number}" for number in range(3)]
    run("-c", "-d", "0", "--split", source, *parts)
    assert result_of(parts[0], *parts[1:]) == result_of(source)


def test_an_elf_core_of_makedumpfile_shows_the_same_and_does_not_call_excluded_pages_zero(
    source: Path, tmp_path: Path
) -> None:
    run("-E", "-d", "0", source, tmp_path / "a.core")
    assert result_of(tmp_path / "a.core") == result_of(source)
    run("-E", "-d", "1", source, tmp_path / "b.core")  # without pages of zeros, some of which back the vmemmap
    excluded = open_scan(tmp_path / "b.core")
    assert excluded.verdict is Verdict.UNKNOWN
    assert scan_data(excluded)["huge_pages"] == scan_data(open_scan(source))["huge_pages"]
