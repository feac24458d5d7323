"""A kernel's code: instructions, data flow, calls, bug table, stubs."""
