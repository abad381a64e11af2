"""What every quantization family provides, and what a planned quantized weight is. No torch at import."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

    from inferno_loader.checkpoint import StoredTensor
    from inferno_loader.dtypes import Dtype
    from inferno_loader.findings import Finding
    from inferno_loader.quantization.settings import WeightArgs


#: Elements that a family dequantizes at a time: bounds the float32 copy to 64 MiB.
STEP_ELEMENTS = 1 << 24


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
        block: Rows and columns that share one scale.
        findings: What is odd and allowed.
    """

    family: Family
    module: str
    scheme: str
    shape: tuple[int, ...]
    dtype: Dtype
    parts: Mapping[str, StoredTensor]
    block: tuple[int, int]
    findings: tuple[Finding, ...] = field(default=())


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
