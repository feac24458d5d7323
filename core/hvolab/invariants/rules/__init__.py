"""The invariants, one a module: ``INVARIANT``, what checks it, and a docstring that is its documentation.

A new module is found by itself (:mod:`hvolab.invariants.registry`). Its docstring begins with the rule in a sentence.
"""
