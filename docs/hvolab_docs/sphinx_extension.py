# SPDX-License-Identifier: GPL-2.0-only
"""The Sphinx extension: docstring hooks, and references to public names."""

from __future__ import annotations

import enum
import importlib
import re
from functools import cache
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

from .docstrings import as_rst
from .listings import with_captions
from .timelines import FOLDER, with_addresses
from .timelines import pages as timelines

#: How an array of any shape is written out; numpy's releases differ.
_SHAPE = r"~?(?:tuple\[~?(?:typing\.)?Any, \.\.\.\]|[\w.]+)"
_ARRAY = re.compile(rf"~?(?:numpy\.)?ndarray\[{_SHAPE}, ~?(?:numpy\.)?dtype\[~?(?:numpy\.)?(\w+)\]\]")

#: Packages and modules whose names are documented.
PUBLIC = (
    "arch",
    "conformance",
    "conformance.check",
    "conformance.subject",
    "errors",
    "hugetlb",
    "hvo",
    "invariants",
    "machine",
    "plugin",
    "plugin.hookspecs",
    "release",
    "scenario",
    "trace",
)


@cache
def public_names() -> dict[str, str]:
    """Map the place where each public object is defined to the place where it is documented."""
    names = {}
    for module_name in (f"hvolab.{name}" for name in PUBLIC):
        module = importlib.import_module(module_name)
        for name in getattr(module, "__all__", ()):
            defined = getattr(getattr(module, name), "__module__", None)
            if isinstance(defined, str) and defined.startswith("hvolab."):
                names[f"{defined}.{name}"] = f"{module_name}.{name}"
    return names


def _resolve(app: Sphinx, env: BuildEnvironment, node: pending_xref, content: nodes.TextElement) -> nodes.Node | None:
    """Resolve a reference to the place where an object is documented."""
    if node.get("refdomain") != "py":
        return None
    wanted = str(node["reftarget"])
    domain = env.domains.python_domain
    documented = public_names().get(wanted)
    if documented is None and "." not in wanted:  # imported for the type checker only: Sphinx sees the bare name
        having = [name for name in domain.objects if name.endswith(f".{wanted}")]
        documented = having[0] if len(having) == 1 else None
    if documented is None:
        return None
    return domain.resolve_xref(env, env.docname, app.builder, "obj", documented, node, content)


def _docstring(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    del app, what, name, obj, options
    lines[:] = as_rst(lines)


def _signature(
    app: Sphinx, what: str, name: str, obj: object, options: object, signature: str | None, returns: str | None
) -> tuple[str | None, str | None]:
    """Hide the arguments of a protocol, which is never constructed; shorten array types to their items."""
    del app, what, name, options
    if getattr(obj, "_is_protocol", False):
        return "", None
    return signature and _array(signature), returns and _array(returns)


def _array(text: str) -> str:
    return _ARRAY.sub(r"NDArray[\1]", text)


def _cells(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Make a character that fixed-width fonts lack as wide as a letter: pictures in listings depend on it."""
    del app, pagename, templatename, doctree
    if "body" in context:
        context["body"] = context["body"].replace("⋮", '<span class="cell">⋮</span>')


def _skip(app: Sphinx, what: str, name: str, obj: object, skip: bool, options: object) -> bool | None:  # noqa: FBT001 - Sphinx calls it so
    """Show members of an enumeration; hide fields of a dataclass, which its docstring describes."""
    del app, what, skip, options
    return False if isinstance(obj, enum.Enum) and not name.rpartition(".")[2].startswith("_") else None


def _source(app: Sphinx, docname: str, source: list[str]) -> None:
    del app, docname
    source[0] = with_addresses(with_captions(source[0]))


def _timelines(app: Sphinx, exception: Exception | None) -> None:
    """Write the timelines that pages embed: they are recorded here, so that they are those of this version."""
    if exception is None and app.builder.format == "html":
        folder = Path(app.outdir, FOLDER)
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in timelines().items():
            (folder / f"{name}.html").write_text(text, "utf-8")


def setup(app: Sphinx) -> dict[str, object]:
    """Register everything."""
    app.connect("autodoc-process-docstring", _docstring)
    app.connect("autodoc-process-signature", _signature)
    app.connect("autodoc-skip-member", _skip)
    app.connect("html-page-context", _cells)
    app.connect("missing-reference", _resolve)
    app.connect("source-read", _source)
    app.connect("build-finished", _timelines)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
