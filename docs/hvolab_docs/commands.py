# SPDX-License-Identifier: GPL-2.0-only
"""The reference of the command line, generated from the commands."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import typer

from hvolab.cli.app import build_app
from hvolab.cli.errors import ExitCode
from hvolab.scenario import OPERATIONS

from .markdown import code, plain, table

#: What typer says of the type of an option that takes no value; its releases differ.
_FLAG = re.compile(r" (<bool>|BOOLEAN)$")
_COMMENT = re.compile(r"^ +(\w+) = .*#: (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class CommandText:
    """Help of one command: the source of its section in the reference, and in the man page."""

    path: str
    usage: str
    #: Paragraphs of the help, each one line; a command that serves as example is a paragraph.
    paragraphs: tuple[str, ...]
    #: Names and meanings.
    arguments: tuple[tuple[str, str], ...]
    options: tuple[tuple[str, str], ...]


def texts() -> Iterator[CommandText]:
    """Yield the help of `hvolab` itself and of every command."""
    root = typer.main.get_command(build_app())
    yield _text(root, "hvolab")
    yield from _subcommands(root, "hvolab")


def is_example(paragraph: str) -> bool:
    """Return whether a paragraph of a help is a command."""
    return paragraph.startswith("hvolab ")


def commands() -> str:
    """Return a section for every command, with its arguments and options."""
    return "\n".join(line for text in texts() for line in _section(text))


def _subcommands(group: Any, path: str) -> Iterator[CommandText]:  # whose Group and Command differs between typers
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _subcommands(command, f"{path} {name}")
        else:
            yield _text(command, f"{path} {name}")


def _text(command: Any, path: str) -> CommandText:
    arguments = [parameter for parameter in command.params if parameter.param_type_name == "argument"]
    below = ["COMMAND [ARGS]..."] if hasattr(command, "commands") else map(_usage, arguments)
    return CommandText(
        path,
        " ".join([path, "[OPTIONS]", *below]),
        tuple(" ".join(paragraph.split()) for paragraph in command.help.split("\n\n")),
        tuple((_argument_name(argument), argument.help or "") for argument in arguments),
        tuple(_options(command, path)),
    )


def _options(command: Any, path: str) -> Iterator[tuple[str, str]]:
    context = command.make_context(path, [], resilient_parsing=True)
    for parameter in command.params:
        if parameter.param_type_name != "argument" and not parameter.hidden:
            names, text = parameter.get_help_record(context)
            # some releases of typer escape brackets for rich
            yield _FLAG.sub("", " ".join(names.split())), text.replace("\\[", "[")


def _section(text: CommandText) -> Iterator[str]:
    yield f"## {text.path}\n"
    yield f"```text\n{text.usage}\n```\n"
    yield "\n\n".join(f"```text\n{one}\n```" if is_example(one) else plain(one) for one in text.paragraphs) + "\n"
    for heading, rows in (("argument", text.arguments), ("option", text.options)):
        if rows:
            yield table((heading, "meaning"), [(code(name), plain(meaning)) for name, meaning in rows])


def _argument_name(argument: Any) -> str:
    return str(argument.metavar or argument.name.upper()).rstrip(".")


def _usage(argument: Any) -> str:
    name = _argument_name(argument)
    return (name if argument.required else f"[{name}]") + ("..." if argument.nargs == -1 else "")


def operations() -> str:
    """Return the table of the operations of `hvolab run --do`."""
    return table(("operation", "effect"), [(code(each.syntax), plain(each.help)) for each in OPERATIONS.values()])


def exit_code_meanings() -> list[tuple[str, str]]:
    """Return each exit code and its meaning, from the comments of the enumeration."""
    meanings = dict(_COMMENT.findall(inspect.getsource(ExitCode)))
    return [(f"{member.value}", meanings[member.name]) for member in ExitCode]


def exit_codes() -> str:
    """Return the table of exit codes."""
    return table(("code", "meaning"), [(number, plain(meaning)) for number, meaning in exit_code_meanings()])
