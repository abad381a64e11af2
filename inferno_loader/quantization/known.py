"""Families that are recognised and counted, and not yet loaded: signs as data. No torch.

Sources: the layouts of
compressed-tensors, GPTQModel, AutoAWQ, bitsandbytes, transformers, ModelOpt and HQQ.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from inferno_loader.errors import UnknownSchemeError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

    from inferno_loader.checkpoint import StoredTensor
    from inferno_loader.dtypes import Dtype
    from inferno_loader.quantization.family import QuantizedWeight
    from inferno_loader.quantization.settings import WeightArgs


@dataclass(frozen=True, slots=True)
class KnownFamily:
    """A family told by its suffixes.

    Attributes:
        scheme: Its word.
        main: Suffix of the tensor that holds the codes.
        dtype: Dtype of the codes, or None for any.
        signs: Suffixes of which one must be there too; none needed where empty.
        prefixes: Beginnings of the suffixes that keep books.
        same_width: Whether the codes have as many columns as ``scales``; None where that tells nothing.
    """

    scheme: str
    main: str
    dtype: str | None
    signs: tuple[str, ...]
    prefixes: tuple[str, ...]
    same_width: bool | None = None

    @property
    def schemes(self) -> tuple[str, ...]:
        """The one word."""
        return (self.scheme,)

    def scheme_of(self, parts: Mapping[str, StoredTensor]) -> str | None:
        """See `Family.scheme_of`."""
        main = parts.get(self.main)
        if main is None or (self.dtype and main.info.dtype.name != self.dtype):
            return None
        if self.same_width is not None and self.same_width != _same_width(main, parts.get("scales")):
            return None
        signed = not self.signs or any(suffix.startswith(sign) for sign in self.signs for suffix in parts)
        return self.scheme if signed else None

    def suffixes(self, parts: Mapping[str, StoredTensor]) -> frozenset[str]:
        """See `Family.suffixes`."""
        return frozenset(suffix for suffix in parts if suffix == self.main or suffix.startswith(self.prefixes))

    def plan(
        self,
        module: str,
        parts: Mapping[str, StoredTensor],
        shape: tuple[int, ...],  # noqa: ARG002
        args: WeightArgs | None,  # noqa: ARG002
        fallback: Dtype,  # noqa: ARG002
    ) -> QuantizedWeight:
        """Refuse: the layout is known, and this version does not load it."""
        raise UnknownSchemeError(
            f"the weights are quantized as {self.scheme}, which this version counts and does not load",
            path=parts[self.main].shard.path,
            tensor=parts[self.main].name,
            expected="dense weights, ct-int or ct-float",
            actual=f"{self.scheme} in {module}",
            remedy="load it with the library that wrote it, or dequantize it there",
        )

    def dequantize(
        self,
        weight: QuantizedWeight,
        tensors: Mapping[str, torch.Tensor],  # noqa: ARG002
        dtype: torch.dtype,  # noqa: ARG002
    ) -> torch.Tensor:
        """Never reached: `plan` refuses."""
        raise UnknownSchemeError(f"{weight.scheme} is not loaded by this version")


def _same_width(codes: StoredTensor, scales: StoredTensor | None) -> bool:
    """GPTQ packs along the rows of its transposed weight, AWQ along the columns."""
    return scales is None or codes.info.shape[-1:] == scales.info.shape[-1:]


KNOWN: tuple[KnownFamily, ...] = (
    KnownFamily("ct-nvfp4", "weight_packed", "U8", ("weight_global_scale",), ("weight_", "input_")),
    KnownFamily("ct-mxfp", "weight_packed", "U8", ("weight_scale",), ("weight_", "input_")),
    KnownFamily("ct-pack", "weight_packed", "I32", ("weight_scale",), ("weight_", "input_")),
    KnownFamily("ct-sparse", "compressed", None, ("bitmask",), ("shape", "bitmask", "row_offsets", "weight_")),
    KnownFamily("awq", "qweight", "I32", (), ("qzeros", "scales"), same_width=False),
    KnownFamily("gptq", "qweight", "I32", (), ("qzeros", "scales", "g_idx"), same_width=True),
    KnownFamily("bnb", "weight", "U8", ("weight.quant_state", "weight.absmax"), ("weight.",)),
    KnownFamily("bnb", "weight", "I8", ("SCB",), ("SCB", "weight_format")),
    KnownFamily("modelopt", "weight", "U8", ("weight_scale_2",), ("weight_scale", "input_scale")),
    KnownFamily("fp8-block", "weight", "F8_E4M3", ("weight_scale_inv",), ("weight_scale_inv", "activation_scale")),
    KnownFamily("hqq", "W_q", None, (), ("scale", "zero", "meta", "shape", "nbits", "axis", "group_size", "packing")),
    KnownFamily("quanto", "weight._data", None, (), ("weight._", "input_scale", "output_scale")),
)  # fmt: skip
