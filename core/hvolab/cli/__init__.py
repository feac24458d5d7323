"""The command line: what hvolab's own commands are, and how they say what they found."""

from __future__ import annotations
