"""Planted loaders: one bug each in how blocks of GGUF become numbers, and rows of q and k."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from conformance.engine.claims import Level
from conformance.planted.right_gguf import RightGguf
from conformance.planted.right_names import halves

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

    from conformance.planted.right_gguf_blocks import Numbers, Octets


class GgufNibblesInTurn(RightGguf):
    """Elements are taken from low and high halves in turn, as other containers have them.

    The order of MXFP4 in safetensors was taken for that of ggml. F30, https://github.com/kekzl/imp/pull/567
    """

    name = "gguf-nibbles-in-turn"
    clause = "gguf.q4"
    level = Level.WEIGHTS

    def nibbles(self, octets: Octets) -> Numbers:
        """Element 2 j from the low half of byte j."""
        halved = super().nibbles(octets)
        return np.ascontiguousarray(halved.reshape(-1, 2, 16).swapaxes(1, 2)).reshape(-1, 32)


class GgufHighNibblesFirst(RightGguf):
    """The first half of a block is taken from the high halves of its bytes.

    bitsandbytes and HQQ store them so. Readers took the order of one family for another's before: F16,
    https://github.com/vllm-project/llm-compressor/pull/2440
    """

    name = "gguf-high-nibbles-first"
    clause = "gguf.q4"
    level = Level.WEIGHTS

    def nibbles(self, octets: Octets) -> Numbers:
        """High before low."""
        return np.roll(super().nibbles(octets), 16, axis=1)


class GgufOffsetForgotten(RightGguf):
    """Codes around zero are not brought there: every weight of Q4_0 is eight steps too large.

    Codes around zero are stored with half of their range added in other families too. F23,
    https://github.com/ModelCloud/GPTQModel/pull/2541
    """

    name = "gguf-offset-forgotten"
    clause = "gguf.q4"
    level = Level.WEIGHTS

    def around_zero(self, codes: Numbers, middle: int) -> Numbers:  # noqa: ARG002 - the bug
        """Forgets it."""
        return codes


class GgufMinimumForgotten(RightGguf):
    """The minimum of Q4_1 and Q5_1 is not added.

    Nearest among the real ones are zero points of asymmetric codes that were mangled. F15,
    https://github.com/ModelCloud/GPTQModel/issues/2350
    """

    name = "gguf-minimum-forgotten"
    clause = "gguf.q4"
    level = Level.WEIGHTS

    def raised(self, values: Numbers, least: Numbers) -> Numbers:  # noqa: ARG002 - the bug
        """Forgets it."""
        return values


class GgufFifthBitForgotten(RightGguf):
    """The fifth bits are passed over: half of the codes are sixteen too small.

    Nearest among the real ones are codes of three bits that lie in pieces, and were taken for whole. F27,
    https://github.com/ModelCloud/GPTQModel/pull/2763
    """

    name = "gguf-fifth-bit-forgotten"
    clause = "gguf.q5"
    level = Level.WEIGHTS

    def fifth(self, word: Octets) -> Numbers:
        """None is set."""
        return np.zeros_like(super().fifth(word))


class GgufFifthBitsInTurn(RightGguf):
    """The fifth bits are taken in the order of the bytes of codes: bit 2 j for element j.

    Nearest among the real ones are codes of odd widths, read in the order of another release. F20,
    https://github.com/vllm-project/compressed-tensors/pull/732
    """

    name = "gguf-fifth-bits-in-turn"
    clause = "gguf.q5"
    level = Level.WEIGHTS

    def fifth(self, word: Octets) -> Numbers:
        """In another order."""
        bits = super().fifth(word)
        return np.ascontiguousarray(bits.reshape(-1, 16, 2).swapaxes(1, 2)).reshape(-1, 32)


class GgufBytesWithoutSign(RightGguf):
    """The bytes of Q8_0 and the scales of Q6_K are read without their sign.

    Signed codes and codes around zero were taken for each other, the other way round. F23,
    https://github.com/ModelCloud/GPTQModel/pull/2541
    """

    name = "gguf-bytes-without-sign"
    clause = "gguf.q8"
    level = Level.WEIGHTS

    def signed(self, octets: Octets) -> Numbers:
        """All positive."""
        return octets.astype(np.float32)


class GgufScalesInOnePiece(RightGguf):
    """Each of the eight scales of a super-block is taken for the low six bits of a byte of its own.

    Of the last four the two high bits lie elsewhere, as those of zero points of three bits do. F27,
    https://github.com/ModelCloud/GPTQModel/pull/2258
    """

    name = "gguf-scales-in-one-piece"
    clause = "gguf.super-blocks"
    level = Level.WEIGHTS

    def six_bits(self, packed: Octets, j: int) -> tuple[Octets, Octets]:
        """Without the pieces."""
        scale, less = super().six_bits(packed, j)
        return (scale, less) if j < 4 else (scale & 15, less & 15)  # noqa: PLR2004 - the first four are whole


class GgufMinimaAdded(RightGguf):
    """The minimum of a sub-block is added, as that of Q4_1 is, and not taken away.

    Nearest among the real ones are zero points that were read by the convention of another version. F13,
    https://github.com/vllm-project/vllm/pull/26092
    """

    name = "gguf-minima-added"
    clause = "gguf.super-blocks"
    level = Level.WEIGHTS

    def lowered(self, values: Numbers, less: Numbers) -> Numbers:
        """Raises."""
        return values + less


class GgufSubBlocksOfSixteen(RightGguf):
    """Of a super-block the low halves of each sixteen bytes are taken before the high ones, as in the small blocks.

    The halves of one layout were taken for those of another between containers, too. F30,
    https://github.com/kekzl/imp/pull/567
    """

    name = "gguf-sub-blocks-of-sixteen"
    clause = "gguf.super-blocks"
    level = Level.WEIGHTS

    def sub_nibbles(self, octets: Octets, j: int) -> Octets:
        """By the order of another type."""
        row = octets[:, 16 * j : 16 * j + 16]
        return np.concatenate([row & 15, row >> 4], axis=1)


class GgufSixthBitsInTurn(RightGguf):
    """The two high bits of Q6_K are taken from the four elements of a byte in turn.

    The order within a byte was taken from another layout for codes of four bits, too. F16,
    https://github.com/vllm-project/vllm/pull/48552
    """

    name = "gguf-sixth-bits-in-turn"
    clause = "gguf.super-blocks"
    level = Level.WEIGHTS

    def six(self, blocks: Octets, i: int) -> Octets:
        """Byte (i + l) / 4 for element l."""
        places = i % 128 + np.arange(16)
        row = blocks[:, 128 + 32 * (i // 128) :]
        high = row[:, places // 4] >> (2 * (places % 4)).astype(np.uint8) & 3
        return super().six(blocks, i) & 15 | high << 4


class GgufScaleFirst(RightGguf):
    """The scale of a block of Q6_K is looked for at its head, where that of every other type is.

    Nearest among the real ones is a view that began at a wrong byte. D07,
    https://github.com/tinygrad/tinygrad/pull/3532
    """

    name = "gguf-scale-first"
    clause = "gguf.super-blocks"
    level = Level.WEIGHTS

    def block_scale(self, blocks: Octets) -> Numbers:
        """At the head."""
        return np.nan_to_num(self.half(blocks, 0))


class GgufRowsAsStored(RightGguf):
    """The rows of q and k are left in pairs: every head is turned wrong, and no shape says so.

    C06, https://github.com/karpathy/llama2.c/pull/286
    """

    name = "gguf-rows-as-stored"
    clause = "gguf.rows"
    level = Level.WEIGHTS

    def put_back(self, rows: torch.Tensor, figures: Mapping[str, int], *, of_keys: bool) -> torch.Tensor:  # noqa: ARG002 - the bug
        """Leaves them."""
        return rows


class GgufKeysByQueryHeads(RightGguf):
    """The rows of k are put back as if it had as many heads as q.

    C04, https://github.com/huggingface/transformers/pull/31788
    """

    name = "gguf-keys-by-query-heads"
    clause = "gguf.rows"
    level = Level.WEIGHTS

    def put_back(self, rows: torch.Tensor, figures: Mapping[str, int], *, of_keys: bool) -> torch.Tensor:
        """Cuts k into narrower heads, where that is possible."""
        wide = len(rows) // figures["heads"]
        return (
            halves(rows, wide)
            if of_keys and wide % 2 == 0 and len(rows) % wide == 0
            else super().put_back(rows, figures, of_keys=of_keys)
        )


class GgufBiasesAsStored(RightGguf):
    """The biases of q and k are left in pairs; their weights are put back.

    Nearest among the real ones are rows that were left so altogether. C06,
    https://github.com/pytorch/torchtitan/pull/1441
    """

    name = "gguf-biases-as-stored"
    clause = "gguf.rows"
    level = Level.WEIGHTS

    def put_back(self, rows: torch.Tensor, figures: Mapping[str, int], *, of_keys: bool) -> torch.Tensor:
        """Looks at matrices only."""
        return rows if rows.dim() == 1 else super().put_back(rows, figures, of_keys=of_keys)
