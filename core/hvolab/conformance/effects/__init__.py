"""Comparison of instruction sequences, executed by a CPU, with their declared effects, evaluated in Python."""
