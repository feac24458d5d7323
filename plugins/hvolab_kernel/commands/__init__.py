"""The commands `hvolab image`, `hvolab disasm` and `hvolab kernel`."""
