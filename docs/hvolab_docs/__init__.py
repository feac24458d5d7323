"""A small Sphinx extension: pages made from hvolab itself, and its docstrings as they are written.

Nothing in this package but `sphinx_extension` needs Sphinx; tests read what the others generate without it.
"""

from __future__ import annotations
