# SPDX-License-Identifier: GPL-2.0-only
"""Arguments of kbuild, and those that a compiler refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from hvolab_kernel.build.flags import flags_of
from hvolab_kernel.build.toolchain import BuildError, Compiler, compiler_for
from hvolab_kernel.build.tree import open_tree
from tests.plugins.hvolab_kernel.build.small_trees import MACHINE, make_tree, require_compiler, small_kernel

#: What clang writes about arguments that only gcc knows, and gcc about those of its next version.
REFUSALS = """gcc: error: unrecognized command-line option '-fmin-function-alignment=16'; did you mean '-flimit'?
error: unknown warning option '-Wno-of-the-future' [-Werror,-Wunknown-warning-option]
clang: error: unsupported argument 'bounds-strict' to option '-fsanitize='
clang: error: invalid value 'tp' in 'mstack-protector-guard-reg='
clang: warning: optimization flag '-fconserve-stack' is not supported
"""
REFUSED = "-fmin-function-alignment=16 -fsanitize=bounds-strict -mstack-protector-guard-reg=tp -fconserve-stack"


def test_arguments_are_those_of_kbuild_without_those_about_the_file(tmp_path: Path) -> None:
    require_compiler()
    kernel = small_kernel()
    tree = open_tree(kernel, make_tree(tmp_path / "linux", flags="-fof-the-future=3 -falign-loops=1"))
    flags = flags_of(tree, MACHINE, compiler_for(kernel, "gcc"))
    assert flags.arguments[:4] == ("-O2", "-Iinclude", "-include", "include/kconfig.h")
    assert "-falign-loops=1" in flags.arguments
    assert flags.dropped == ("-fof-the-future=3",)
    assert not any("MODNAME" in one or "-MMD" in one or one == "-c" for one in flags.arguments)
    assert not (tmp_path / "linux/hugetlb_vmemmap.o").exists()


@pytest.fixture
def strict(tmp_path: Path) -> Compiler:
    """A compiler that refuses arguments, as compilers word it."""
    path = tmp_path / "strict"
    checks = "".join(f'  case " $* " in *" {one} "*) bad=1;; esac\n' for one in REFUSED.split())
    path.write_text(f"#!/bin/sh\n{checks}[ -z $bad ] || {{ cat >&2 <<'END'\n{REFUSALS}END\nexit 1; }}\n")
    path.chmod(0o755)
    return Compiler(str(path), "strict 1.0")


def test_what_a_compiler_refuses_is_left_out_and_listed(tmp_path: Path, strict: Compiler) -> None:
    require_compiler()
    tree = open_tree(small_kernel(), make_tree(tmp_path / "linux", flags=f"{REFUSED} -falign-loops=1"))
    flags = flags_of(tree, MACHINE, strict)
    assert sorted(flags.dropped) == sorted(REFUSED.split())  # warnings are not worth a line
    assert "-falign-loops=1" in flags.arguments
    assert flags.arguments[-1] == "-fno-stack-protector"  # its guard would be elsewhere


def test_a_compiler_that_refuses_all_is_quoted(tmp_path: Path) -> None:
    require_compiler()
    path = tmp_path / "broken"
    path.write_text("#!/bin/sh\necho 'internal error' >&2; exit 1\n")
    path.chmod(0o755)
    tree = open_tree(small_kernel(), make_tree(tmp_path / "linux"))
    with pytest.raises(BuildError, match="refuses the arguments of kbuild:\ninternal error"):
        flags_of(tree, MACHINE, Compiler(str(path), ""))


def test_a_makefile_without_the_command_is_quoted(tmp_path: Path) -> None:
    require_compiler()
    tree = make_tree(tmp_path / "linux")
    (tree / "Makefile").write_text("$(error run make oldconfig first)\n")
    with pytest.raises(BuildError, match=r"(?s)does not print the command.*run make oldconfig first"):
        flags_of(open_tree(small_kernel(), tree), MACHINE, Compiler("gcc", ""))
