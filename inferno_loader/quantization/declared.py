"""Weights that the configuration calls quantized and are not, or the other way round, and what stands beside them.

No torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from inferno_loader.architecture import EMBEDDING, HEAD
from inferno_loader.findings import Finding
from inferno_loader.quantization.parts import bytes_of
from inferno_loader.ranges import sample

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from inferno_loader.checkpoint import StoredTensor
    from inferno_loader.modules import Modules
    from inferno_loader.quantization.family import QuantizedWeight
    from inferno_loader.quantization.settings import QuantizationSettings
    from inferno_loader.resolve import ResolvedWeight

_MATRIX = 2
_UNDECLARED = "quant.undeclared"
#: Rows of a bias that is looked at: more has no layer.
_MOST_ROWS = 1 << 20


def undeclared(weight: QuantizedWeight, settings: QuantizationSettings | None) -> list[Finding]:
    """A finding where the configuration leaves a quantized weight dense, and its family has not said so."""
    # A sparse weight needs no group, and a GGUF file no configuration.
    told = weight.scheme == "gguf" or (settings is not None and settings.sparse and weight.scheme == "ct-sparse")
    told = told or (settings is not None and settings.args_for(weight.module) is not None)
    if told or any(finding.code == _UNDECLARED for finding in weight.findings):
        return []
    text = "the weight is quantized, and the configuration does not say so: taken by its tensors"
    return [Finding.warning(_UNDECLARED, text, tensor=f"{weight.module}.weight")]


def stored_dense(
    weights: Iterable[ResolvedWeight], settings: QuantizationSettings | None, path: Path | None
) -> list[Finding]:
    """A finding where the configuration calls weights quantized that the tensors show dense.

    Args:
        weights: All of the model.
        settings: What the configuration says.
        path: The configuration.
    """
    if settings is None:
        return []
    # But for compressed-tensors, no library quantizes the head unless it is asked to, and not all say so.
    left = (EMBEDDING,) if settings.method == "compressed-tensors" else (EMBEDDING, HEAD)
    linear = [each for each in weights if each.scheme == "none" and not each.alias_of and len(each.shape) == _MATRIX]
    dense = [weight.name for weight in linear if weight.name not in left and settings.args_for(weight.module)]
    if not dense:
        return []
    text = f"the configuration calls {len(dense)} weights quantized that are stored dense: {sample(dense, 3)}"
    return [Finding.warning("quant.dense", text, path=path)]


def quantized_biases(weights: Iterable[ResolvedWeight], modules: Modules) -> Iterator[StoredTensor]:
    """The stored biases beside quantized weights, one number for each row."""
    for weight in weights:
        bias = modules.parts.get(weight.module, {}).get("bias") if weight.scheme != "none" else None
        if bias is not None and bias.info.shape == weight.shape[:1]:
            yield bias


def is_zero(stored: StoredTensor) -> bool:
    """Whether every number of a bias is zero, of either sign.

    Raises:
        FileError: The file changed, or cannot be read.
    """
    if not stored.info.dtype.dense or stored.info.elements > _MOST_ROWS:
        return False
    size = stored.info.dtype.bits // 8
    data = bytes_of(stored)
    lowest = b"".join(data[place::size] for place in range(size - 1))
    return not any(lowest) and not any(data[size - 1 :: size].translate(None, b"\x80"))
