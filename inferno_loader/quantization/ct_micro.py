"""compressed-tensors with scales of small formats: nvfp4-pack-quantized, mxfp4, mxfp6 and mxfp8.

====== ===================================== ============================== =========================================
layout codes                                 ``weight_scale``               value
====== ===================================== ============================== =========================================
nvfp4  ``weight_packed`` U8 [O, I/2], E2M1   F8_E4M3 [O, I/16]              code * (scale / ``weight_global_scale``)
mxfp4  ``weight_packed`` U8 [O, I/2], E2M1   U8 or F8_E8M0 [O, I/32]        code * 2**(scale - 127)
mxfp6  ``weight_packed`` U8 [O, 3I/4], E2M3  likewise                       likewise; four codes in three bytes
mxfp8  ``weight`` F8_E4M3 [O, I]             likewise                       likewise
====== ===================================== ============================== =========================================

The low nibble of a byte is the even column. ``weight_global_scale`` F32 [1] divides: it is what the scales were
multiplied by when they were written. Source: https://github.com/vllm-project/compressed-tensors,
``compressors/quantized_compressors/nvfp4_quantized.py`` and ``mxfp*`` (release 0.20.0); OCP MX 1.0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from inferno_loader.problems import shape_mismatch
from inferno_loader.quantization.bits import nibbles
from inferno_loader.quantization.family import QuantizedWeight
from inferno_loader.quantization.numbers import (
    LOOKED_UP_BYTES,
    e2m1_values,
    e2m3_values,
    e8m0_scales,
    fp8_values,
    looked_up,
)
from inferno_loader.quantization.parts import (
    check_finite,
    conflict,
    format_among,
    method_among,
    misfit,
    need,
    need_dtype,
    need_shape,
)
from inferno_loader.quantization.scaling import Grid, scaled

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

    from inferno_loader.checkpoint import StoredTensor
    from inferno_loader.dtypes import Dtype
    from inferno_loader.quantization.family import WeightArgs

_SUFFIXES = frozenset({"weight", "weight_packed", "weight_scale", "weight_global_scale"})
_EXPONENTS = ("U8", "F8_E8M0")


class _Layout(NamedTuple):
    """One of the four.

    Attributes:
        scheme: Its word.
        codes: The suffix of the codes.
        bits: Bits of a code.
        group: Columns that share a scale.
    """

    scheme: str
    codes: str
    bits: int
    group: int


_NVFP4 = _Layout("ct-nvfp4", "weight_packed", 4, 16)
_MX = {bits: _Layout("ct-mxfp", "weight" if bits == 8 else "weight_packed", bits, 32) for bits in (4, 6, 8)}  # noqa: PLR2004


class MicroFamily:
    """NVFP4 and the MX formats."""

    schemes: tuple[str, ...] = ("ct-nvfp4", "ct-mxfp")

    def scheme_of(self, parts: Mapping[str, StoredTensor]) -> str | None:
        """By packed bytes, or FP8, with scales that are FP8 below a global one, or exponents."""
        scale = parts.get("weight_scale")
        packed = parts.get("weight_packed")
        if packed and packed.info.dtype.name == "U8":
            nvidia = "weight_global_scale" in parts or (scale and scale.info.dtype.name == "F8_E4M3")
            return "ct-nvfp4" if nvidia else "ct-mxfp"
        weight = parts.get("weight")
        exponents = scale is not None and scale.info.dtype.name in _EXPONENTS
        return "ct-mxfp" if exponents and weight and weight.info.dtype.name == "F8_E4M3" else None

    def suffixes(self, parts: Mapping[str, StoredTensor]) -> frozenset[str]:
        """Codes and scales."""
        return _SUFFIXES & parts.keys()

    def plan(
        self,
        module: str,
        parts: Mapping[str, StoredTensor],
        shape: tuple[int, ...],
        args: WeightArgs | None,
        fallback: Dtype,
    ) -> QuantizedWeight:
        """See `Family.plan`."""
        codes = parts.get("weight_packed") or parts["weight"]
        scale = need(parts, "weight_scale", codes)
        method_among(codes, args, "compressed-tensors")
        rows, columns = shape
        layout = self._layout(codes, parts, (rows, columns))
        _check_told(codes, layout, args)
        need_dtype(scale, *(("F8_E4M3",) if layout is _NVFP4 else _EXPONENTS))
        if columns % layout.group:
            raise shape_mismatch(codes, shape)
        need_shape(scale, (rows, columns // layout.group))
        if layout is _NVFP4:
            globally = need(parts, "weight_global_scale", codes)
            need_dtype(globally, "F32")
            need_shape(globally, (1,), ())
        used = {suffix: parts[suffix] for suffix in sorted(self.suffixes(parts))}
        return QuantizedWeight(
            self, module, layout.scheme, shape, fallback, used, layout, unpacked_bytes=LOOKED_UP_BYTES + 2
        )

    def _layout(self, codes: StoredTensor, parts: Mapping[str, StoredTensor], shape: tuple[int, int]) -> _Layout:
        """Which one, by the width of the codes."""
        if self.scheme_of(parts) == "ct-nvfp4":
            fitting = [_NVFP4]
        else:
            fitting = [
                layout for layout in _MX.values() if (layout.codes == "weight") is ("weight_packed" not in parts)
            ]
        for layout in fitting:
            if codes.info.shape == (shape[0], shape[1] * layout.bits // 8):
                return layout
        wanted = " or ".join(str([shape[0], shape[1] * layout.bits // 8]) for layout in fitting)
        raise misfit(codes, wanted, list(codes.info.shape))

    def dequantize(
        self, weight: QuantizedWeight, tensors: Mapping[str, torch.Tensor], dtype: torch.dtype
    ) -> torch.Tensor:
        """See `Family.dequantize`."""
        import torch  # noqa: PLC0415 - planning never imports it

        layout: _Layout = weight.layout
        rows, columns = weight.shape
        stored = tensors[layout.codes].view(torch.uint8)

        def numbers(first: int, last: int) -> torch.Tensor:
            return _numbers(stored[first:last], layout.bits)

        if layout is _NVFP4:
            scale = tensors["weight_scale"].to(torch.float32) / tensors["weight_global_scale"].reshape(())
        else:
            scale = e8m0_scales(tensors["weight_scale"])
        check_finite(weight.parts["weight_scale"], scale)
        return scaled(numbers, Grid((rows, columns), (1, layout.group)), scale, dtype)


def _check_told(codes: StoredTensor, layout: _Layout, args: WeightArgs | None) -> None:
    """The configuration is silent, or tells of floats of as many bits, in the format of this layout."""
    if args is None:
        return
    packed = "quantized" if layout.bits == 8 else "pack-quantized"  # noqa: PLR2004 - one code a byte
    format_among(codes, args, f"nvfp4-{packed}" if layout is _NVFP4 else f"mxfp{layout.bits}-{packed}")
    if args.type == "int" or args.bits not in (None, layout.bits):
        told = f"{args.type or 'any'} codes of {args.bits} bits, by the configuration"
        raise conflict(codes, told, f"float codes of {layout.bits} bits")


def _numbers(octets: torch.Tensor, bits: int) -> torch.Tensor:
    """The values of packed codes, float32 [rows, columns]."""
    import torch  # noqa: PLC0415

    if bits == 4:  # noqa: PLR2004 - E2M1
        return looked_up(nibbles(octets, low_first=True), e2m1_values())
    if bits == 8:  # noqa: PLR2004 - E4M3
        return looked_up(octets, fp8_values(torch.float8_e4m3fn))
    three = octets.view(len(octets), -1, 3).to(torch.int32)
    word = three[..., 0] | three[..., 1] << 8 | three[..., 2] << 16
    codes = torch.stack([(word >> shift) & 63 for shift in (0, 6, 12, 18)], dim=-1)
    return looked_up(codes.flatten(1), e2m3_values())
