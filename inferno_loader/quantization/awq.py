"""AWQ as AutoAWQ writes it, gemm and gemv: unsigned integers of 4 bits.

gemm, transposed and packed along the columns: ``qweight`` I32 [I, O/8], ``qzeros`` I32 [G, O/8], ``scales`` [G, O].
Field i of a word, from the lowest bits on, holds column 8 j + (0, 2, 4, 6, 1, 3, 5, 7)[i].
gemv, as the weight lies: ``qweight`` I32 [O, I/8] in natural order, ``qzeros`` I32 [O, Z], ``scales`` [O, 8 Z], whose
first G columns count. ``w = (code - zero) * scale``, with no one added; without ``qzeros`` each zero is 8.

Source: https://github.com/casper-hansen/AutoAWQ ``awq/modules/linear`` and ``awq/utils/packing_utils.py``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from inferno_loader.problems import shape_mismatch
from inferno_loader.quantization.bits import unpack
from inferno_loader.quantization.ct_plain import is_exact, own_dtype
from inferno_loader.quantization.family import QuantizedWeight
from inferno_loader.quantization.parts import conflict, method_among, misfit, need, need_dtype, need_shape, unread
from inferno_loader.quantization.scaling import Grid, scaled

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

    from inferno_loader.checkpoint import StoredTensor
    from inferno_loader.dtypes import Dtype
    from inferno_loader.quantization.family import WeightArgs

_SUFFIXES = frozenset({"qweight", "qzeros", "scales"})
_BITS = 4
#: Codes in a word.
_FIELDS = 8
#: The field of a word that holds each of its eight columns: the inverse of 0, 2, 4, 6, 1, 3, 5, 7.
_FIELD_OF_COLUMN = (0, 4, 1, 5, 2, 6, 3, 7)
#: The zero of a symmetric weight.
_MIDDLE = 8


class _Packing(NamedTuple):
    """How the codes lie.

    Attributes:
        transposed: Whether it is gemm.
        group: Columns of the weight that share a scale.
        groups: How many there are.
    """

    transposed: bool
    group: int
    groups: int


class AwqFamily:
    """AWQ, gemm and gemv."""

    schemes: tuple[str, ...] = ("awq",)

    def scheme_of(self, parts: Mapping[str, StoredTensor]) -> str | None:
        """By ``qweight`` with another number of columns than ``scales``; GPTQ has been asked before."""
        codes = parts.get("qweight")
        return "awq" if codes and codes.info.dtype.name in ("I32", "I16") else None

    def suffixes(self, parts: Mapping[str, StoredTensor]) -> frozenset[str]:
        """Codes, zeros and scales."""
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
        codes = parts["qweight"]
        scales = need(parts, "scales", codes)
        method_among(codes, args, "awq")
        _check_format(codes, args)
        need_dtype(scales, "F16", "BF16", "F32")
        rows, columns = shape
        packing = _packing(codes, scales, (rows, columns), args)
        if zeros := parts.get("qzeros"):
            need_dtype(zeros, "I32")
            packed = scales.info.shape[1] // _FIELDS
            need_shape(zeros, (scales.info.shape[0], packed))
        elif args is not None and args.symmetric is False:
            need(parts, "qzeros", codes)
        return QuantizedWeight(
            self,
            module,
            "awq",
            shape,
            own_dtype(scales, fallback),
            {suffix: parts[suffix] for suffix in sorted(self.suffixes(parts))},
            packing,
            exact=is_exact(scales),
            unpacked_bytes=4,
        )

    def dequantize(
        self, weight: QuantizedWeight, tensors: Mapping[str, torch.Tensor], dtype: torch.dtype
    ) -> torch.Tensor:
        """See `Family.dequantize`."""
        packing: _Packing = weight.layout
        rows, columns = weight.shape
        words, zeros, scales = tensors["qweight"], tensors.get("qzeros"), tensors["scales"]
        grid = Grid((rows, columns), (1, packing.group))
        if packing.transposed:

            def codes(first: int, last: int) -> torch.Tensor:
                return _columns(words[:, first // _FIELDS : -(-last // _FIELDS)]).T[: last - first]

            zero_point = _MIDDLE if zeros is None else _columns(zeros).T
            return scaled(codes, grid, scales.T, dtype, zero_point=zero_point, unit=_FIELDS)

        def natural(first: int, last: int) -> torch.Tensor:
            return unpack(words[first:last], _BITS, columns)

        zero_point = _MIDDLE if zeros is None else unpack(zeros, _BITS, packing.groups)
        return scaled(natural, grid, scales[:, : packing.groups], dtype, zero_point=zero_point)


def _columns(words: torch.Tensor) -> torch.Tensor:
    """Codes of interleaved words, int32 [rows, n] to uint8 [rows, 8 n], in the order of the columns."""
    fields = unpack(words, _BITS, words.shape[1] * _FIELDS).view(len(words), -1, _FIELDS)
    return fields[..., list(_FIELD_OF_COLUMN)].flatten(1)


def _check_format(codes: StoredTensor, args: WeightArgs | None) -> None:
    told = args.format if args else None
    if codes.info.dtype.name != "I32" or told not in (None, "gemm", "gemv"):
        raise unread(codes, "I32 words of the formats gemm and gemv", f"{codes.info.dtype}, {told or 'no format told'}")
    if args and args.bits not in (None, _BITS):
        raise unread(codes, f"codes of {_BITS} bits", args.bits)


def _packing(codes: StoredTensor, scales: StoredTensor, shape: tuple[int, int], args: WeightArgs | None) -> _Packing:
    """Which of the two, by the shapes, and what shares a scale."""
    rows, columns = shape
    fitting = {"gemm": (columns, rows // _FIELDS), "gemv": (rows, columns // _FIELDS)}
    divisible = {"gemm": rows % _FIELDS == 0, "gemv": columns % _FIELDS == 0}
    told = args.format if args and args.format else None
    found = [name for name, wanted in fitting.items() if codes.info.shape == wanted and divisible[name]]
    found = [name for name in found if _scales_fit(name, scales, rows)] or found
    if not found:
        raise shape_mismatch(codes, fitting[told or "gemm"])
    if told and told not in found:
        raise conflict(codes, f"the format {told}, by the configuration", f"that of {found[0]}, by the shapes")
    name = told or found[0]
    if not _scales_fit(name, scales, rows):
        raise misfit(scales, f"[groups, {rows}]" if name == "gemm" else f"[{rows}, 8 words]", list(scales.info.shape))
    groups = scales.info.shape[0] if name == "gemm" else None
    size = args.group_size if args and args.group_size else None
    size = columns if size == -1 else size or (columns // groups if groups else None)
    if (
        not size
        or columns % size
        or (groups is not None and columns // size != groups)
        or (groups is None and columns // size > scales.info.shape[1])
    ):
        raise misfit(scales, f"groups of {size} for {columns} columns", list(scales.info.shape))
    return _Packing(name == "gemm", size, columns // size)


def _scales_fit(name: str, scales: StoredTensor, rows: int) -> bool:
    shape = scales.info.shape
    if len(shape) != 2:  # noqa: PLR2004 - a grid has two sides
        return False
    return shape[1] == rows if name == "gemm" else shape[0] == rows and shape[1] % _FIELDS == 0
