"""Generators of checkpoints: synthetic, sharded, quantized, broken and twins of real ones.

Imported as ``conformance.tools``, from a checkout and from the wheel alike. The recipe, digest, encoder and forward
modules import no loader: they are the oracle, and an oracle that asked the loader would agree with it.
"""
