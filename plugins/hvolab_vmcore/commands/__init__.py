"""Commands `hvolab inspect` and `hvolab replay`."""
