"""A coverage-guided fuzzer of what the loader reads before any weight: header, index and configuration.

The engine is atheris, which is libFuzzer over the branches of Python (https://github.com/google/atheris). It is an
extra of its own; what mutates, judges and reports here needs only the standard library.
"""
