# SPDX-License-Identifier: GPL-2.0-only
"""Configuration of Sphinx: `tox run -e docs`. The build fetches nothing."""

from __future__ import annotations

import sys
from pathlib import Path

from hvolab import __version__

sys.path.insert(0, str(Path(__file__).parent))

project = "hvolab"
author = "the authors of hvolab"
project_copyright = "the authors of hvolab, GPL-2.0-only"
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.viewcode", "hvolab_docs.sphinx_extension"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["hvolab_docs"]
default_role = "code"
highlight_language = "text"
myst_heading_anchors = 3

autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_class_signature = "mixed"
autodoc_preserve_defaults = True
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
add_module_names = False
toc_object_entries_show_parents = "hide"

nitpicky = True
nitpick_ignore_regex = [
    # other projects' names: their inventories would have to be fetched
    (r"py:.*", r"(collections|contextlib|enum|npt|np|numpy|pathlib|pluggy|_pytest|pytest|typer|typing)\..*"),
    (r"py:class", r"EntryPoint|Path|Mapping\[int|tuple\[str"),
    # names of array types
    (
        r"py:class",
        r"NDArray|u?int64|uint8|bool_|Pfns|(hvolab\.arch\.entry\.)?Raw|(hvolab\.arch\.emulation\.)?_Selection",
    ),
]

html_theme = "furo"
html_title = f"hvolab {__version__}"
html_theme_options = {
    # the pictures of `hvolab run` need box-drawing characters that are as wide as letters
    "light_css_variables": {"font-stack--monospace": '"DejaVu Sans Mono", Menlo, Consolas, monospace'},
}
html_static_path = ["static"]
html_css_files = ["hvolab.css"]
html_copy_source = False
html_show_sphinx = False
