# SPDX-License-Identifier: GPL-2.0-only
"""The reference of the command line, generated from the commands."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

import typer

from hvolab.cli.app import build_app
from hvolab.cli.errors import ExitCode
from hvolab.scenario import OPERATIONS

from .markdown import code, plain, table

#: What typer says of the type of an option that takes no value; its releases differ.
_FLAG = re.compile(r" (<bool>|BOOLEAN)$")
_COMMENT = re.compile(r"^ +(\w+) = .*#: (.+)$", re.MULTILINE)


def commands() -> str:
    """Return a section for every command, with its arguments and options."""
    root = typer.main.get_command(build_app())
    return "\n".join([*_section(root, "hvolab"), *_subcommands(root, "hvolab")])


def _subcommands(group: Any, path: str) -> Iterator[str]:  # whose Group and Command these are differs between typers
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _subcommands(command, f"{path} {name}")
        else:
            yield from _section(command, f"{path} {name}")


def _section(command: Any, path: str) -> Iterator[str]:
    arguments = [parameter for parameter in command.params if parameter.param_type_name == "argument"]
    below = ["COMMAND [ARGS]..."] if hasattr(command, "commands") else map(_usage, arguments)
    usage = " ".join([path, "[OPTIONS]", *below])
    yield f"## {path}\n"
    yield f"```text\n{usage}\n```\n"
    yield _prose(command.help)
    if arguments:
        yield table(
            ("argument", "meaning"),
            [(code(_argument_name(argument)), plain(argument.help or "")) for argument in arguments],
        )
    yield from _options(command, path)


def _options(command: Any, path: str) -> Iterator[str]:
    context = command.make_context(path, [], resilient_parsing=True)
    records = [
        parameter.get_help_record(context)
        for parameter in command.params
        if parameter.param_type_name != "argument" and not parameter.hidden
    ]
    # some releases of typer escape brackets for rich
    rows = [(code(_FLAG.sub("", " ".join(names.split()))), plain(text.replace("\\[", "["))) for names, text in records]
    if rows:
        yield table(("option", "meaning"), rows)


def _argument_name(argument: Any) -> str:
    return str(argument.metavar or argument.name.upper()).rstrip(".")


def _usage(argument: Any) -> str:
    name = _argument_name(argument)
    return (name if argument.required else f"[{name}]") + ("..." if argument.nargs == -1 else "")


def _prose(text: str) -> str:
    """Return a command's help; a paragraph that is a command becomes code."""
    paragraphs = (" ".join(paragraph.split()) for paragraph in text.split("\n\n"))
    return "\n\n".join(f"```text\n{one}\n```" if one.startswith("hvolab ") else plain(one) for one in paragraphs) + "\n"


def operations() -> str:
    """Return the table of the operations of `hvolab run --do`."""
    return table(("operation", "effect"), [(code(each.syntax), plain(each.help)) for each in OPERATIONS.values()])


def exit_codes() -> str:
    """Return the table of exit codes."""
    meanings = dict(_COMMENT.findall(inspect.getsource(ExitCode)))
    return table(("code", "meaning"), [(f"{member.value}", plain(meanings[member.name])) for member in ExitCode])
