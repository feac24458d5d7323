"""What `hvolab new` writes: a package to start from that installs, passes its tests and says what is made up."""

from __future__ import annotations

from hvolab.authoring.write import package_of, write_architecture

__all__ = ["package_of", "write_architecture"]
