"""Mutation testing of the half of ``inferno_loader`` that looks: are its unit tests able to fail?

mutmut makes the mutants, a function at a time, and the trampolines that switch one on. The tests are run here,
collected once, in a fork for each mutant: mutmut hands the names of tests to pytest on a command line, where names with
brackets and control characters get lost, and has them collected anew each time.
"""

from __future__ import annotations
