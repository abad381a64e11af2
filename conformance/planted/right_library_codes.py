"""The right loader for other libraries, first part: the arithmetic, from stored tensors to dense ones.

Sources: https://github.com/ModelCloud/GPTQModel (``nn_modules/qlinear/torch.py``),
https://github.com/casper-hansen/AutoAWQ (``awq/modules/linear``),
https://github.com/bitsandbytes-foundation/bitsandbytes (``functional.py``), https://github.com/pytorch/ao,
https://github.com/huggingface/optimum-quanto (``tensor``) and https://github.com/mobiusml/hqq (``hqq/core``).
"""

from __future__ import annotations

import torch

_WORD, _BYTE = 32, 8
_AWQ_BITS, _AWQ_MIDDLE = 4, 8
#: Codes of three bits that HQQ puts into a word.
_TEN = 10


class Formulas:
    """Turns codes into weights. Each method is one rule that a loader can get wrong alone."""

    def unsigned(self, words: torch.Tensor) -> torch.Tensor:
        """Words of 32 bits without their sign, int64."""
        return words.to(torch.int64) & 0xFFFFFFFF

    def fields(self, words: torch.Tensor, bits: int, count: int) -> torch.Tensor:
        """The codes of each row of unsigned words, from the lowest bit of the first on; they may straddle words."""
        places = torch.arange(count) * bits
        word, shift = places // _WORD, places % _WORD
        beyond = torch.cat([words[:, 1:], torch.zeros_like(words[:, :1])], dim=1)
        low = words[:, word] >> shift
        high = torch.where(shift + bits > _WORD, beyond[:, word] << (_WORD - shift), 0)
        return (low | high) & ((1 << bits) - 1)

    def gptq_codes(self, words: torch.Tensor, bits: int, columns: int) -> torch.Tensor:
        """Codes ``[out, in]``, which lie transposed."""
        return self.fields(self.unsigned(words).T, bits, columns)

    def gptq_zeros(self, words: torch.Tensor, bits: int, rows: int, version: int) -> torch.Tensor:
        """Zeros ``[out, groups]``; version 1 stores one less, in the bits of each field."""
        stored = self.fields(self.unsigned(words), bits, rows).T
        return self.one_more(stored, bits) if version == 1 else stored

    def one_more(self, stored: torch.Tensor, bits: int) -> torch.Tensor:
        """The largest code stands for zero."""
        return (stored + 1) % (1 << bits)

    def told_version(self, label: int, zeros: torch.Tensor, bits: int, *, symmetric: bool) -> int:
        """The version of GPTQ: where every zero must be the middle, the stored ones tell."""
        middle = 1 << (bits - 1)
        if symmetric and bool((zeros == middle).all()):
            return 2
        return 1 if symmetric and bool((zeros == middle - 1).all()) else label

    def gptq_groups(self, indices: torch.Tensor | None, columns: int, size: int) -> torch.Tensor:
        """The group of each input."""
        return torch.arange(columns) // size if indices is None else indices.to(torch.int64)

    def awq_fields(self, words: torch.Tensor) -> torch.Tensor:
        """The eight codes of each word in sequence, ``[rows, 8 * words]``."""
        return self.fields(self.unsigned(words), _AWQ_BITS, words.shape[1] * _WORD // _AWQ_BITS)

    def awq_order(self, fields: torch.Tensor) -> torch.Tensor:
        """Columns of gemm: first the fields of even columns, then those of odd ones."""
        halves = fields.reshape(len(fields), -1, 2, 4)
        return halves.transpose(2, 3).reshape(len(fields), -1)

    def awq_zero_order(self, fields: torch.Tensor) -> torch.Tensor:
        """Zeros of gemm lie as its codes do."""
        return self.awq_order(fields)

    def awq_zero(self, zeros: torch.Tensor | None, like: torch.Tensor) -> torch.Tensor:
        """The zeros as they are; without any, the middle."""
        return torch.full(like.shape, _AWQ_MIDDLE) if zeros is None else zeros

    def less_zero(self, codes: torch.Tensor, zeros: torch.Tensor) -> torch.Tensor:
        """Codes counted from their zeros, float32."""
        return (codes - zeros).to(torch.float32)

    def of_row(self, codes: torch.Tensor, largest: torch.Tensor) -> torch.Tensor:
        """LLM.int8: two products, from left to right."""
        return codes.to(torch.float32) * largest.reshape(-1, 1) * (1 / 127)

    def high_first(self, octets: torch.Tensor) -> torch.Tensor:
        """Two codes a byte, the first in the high bits."""
        return torch.stack([octets >> 4, octets & 15], dim=1).reshape(-1).to(torch.int64)

    def as_octets(self, stored: torch.Tensor) -> torch.Tensor:
        """The bytes of a tensor of any dtype."""
        return stored.contiguous().view(torch.uint8).reshape(-1)

    def entries(self, table: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
        """What codes stand for by the table that is stored."""
        return table[codes]

    def nested(self, entries: torch.Tensor, outer: torch.Tensor, block: int, offset: float) -> torch.Tensor:
        """Scales that are quantized: entry times the scale of its nested block, plus an offset."""
        return entries * outer.repeat_interleave(block)[: len(entries)] + offset

    def over_blocks(self, scales: torch.Tensor, block: int, shape: tuple[int, int]) -> torch.Tensor:
        """One scale for each element of a weight; blocks run over the flattened weight."""
        return scales.repeat_interleave(block)[: shape[0] * shape[1]].reshape(shape)

    def quanto_rows(self, octets: torch.Tensor, bits: int, rows: int) -> torch.Tensor:
        """Codes of the grouped weight: its first rows in the lowest bits."""
        parts = [octets >> shift & (1 << bits) - 1 for shift in range(0, _BYTE, bits)]
        return torch.cat(parts)[:rows]

    def shifted(self, codes: torch.Tensor, scale: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
        """By a shift: behind the scale where it is a float, before it where it is none; in the dtype of the scale."""
        if shift.is_floating_point():
            return codes.to(scale.dtype) * scale - shift
        return (codes.to(torch.int64) - shift.to(torch.int64)).to(scale.dtype) * scale

    def scaled(self, codes: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
        """Eight bits of quanto, in the dtype of the scale."""
        return codes.to(scale.dtype) * scale

    def hqq_rows(self, words: torch.Tensor, bits: int, rows: int) -> torch.Tensor:
        """Codes of the regrouped weight: its first rows in the highest bits."""
        count = _TEN if bits == 3 else _BYTE // bits  # noqa: PLR2004 - the packing of its own
        shifts = [bits * place for place in reversed(range(count))]
        return torch.cat([self.unsigned(words) >> shift & (1 << bits) - 1 for shift in shifts])[:rows]

    def hqq_value(self, codes: torch.Tensor, zero: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
        """The code less its zero, times the scale, step by step in their dtype."""
        return (codes.to(scale.dtype) - zero) * scale

    def rounded(self, values: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        """Each value rounded to the dtype that is owed."""
        return values.to(dtype)
