# SPDX-License-Identifier: GPL-2.0-only
"""Arguments with which kbuild compiles a built-in file of mm/, as the compiler accepts them.

`make -n` prints the command of a file in a folder of its own, without running it: nothing is written into the tree.
A compiler of another version or kind than the configuration's refuses some arguments. Those are left out, and listed.
"""

from __future__ import annotations

import re
import shlex
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hvolab_kernel.build.toolchain import ARCHITECTURES, BuildError, Compiler, debian_host, run
from hvolab_kernel.build.tree import KernelTree

_STEM: Final = "hugetlb_vmemmap"
#: Debugging information: DWARF has the lines, BTF the types that choose the variant and show other structs.
_DEBUGGING: Final = ("-g", "-gbtf")
#: Arguments about the file itself.
_OF_THE_FILE: Final = ("-Wp,-MMD,", "-Wp,-MD,", "-DKBUILD_MODFILE=", "-DKBUILD_BASENAME=", "-DKBUILD_MODNAME=")
_REFUSED: Final = re.compile(r"(?:error|warning): .*?'(-?[-\w]+(?:=[^']*)?)'(?: (?:in|to option) '(-?[-\w]+=)')?")
#: Without the place of the guard that the kernel has, code with a stack protector reads another one.
_GUARD, _NO_GUARD = "-mstack-protector-guard", "-fno-stack-protector"
#: A compiler that refuses arguments lists most of them at once.
_MAX_PROBES: Final = 12
_SHOWN: Final = 12


@dataclass(frozen=True)
class CompileFlags:
    """Arguments of a compiler for a file of the kernel.

    arguments  all but those about the file
    dropped    arguments of kbuild that the compiler refuses
    """

    arguments: tuple[str, ...]
    dropped: tuple[str, ...] = ()


def flags_of(tree: KernelTree, machine: str, compiler: Compiler) -> CompileFlags:
    """Return the arguments for a built-in file of a tree, for an ELF machine.

    Raises BuildError where kbuild prints no command, or the compiler refuses the arguments altogether.
    """
    return _accepted(tree, compiler, [*_listed(tree, machine, compiler), *_DEBUGGING])


def _listed(tree: KernelTree, machine: str, compiler: Compiler) -> list[str]:
    """Return the arguments in the command that `make -n` prints."""
    architecture = ARCHITECTURES[machine]
    with tempfile.TemporaryDirectory(prefix="hvolab-") as folder:
        Path(folder, f"{_STEM}.c").touch()
        # obj-y: as a built-in file, without -DMODULE
        Path(folder, "Kbuild").write_text(f"obj-y := {_STEM}.o\n")
        command = [*tree.make(), "-n", f"M={folder}", f"ARCH={architecture.arch}", f"CC={compiler.path}"]
        if not architecture.native:
            command.append(f"CROSS_COMPILE={architecture.triple}-")
        done = run([*command, f"DEB_BUILD_ARCH={debian_host()}", f"{_STEM}.o"])
    pattern = re.compile(rf"(?:^|;\s*){re.escape(compiler.path)} (-[^\n]*?) -c -o \S+ \S*{_STEM}\.c\b", re.MULTILINE)
    found = pattern.search(done.stdout)
    if found is None:
        raise BuildError(
            "kbuild does not print the command that compiles the file:\n"
            + "\n".join((done.stderr or done.stdout).strip().splitlines()[-_SHOWN:]),
            where=shlex.join(command),
            hint="prepare the tree: make olddefconfig modules_prepare",
        )
    return [one for one in shlex.split(found[1]) if not one.startswith(_OF_THE_FILE)]


def _accepted(tree: KernelTree, compiler: Compiler, arguments: Sequence[str]) -> CompileFlags:
    """Leave out the arguments that the compiler refuses for an empty file."""
    kept, dropped = list(arguments), list[str]()
    for _ in range(_MAX_PROBES):
        bare = [one for one, before in zip(kept, ["", *kept], strict=False) if "-include" not in (one, before)]
        probe = run([compiler.path, *bare, "-x", "c", "-c", "-o", "/dev/null", "/dev/null"], cwd=str(tree.objects))
        if not probe.returncode:
            guarded = not any(one.startswith(_GUARD) for one in dropped)
            shown = (one for one in dropped if not one.startswith("-W"))
            return CompileFlags((*kept, *(() if guarded else (_NO_GUARD,))), tuple(dict.fromkeys(shown)))
        refused = [one for one in kept if _is_refused(one, probe.stderr)]
        if not refused:
            break
        dropped += refused
        kept = [one for one in kept if one not in refused]
    raise BuildError(
        f"{compiler.path} refuses the arguments of kbuild:\n{probe.stderr.strip()}",
        where=str(tree.objects),
        hint="name a compiler of the version that the image was built with, or a newer clang: --cc COMMAND",
    )


def _is_refused(argument: str, messages: str) -> bool:
    for value, option in _REFUSED.findall(messages):
        if argument == value or (option and argument == f"-{option.lstrip('-')}{value}"):
            return True
    return False
