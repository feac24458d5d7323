# SPDX-License-Identifier: GPL-2.0-only
"""Objects: a file compiled with the arguments of kbuild, kept by the content of the file and of all it includes."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from hvolab.errors import UsageError
from hvolab.user_cache import cache_directory
from hvolab_kernel.build.flags import CompileFlags, flags_of
from hvolab_kernel.build.toolchain import BuildError, Compiler, compiler_for, run
from hvolab_kernel.build.tree import KernelTree
from hvolab_vmlinux.kernel import Kernel

#: Incremented whenever objects of the same file are compiled otherwise.
BUILDER_VERSION: Final = 1
#: A message of gcc or clang.
_PLACE: Final = re.compile(r"(\S+):\d+:\d+: (warning|error|note): ")
#: Objects and lists of arguments that are kept, those that were used last. An object has about a megabyte.
_MAX_ENTRIES: Final = 128


@dataclass(frozen=True)
class BuiltObject:
    """An object.

    path      the file
    source    the C file
    compiler  the first line of the compiler's `--version`
    dropped   arguments of kbuild that the compiler refuses
    messages  warnings of the compiler
    seconds   duration of the build
    cached    True if it was there
    """

    path: Path
    source: Path
    compiler: str
    dropped: tuple[str, ...]
    messages: str
    seconds: float
    cached: bool


class ObjectBuilder:
    """Builds objects for one image with one compiler.

    tree      the tree or headers
    compiler  the compiler
    """

    def __init__(self, kernel: Kernel, tree: KernelTree, compiler_name: str | None = None) -> None:
        """Choose the compiler; raises UsageError where there is none."""
        self.tree = tree
        self.compiler: Compiler = compiler_for(kernel, compiler_name)
        self._machine = kernel.image.machine
        self._typed = kernel.btf is not None
        self._folder = cache_directory() / "objects"

    def build(self, source: Path, *, name: str | None = None) -> BuiltObject:
        """Compile a file, or return the object that was built of the same content before.

        name  path of the file in WARN() and BUG(), where it is compiled elsewhere; by default relative to the tree

        Raises UsageError for a file that cannot be read, BuildError with the messages of the compiler.
        """
        begun = time.perf_counter()
        try:
            content = source.read_bytes()
        except OSError as error:
            raise UsageError(f"{source} cannot be read: {error}", hint="name a C file") from error
        flags = self._flags()
        arguments = [*flags.arguments, *self._extra(source.resolve(), name)]
        key = self._key(*arguments, str(source.resolve()), content.hex())
        folder = self._folder / key
        built = self._kept(folder, source)
        if built is None:
            built = self._compile(folder, source.resolve(), arguments, flags)
        return replace(built, source=source, seconds=time.perf_counter() - begun)

    def _key(self, *parts: str) -> str:
        version = f"{BUILDER_VERSION} {self.compiler.path} {self.compiler.version} {self.tree.objects} {self._typed}"
        return hashlib.sha256("\0".join((version, *parts)).encode()).hexdigest()[:32]

    def _flags(self) -> CompileFlags:
        """Return the arguments of kbuild; they are kept until the configuration changes."""
        configuration = self.tree.objects / "include/config/auto.conf"
        makefile = self.tree.source / "Makefile"
        stamps = [str(path.stat().st_mtime_ns) for path in (configuration, makefile) if path.exists()]
        path = self._folder / f"{self._key(self._machine, *stamps)}.flags"
        try:
            data = json.loads(path.read_text())
            os.utime(path)
            return CompileFlags(tuple(data["arguments"]), tuple(data["dropped"]))
        except (OSError, ValueError, KeyError):
            flags = flags_of(self.tree, self._machine, self.compiler)
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(path, asdict(flags))
        return flags

    def _extra(self, source: Path, name: str | None) -> list[str]:
        """Return the arguments about a file: its names, and where the private headers of mm/ are."""
        root = self.tree.source
        prefix = f"{root}/" if source.is_relative_to(root) else f"{source.parent}/"
        shown = name or str(source).removeprefix(prefix)
        stem = re.sub(r"\W", "_", source.stem)
        extra = [
            f"-fmacro-prefix-map={source}={shown}",
            f'-DKBUILD_MODFILE="mm/{source.stem}"',
            f'-DKBUILD_BASENAME="{stem}"',
            f'-DKBUILD_MODNAME="{stem}"',
        ]
        if self.tree.private is not None:
            extra += ["-iquote", str(self.tree.private)]
        if not self._typed:  # the object's types are those of the image then
            extra.append("-fno-eliminate-unused-debug-types")
        return extra

    def _compile(self, folder: Path, source: Path, arguments: Sequence[str], flags: CompileFlags) -> BuiltObject:
        partial = folder.with_name(f"{folder.name}.{os.getpid()}")
        partial.mkdir(parents=True, exist_ok=True)
        try:
            target, dependencies = partial / f"{source.stem}.o", partial / "dependencies"
            command = [self.compiler.path, *arguments, "-MMD", "-MF", str(dependencies), "-c", "-o", str(target)]
            done = run([*command, str(source)], cwd=str(self.tree.objects))
            if done.returncode:
                raise BuildError(
                    f"{Path(self.compiler.path).name} cannot compile {source.name}:\n{done.stderr.strip()}",
                    where=f"{self.compiler.version}, {self.tree.objects}",
                )
            self._add_types(target, flags)
            included = _included(dependencies, self.tree.objects)
            data = {"messages": _about(source, done.stderr), "dropped": flags.dropped, "included": included}
            _write(partial / "build.json", data)
            shutil.rmtree(folder, ignore_errors=True)
            try:
                partial.rename(folder)
            except OSError:
                if not (folder / "build.json").exists():
                    raise
                # another process has built the same meanwhile
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        self._prune()
        return self._built(folder, source, data, cached=False)

    def _add_types(self, target: Path, flags: CompileFlags) -> None:
        """Add BTF, derived from the DWARF, where the compiler writes none and pahole is installed."""
        pahole = shutil.which("pahole")
        if "-gbtf" in flags.dropped and pahole is not None:
            run([pahole, "-J", str(target)])

    def _kept(self, folder: Path, source: Path) -> BuiltObject | None:
        """Return the object in a folder if no file that it includes has changed."""
        try:
            data = json.loads((folder / "build.json").read_text())
            if all(_stamp(Path(path)) == stamp for path, stamp in data["included"].items()):
                os.utime(folder)  # it is in use
                return self._built(folder, source, data, cached=True)
        except (OSError, ValueError, KeyError):
            pass
        return None

    def _built(self, folder: Path, source: Path, data: Mapping[str, Any], *, cached: bool) -> BuiltObject:
        path, dropped = folder / f"{source.stem}.o", tuple(data["dropped"])
        return BuiltObject(path, source, self.compiler.version, dropped, data["messages"], 0.0, cached)

    def _prune(self) -> None:
        entries = sorted(self._folder.iterdir(), key=_last_used, reverse=True)
        for path in entries[_MAX_ENTRIES:]:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def copy_object(built: BuiltObject, path: Path) -> BuiltObject:
    """Copy an object to a path, and return it there; raises UsageError where that cannot be written."""
    try:
        shutil.copyfile(built.path, path)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error}", hint="name another file: --output") from error
    return replace(built, path=path)


def _last_used(path: Path) -> float:
    """Return the time of an entry's last use; 0 if another process has renamed or removed it meanwhile."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _write(path: Path, data: Mapping[str, Any]) -> None:
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    partial.write_text(json.dumps(data))
    partial.replace(path)


def _about(source: Path, messages: str) -> str:
    """Return the warnings about a file; a compiler of another kind than the configuration's warns about headers."""
    kept, about = [], False
    for line in messages.splitlines():
        place = _PLACE.match(line)
        if line.startswith("In file included"):
            about = False
        elif place is not None and place[2] != "note":
            about = place[1] == str(source)
        if about:
            kept.append(line)
    return "\n".join(kept)


def _included(dependencies: Path, folder: Path) -> dict[str, list[int]]:
    """Return size and time of each file in a rule that the compiler wrote, by its path."""
    names = dependencies.read_text().replace("\\\n", " ").partition(":")[2].split()
    paths = {str(folder / name) for name in names}
    return {path: _stamp(Path(path)) for path in sorted(paths)}


def _stamp(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]
