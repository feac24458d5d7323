# SPDX-License-Identifier: GPL-2.0-only
"""Examples in the help of every command, run in a folder that has the files that they name."""

from __future__ import annotations

import difflib
import itertools
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from hvolab.cli.app import build_app
from tests.kernel_images import command_for, images_directory
from tests.plugins.hvolab_kernel.commands.developer_files import NAME, developer_files

CAPTURES = Path(__file__).parents[1] / "captures" / "x86_64-6.12-4level"
CORES = {
    "vmcore": "1-optimised-2M.core.xz",
    "before.core": "0-boot.core.xz",
    "after.core": "1-optimised-2M.core.xz",
}
#: What a command cannot do without, and what to install.
NEEDED = {
    "conformance": ("pytest", "hypothesis"),
    "explore": ("greenlet",),
    **dict.fromkeys(("image", "disasm", "kernel", "build", "watch", "patch-test"), ("capstone", "unicorn", "lz4")),
    "report": ("jinja2", "perfetto"),
    "verify": ("capstone", "unicorn"),
}
#: Commands that take several seconds of the processor. Their own tests run them often enough: each week is enough here.
LONG = {"boot", "build", "conformance", "patch-test", "verify", "watch"}
#: Commands that take half a second or more.
SLOW = LONG | {"disasm", "explore", "image", "kernel", "report", "run", "savings", "torture"}
MARKS = {name: [pytest.mark.slow, pytest.mark.long][: 2 if name in LONG else 1] for name in SLOW}


def subcommands(group: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from subcommands(command, f"{name} ")
        else:
            yield path + name, command


def examples(command: Any) -> list[str]:
    """Return the paragraphs of a command's help that are commands."""
    paragraphs = [" ".join(paragraph.split()) for paragraph in command.help.split("\n\n")]
    return [paragraph for paragraph in paragraphs if paragraph.startswith("hvolab ")]


COMMANDS = dict(subcommands(typer.main.get_command(build_app())))
EXAMPLES = [
    pytest.param(example, id=example, marks=MARKS.get(name, []))
    for name, command in COMMANDS.items()
    for example in examples(command)
]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that has dumps."""
    for name, core in CORES.items():
        (tmp_path / name).symlink_to(CAPTURES / core)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def add_kernel(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Add an image, of which the user's cache has what was read."""
    monkeypatch.delenv("HVOLAB_CACHE_DIR", raising=False)
    image = images_directory() / f"{NAME}.image"
    if not image.exists():
        pytest.skip(f"there is no image: {command_for(NAME)}")
    (desk / "vmlinuz").symlink_to(image)


def add_tree(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Add headers, the file of the kernel, and a patch that changes a word of it."""
    files = developer_files(desk, monkeypatch)
    (desk / "vmlinuz").symlink_to(files.image)
    (desk / "linux-headers").symlink_to(files.headers)
    text = files.source.read_text()
    edited = text.replace("static int vmemmap_split_pmd(", "static noinline int vmemmap_split_pmd(", 1)
    before, after = (one.splitlines(keepends=True) for one in (text, edited))
    diff = difflib.unified_diff(before, after, "a/mm/hugetlb_vmemmap.c", "b/mm/hugetlb_vmemmap.c")
    (desk / "0001.patch").write_text(f"Subject: [PATCH] mm: an edit\n\n{''.join(diff)}")


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_each_command_ends_with_an_example_of_it(command: str) -> None:
    found = examples(COMMANDS[command])
    assert found
    assert all(example.startswith(f"hvolab {command}") for example in found)
    assert " ".join(COMMANDS[command].help.split()).endswith(found[-1])


@pytest.mark.parametrize("command", COMMANDS)
def test_the_options_of_each_example_exist(command: str) -> None:
    for example in examples(COMMANDS[command]):
        words = shlex.split(example)[1 + len(command.split()) :]
        assert COMMANDS[command].make_context(command, words).params


@pytest.mark.parametrize("example", EXAMPLES)
def test_each_example_runs(example: str, desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = shlex.split(example)[1:]
    for module in NEEDED.get(words[0], ()):
        pytest.importorskip(module, reason=f"{module} is not installed: pip install 'hvolab[test]'")
    if "linux-headers" in words:
        add_tree(desk, monkeypatch)
    elif "vmlinuz" in words:
        add_kernel(desk, monkeypatch)
    for trace in itertools.takewhile(lambda word: not word.startswith("-"), words[1:] if words[0] == "report" else ()):
        CliRunner().invoke(build_app(), ["run", "--memory", "256M", "--hugepages", "2M=1", "--trace", trace])
    if words[0] == "boot" and not (shutil.which("qemu-system-x86_64") and shutil.which("gcc")):
        pytest.skip("there is no QEMU or no compiler: apt-get install qemu-system-x86 gcc")
    if words[0] == "patch-test" and shutil.which("git") is None:
        pytest.skip("there is no git: apt-get install git")
    result = CliRunner().invoke(build_app(), words, prog_name="hvolab")
    assert result.exit_code == 0, result.output
    assert words[0] == "conformance" or result.stdout
