"""GPTQ as AutoGPTQ and GPTQModel write it: integers of 2, 3, 4 and 8 bits, transposed.

``qweight`` I32 [I * bits / 32, O] is a stream of bits down the rows; ``qzeros`` I32 [G, ceil(O * bits / 32)] one along
the columns; ``scales`` F16 or BF16 [G, O]; ``g_idx`` I32 [I] names the group of each row of the transposed weight, and
may be absent where groups follow each other. ``W.T[k, n] = scales[g, n] * (code - zero)``.

Version 1 stores each zero less one (a stored 15 is a zero of 0 again: the sum is masked, per field); version 2 stores
it as it is. Files that are labelled ``gptq`` and hold the zeros of version 2 exist: where ``sym`` makes every zero
2**(bits - 1), the zeros tell the version, and a label that says otherwise is reported.

Sources: https://github.com/ModelCloud/GPTQModel ``nn_modules/qlinear``;
https://github.com/vllm-project/vllm/issues/38966 (mislabelled), https://github.com/vllm-project/vllm/issues/26092.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from inferno_loader.findings import Finding
from inferno_loader.problems import shape_mismatch
from inferno_loader.quantization.bits import unpack, words_needed
from inferno_loader.quantization.ct_plain import is_exact, own_dtype
from inferno_loader.quantization.family import QuantizedWeight
from inferno_loader.quantization.parts import (
    bytes_of,
    conflict,
    method_among,
    misfit,
    need,
    need_dtype,
    need_shape,
    unread,
    values_of,
)
from inferno_loader.quantization.scaling import Grid, scaled

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

    from inferno_loader.checkpoint import StoredTensor
    from inferno_loader.dtypes import Dtype
    from inferno_loader.quantization.family import WeightArgs

_SUFFIXES = frozenset({"qweight", "qzeros", "scales", "g_idx"})
_BITS = (2, 3, 4, 8)
_FORMATS = {"gptq": 1, "gptq_v2": 2}


class _Packing(NamedTuple):
    """How the codes lie.

    Attributes:
        bits: Bits of a code.
        group: Rows of the transposed weight that share a scale, where they follow each other.
        version: 1 or 2: whether one is missing from each stored zero.
    """

    bits: int
    group: int
    version: int


class GptqFamily:
    """GPTQ, versions 1 and 2."""

    schemes: tuple[str, ...] = ("gptq",)

    def scheme_of(self, parts: Mapping[str, StoredTensor]) -> str | None:
        """By ``qweight`` with as many columns as ``scales``: gemm of AWQ packs along these.

        gemv may have as many by its padding, and then has as many rows: here a group never fills one word alone.
        """
        codes, scales = parts.get("qweight"), parts.get("scales")
        if codes is None or codes.info.dtype.name != "I32":
            return None
        if scales is None:
            return "gptq"
        alike = codes.info.shape == scales.info.shape and "g_idx" not in parts
        return "gptq" if codes.info.shape[-1:] == scales.info.shape[-1:] and not alike else None

    def suffixes(self, parts: Mapping[str, StoredTensor]) -> frozenset[str]:
        """Codes, zeros, scales and groups."""
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
        scales, zeros = need(parts, "scales", codes), need(parts, "qzeros", codes)
        method_among(codes, args, "gptq")
        need_dtype(scales, "F16", "BF16", "F32")
        need_dtype(zeros, "I32")
        rows, columns = shape
        bits = _bits(codes, (rows, columns), args)
        groups = _group_count(scales, rows)
        need_shape(zeros, (groups, words_needed(rows, bits)))
        size = _group_size(parts, columns, groups, args)
        version, findings = _version(module, zeros, rows, bits, args)
        return QuantizedWeight(
            self,
            module,
            "gptq",
            shape,
            own_dtype(scales, fallback),
            {suffix: parts[suffix] for suffix in sorted(self.suffixes(parts))},
            _Packing(bits, size, version),
            findings=findings,
            exact=is_exact(scales),
            unpacked_bytes=7 if "g_idx" in parts else 3,
        )

    def dequantize(
        self, weight: QuantizedWeight, tensors: Mapping[str, torch.Tensor], dtype: torch.dtype
    ) -> torch.Tensor:
        """See `Family.dequantize`."""
        import torch  # noqa: PLC0415 - planning never imports it

        packing: _Packing = weight.layout
        rows, columns = weight.shape
        words, mask = tensors["qweight"], (1 << packing.bits) - 1

        def codes(first: int, last: int) -> torch.Tensor:
            return unpack(words[:, first:last].T.contiguous(), packing.bits, columns)

        zeros = unpack(tensors["qzeros"], packing.bits, rows).to(torch.int16)
        if packing.version == 1:
            zeros = (zeros + 1) & mask
        grid = Grid((rows, columns), (1, packing.group), _groups(tensors.get("g_idx"), packing.group))
        scales = tensors["scales"].T
        return scaled(codes, grid, scales, dtype, zero_point=zeros.T)


def _groups(indices: torch.Tensor | None, size: int) -> torch.Tensor | None:
    """The group of each column; None where they follow each other, as they do unless columns were reordered."""
    import torch  # noqa: PLC0415

    if indices is None or torch.equal(indices.long(), torch.arange(len(indices), device=indices.device) // size):
        return None
    return indices.long()


def _bits(codes: StoredTensor, shape: tuple[int, int], args: WeightArgs | None) -> int:
    """Bits of a code: those that the configuration tells, held against the height of the words."""
    rows, columns = shape
    if len(codes.info.shape) != 2 or codes.info.shape[1] != rows:  # noqa: PLR2004 - words and columns
        raise misfit(codes, f"[words, {rows}]", list(codes.info.shape))
    if args and args.format not in (None, *_FORMATS):
        raise unread(codes, "the formats gptq and gptq_v2", args.format)
    height = codes.info.shape[0]
    fitting = [bits for bits in _BITS if columns * bits == height * 32]
    if args and args.bits and args.bits not in _BITS:
        raise unread(codes, f"codes of {', '.join(map(str, _BITS))} bits", args.bits)
    if not fitting:
        raise shape_mismatch(codes, (columns, rows))
    if args and args.bits and args.bits != fitting[0]:
        raise conflict(codes, f"codes of {args.bits} bits, by the configuration", f"{fitting[0]} bits, by the words")
    return fitting[0]


def _group_count(scales: StoredTensor, rows: int) -> int:
    if len(scales.info.shape) != 2 or scales.info.shape[1] != rows or not scales.info.shape[0]:  # noqa: PLR2004
        raise misfit(scales, f"[groups, {rows}]", list(scales.info.shape))
    return scales.info.shape[0]


def _group_size(parts: Mapping[str, StoredTensor], columns: int, groups: int, args: WeightArgs | None) -> int:
    """Columns of a group, where they follow each other; of the groups of ``g_idx``, each is there."""
    told = args.group_size if args and args.group_size else None
    size = columns if told == -1 else told or -(-columns // groups)
    if -(-columns // size) != groups:
        raise misfit(parts["scales"], f"{-(-columns // size)} groups of {size}", f"{groups} groups")
    if indices := parts.get("g_idx"):
        need_dtype(indices, "I32", "I64")
        need_shape(indices, (columns,))
        found = values_of(indices)
        if min(found) < 0 or max(found) >= groups:
            raise misfit(indices, f"groups 0 to {groups - 1}", f"{min(found)} to {max(found)}")
    return size


def _version(
    module: str, zeros: StoredTensor, rows: int, bits: int, args: WeightArgs | None
) -> tuple[int, tuple[Finding, ...]]:
    """The version that the zeros tell where they can, else the one that the configuration tells, else 1."""
    told = _FORMATS[args.format] if args and args.format else None
    if args is None or args.symmetric is not True:
        return told or 1, ()
    seen = _told_by_zeros(zeros, rows, bits)
    if seen is None or seen == (told or 1):
        return told or 1, ()
    text = f"the label says version {told or 1} of GPTQ, and the zeros are those of version {seen}: taken by the zeros"
    return seen, (Finding.warning("quant.gptq_version", text, tensor=f"{module}.qzeros"),)


def _told_by_zeros(zeros: StoredTensor, rows: int, bits: int) -> int | None:
    """2 where every zero is 2**(bits - 1), 1 where each is one less, None where they are neither."""
    words = zeros.info.shape[1]
    width = 4 * words
    data = bytes_of(zeros)
    for version, zero in ((1, (1 << (bits - 1)) - 1), (2, 1 << (bits - 1))):
        stream = sum(zero << (bits * place) for place in range(rows))
        if data == stream.to_bytes(width, "little") * zeros.info.shape[0]:
            return version
    return None
