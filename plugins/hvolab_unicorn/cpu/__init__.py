"""Emulated CPUs: steps executed by one instance of unicorn, faults recorded as the architecture reports them."""
