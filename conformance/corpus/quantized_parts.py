"""What the cases of quantized weights share: ways to quantize, and where their rules come from."""

from __future__ import annotations

from conformance.engine.case import Source
from conformance.tools.recipe import Quantization

FORMAT = "https://github.com/vllm-project/compressed-tensors"
INT, FLOAT = "quant:ct-int", "quant:ct-float"
W8A8 = Quantization("int8")
ASYMMETRIC = Quantization("int8", symmetric=False)
#: No size of the default recipe is a multiple of 32: the last blocks are smaller.
BLOCKS = Quantization("fp8", "block", block=(32, 32))
BLOCK_SIZE = Source(
    "The size of a block was taken for a quotient of shapes, and every scale behind the first block shifted.",
    "https://github.com/NVIDIA/TensorRT-Model-Connect/pull/1115",
    ("F01", "F34"),
)
