"""Weights in the blocks of ggml, as a quantization family. No torch at import.

The type of each tensor says all: there are no companions, and no configuration has a say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from inferno_loader.errors import InvalidScaleError
from inferno_loader.gguf.blocks import FORMULAS, values_of
from inferno_loader.gguf.types import BLOCK_TYPES
from inferno_loader.problems import shape_mismatch
from inferno_loader.quantization.family import QuantizedWeight
from inferno_loader.quantization.parts import unread
from inferno_loader.quantization.scaling import row_steps

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

    from inferno_loader.checkpoint import StoredTensor
    from inferno_loader.dtypes import Dtype
    from inferno_loader.gguf.types import GgmlType
    from inferno_loader.quantization.family import WeightArgs

#: Bytes that a code takes on its way: the codes, the parts that they are put together from, and a mask.
_ON_THE_WAY = 4


class GgufFamily:
    """The blocks of GGUF. The layout of a weight is its `GgmlType`."""

    schemes: tuple[str, ...] = ("gguf",)

    def scheme_of(self, parts: Mapping[str, StoredTensor]) -> str | None:
        """By the dtype of ``weight``, which no other container has."""
        weight = parts.get("weight")
        return "gguf" if weight and weight.info.dtype.kind == "block" else None

    def suffixes(self, parts: Mapping[str, StoredTensor]) -> frozenset[str]:
        """The blocks alone."""
        return frozenset({"weight"}) & parts.keys()

    def plan(
        self,
        module: str,
        parts: Mapping[str, StoredTensor],
        shape: tuple[int, ...],
        args: WeightArgs | None,  # noqa: ARG002 - the type of the tensor says all
        fallback: Dtype,
    ) -> QuantizedWeight:
        """See `Family.plan`.

        Raises:
            UnknownSchemeError: The type is one that is known by name, and not read.
        """
        weight = parts["weight"]
        kind = BLOCK_TYPES[weight.info.dtype.name]
        if kind.name not in FORMULAS:
            raise unread(weight, f"blocks of {', '.join(FORMULAS)}", f"blocks of {kind.name}")
        logical = (*weight.info.shape[:-1], kind.columns(weight.info.shape[-1])) if weight.info.shape else ()
        if logical != shape:
            raise shape_mismatch(weight, shape, logical)
        return QuantizedWeight(
            self, module, "gguf", shape, fallback, {"weight": weight}, kind, unpacked_bytes=_ON_THE_WAY
        )

    def dequantize(
        self, weight: QuantizedWeight, tensors: Mapping[str, torch.Tensor], dtype: torch.dtype
    ) -> torch.Tensor:
        """See `Family.dequantize`.

        Raises:
            InvalidScaleError: The scale of a block is NaN or infinite.
        """
        import torch  # noqa: PLC0415 - planning never imports it

        stored = tensors["weight"]
        result = torch.empty(weight.shape, dtype=dtype, device=stored.device)
        for first, last in row_steps(weight.shape):
            _decode(weight, stored[first:last], result[first:last])
        return result


def _decode(weight: QuantizedWeight, stored: torch.Tensor, result: torch.Tensor) -> None:
    """Fill `result` with the numbers of some rows. A call for each step: nothing of one is there in the next.

    Raises:
        InvalidScaleError: The scale of a block is NaN or infinite.
    """
    import torch  # noqa: PLC0415

    kind: GgmlType = weight.layout
    values, scales = values_of(kind.name, stored.reshape(-1, kind.nbytes))
    if not bool(torch.isfinite(scales).all()):
        raise _not_finite(weight, kind)
    result.copy_(values.view(result.shape))


def _not_finite(weight: QuantizedWeight, kind: GgmlType) -> InvalidScaleError:
    part = weight.parts["weight"]
    return InvalidScaleError(
        "the scale of a block is not finite",
        path=part.shard.path,
        tensor=part.name,
        expected=f"finite scales in the blocks of {kind.name}",
        actual="NaN or infinity",
        remedy="the quantization failed for this tensor, or the file is damaged: convert the model once more",
    )
