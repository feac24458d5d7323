"""The commands `hvolab inspect` and `hvolab replay`."""
