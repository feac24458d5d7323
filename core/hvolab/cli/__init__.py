"""The command line `hvolab`: its commands, their options and their output."""

from __future__ import annotations
