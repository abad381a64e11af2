"""Quantized weights: one module a family, told from the tensors and held against the configuration.

The modules plan without torch; only `dequantize` of a family imports it.
"""

from inferno_loader.quantization.family import Family, QuantizedWeight
from inferno_loader.quantization.registry import FAMILIES, SCHEMES, recognise

__all__ = ["FAMILIES", "SCHEMES", "Family", "QuantizedWeight", "recognise"]
