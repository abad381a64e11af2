"""The commands of ``python -m conformance``, one module each."""
