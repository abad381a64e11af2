"""Which parts of a quantized weight move with the rows of q and k, where it is delivered as stored. No torch.

A part moves as whole rows where it has one for each output, and stays where the order of the outputs does not touch it:
a scale for all of them, or for blocks that hold whole heads. Where codes of several outputs share a word, a byte or a
group (GPTQ, AWQ gemm, HQQ, nf4, packed zero points), no order of whole rows is theirs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from inferno_loader.errors import QuantizationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from inferno_loader.names import RowPermutation
    from inferno_loader.quantization import QuantizedWeight

_PLAIN = frozenset({"weight", "weight_scale", "weight_zero_point"})
#: The parts of each scheme that have a row for each output, where they have as many rows as there are outputs.
_BY_ROW: Mapping[str, frozenset[str]] = {
    "ct-int": _PLAIN,
    "ct-float": _PLAIN,
    "ct-pack": frozenset({"weight_packed", "weight_scale", "weight_zero_point"}),
    "ct-nvfp4": frozenset({"weight_packed", "weight_scale"}),
    "ct-mxfp": frozenset({"weight", "weight_packed", "weight_scale"}),
    "ct-sparse": frozenset({"compressed", "bitmask", "weight_scale", "weight_zero_point"}),
    "fp8-block": frozenset({"weight", "weight_scale_inv"}),
    "modelopt": frozenset({"weight", "weight_scale"}),
    "torchao": frozenset({"_weight_qdata", "_weight_scale", "_weight_zero_point"}),
    "gguf": frozenset({"weight"}),
}
#: Parts that say something of all outputs, whatever their shape.
_OF_ALL = frozenset({"weight_shape", "weight_g_idx", "g_idx", "weight_format", "shape"})
#: Scales whose blocks may hold several rows.
_IN_BLOCKS = frozenset({"weight_scale", "weight_zero_point", "weight_scale_inv", "_weight_scale", "_weight_zero_point"})


def part_moves(weight: QuantizedWeight, suffix: str, rows: RowPermutation) -> bool:
    """Whether a part of `weight` moves with the rows.

    Args:
        weight: Of q or k.
        suffix: Of the part.
        rows: Its heads, and the rows of each.

    Raises:
        QuantizationError: The part follows the order of the outputs, but not in whole rows.
    """
    part = weight.parts[suffix]
    if suffix in _OF_ALL or part.info.elements == 1:
        return False
    if suffix in _IN_BLOCKS and part.info.shape[:1] != (rows.rows,) and _holds_heads(weight, rows):
        return False
    if suffix in _by_row(weight) and part.info.shape[:1] == (rows.rows,):
        return True
    raise QuantizationError(
        f"the {suffix} of q or k cannot change its row order as it is stored",
        path=part.shard.path,
        tensor=part.name,
        expected=f"{rows.rows} rows, one for each output",
        actual=f"{weight.scheme}, {part.info.dtype} {list(part.info.shape)}",
        remedy="dequantize the weight (dequantize=True), or keep the huggingface or inferno names",
    )


def _by_row(weight: QuantizedWeight) -> frozenset[str]:
    """Those of the schemes with several layouts depend on which one it is."""
    if weight.scheme == "awq" and not weight.layout.transposed:
        return frozenset({"qweight", "qzeros", "scales"})
    if weight.scheme == "bnb" and "SCB" in weight.parts:
        return frozenset({"weight", "SCB"})
    if weight.scheme == "quanto" and "weight._data" in weight.parts:
        return frozenset({"weight._data", "weight._scale"})
    return _BY_ROW.get(weight.scheme, frozenset())


def _holds_heads(weight: QuantizedWeight, rows: RowPermutation) -> bool:
    """Whether each block of scales holds whole heads: within a head, then, all rows have the same scales."""
    block = getattr(weight.layout, "block", weight.layout)
    height = block[0] if isinstance(block, tuple) and block else None
    return isinstance(height, int) and height % rows.head_dim == 0
