"""What every quantization family provides, and what a planned quantized weight is. No torch at import."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

    from inferno_loader.checkpoint import StoredTensor
    from inferno_loader.dtypes import Dtype
    from inferno_loader.findings import Finding

Strategy = Literal["tensor", "channel", "group", "block", "token", "tensor_group", "attn_head"]

#: Elements that a family dequantizes at a time: bounds a float32 copy to 16 MiB.
STEP_ELEMENTS = 1 << 22
_FLOAT32 = 4


@dataclass(frozen=True, slots=True)
class WeightArgs:
    """What the configuration says of one weight. None is silence.

    Attributes:
        method: ``quant_method`` of the block.
        bits: Bits of a code.
        type: ``int`` or ``float`` codes.
        strategy: How far one scale reaches.
        symmetric: Whether there is no zero point.
        group_size: Columns that share a scale, for the strategy ``group``; -1 for all of them.
        block: Rows and columns that share a scale, for the strategy ``block``.
        format: The word of the method for its layout: ``pack-quantized``, ``gptq_v2``, ``gemm``, ...
        version: The release of the library that wrote it, where that decides.
    """

    method: str = "compressed-tensors"
    bits: int | None = None
    type: Literal["int", "float"] | None = None
    strategy: Strategy | None = None
    symmetric: bool | None = None
    group_size: int | None = None
    block: tuple[int, int] | None = None
    format: str | None = None
    version: str | None = None


@dataclass(frozen=True, slots=True)
class QuantizedWeight:
    """One quantized weight, planned: every part is there and fits.

    Attributes:
        family: Who dequantizes it.
        module: The module, in Hugging Face names.
        scheme: The word of the family: ``ct-int``, ``ct-float``, ...
        shape: Logical shape of the dense weight, [out features, in features].
        dtype: Dtype of the dense weight where the caller asks for none.
        parts: The tensors that the arithmetic needs, by suffix.
        layout: What the family needs to know beside the parts, a class of its own.
        findings: What is odd and allowed.
        exact: Whether a result in `dtype` is computed in that dtype alone: it is that of the scales.
        unpacked_bytes: Bytes that a code takes on its way from the stored parts to the arithmetic.
    """

    family: Family
    module: str
    scheme: str
    shape: tuple[int, ...]
    dtype: Dtype
    parts: Mapping[str, StoredTensor]
    layout: Any
    findings: tuple[Finding, ...] = field(default=())
    exact: bool = False
    unpacked_bytes: int = 0

    def step_bytes(self, dtype: Dtype) -> int:
        """Memory that one step of the arithmetic takes beside what is stored and the result in `dtype`."""
        in_place = dtype.name == "F32" or (self.exact and dtype == self.dtype)
        return min(STEP_ELEMENTS, math.prod(self.shape)) * (self.unpacked_bytes + (0 if in_place else _FLOAT32))


class Family(Protocol):
    """One quantization family. A new one is one module, and one line in the registry."""

    @property
    def schemes(self) -> tuple[str, ...]:
        """The words of this family, as reports show them."""
        ...

    def scheme_of(self, parts: Mapping[str, StoredTensor]) -> str | None:
        """The word of this family for a module with these parts; None where it is not its layout."""
        ...

    def suffixes(self, parts: Mapping[str, StoredTensor]) -> frozenset[str]:
        """The suffixes among `parts` that make the weight: codes, scales, zero points, shapes."""
        ...

    def plan(
        self,
        module: str,
        parts: Mapping[str, StoredTensor],
        shape: tuple[int, ...],
        args: WeightArgs | None,
        fallback: Dtype,
    ) -> QuantizedWeight:
        """Plan the weight of `module`, which the model wants as `shape`.

        Args:
            module: Name in Hugging Face terms.
            parts: Its tensors by suffix.
            shape: Logical shape that the model expects.
            args: What the configuration says of the weight, None where it is silent.
            fallback: Dtype of the result where the scale is neither BF16 nor F16.

        Raises:
            QuantizationError: The parts do not fit together, or contradict `args`.
            ShapeMismatchError: The weight has another shape.
        """
        ...

    def dequantize(
        self, weight: QuantizedWeight, tensors: Mapping[str, torch.Tensor], dtype: torch.dtype
    ) -> torch.Tensor:
        """The dense weight: the formula of the format in float32, rounded once to `dtype`.

        Args:
            weight: As planned.
            tensors: The parts as stored, by suffix, on one device.
            dtype: Dtype of the result.
        """
        ...
