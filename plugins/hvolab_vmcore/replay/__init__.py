"""Replay: the engine repeats what a kernel did between two cores, and both results are compared."""
