"""Codes of a few bits, unpacked from the words that hold them. Imports torch when it unpacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

WORD = 32
#: By the bits of a code: how the codes of a byte come apart, first its halves, then theirs, until each has a byte.
_SPREADS = {
    4: ((4, 0x0F0F),),
    2: ((12, 0x000F000F), (6, 0x03030303)),
    1: ((28, 0x0000000F0000000F), (14, 0x0003000300030003), (7, 0x0101010101010101)),
}


def words_needed(count: int, bits: int, *, padded: bool = False) -> int:
    """The 32-bit words that hold `count` codes of `bits` bits.

    Args:
        count: How many codes.
        bits: Bits of a code, 1 to 8.
        padded: Whether each word holds whole codes only, and its top bits nothing; else codes straddle words.
    """
    if padded:
        return -(-count // (WORD // bits))
    return -(-count * bits // WORD)


def unpack(words: torch.Tensor, bits: int, count: int, *, padded: bool = False) -> torch.Tensor:
    """The codes of each row: a little-endian stream of bits, the lowest bits of the first word first.

    Args:
        words: int32 [rows, words].
        bits: Bits of a code, 1 to 8.
        count: Codes in a row; what the words hold beyond is cut off.
        padded: As in `words_needed`.

    Returns:
        uint8 [rows, count], each 0 to 2**bits - 1.
    """
    if WORD % bits == 0:
        return _unpack_even(words, bits)[:, :count]
    fields = _padded_fields(words, bits) if padded else _straddling_fields(words, bits)
    return fields[:, :count]


def _unpack_even(words: torch.Tensor, bits: int) -> torch.Tensor:
    """Codes that never cross a byte: 1, 2, 4 and 8 bits. Those of a byte are spread over as many bytes at once."""
    import torch  # noqa: PLC0415 - planning never imports it

    # Flattened first: one word a row, transposed, is contiguous by torch's account, and still no view of bytes.
    octets = words.contiguous().flatten().view(torch.uint8).view(len(words), words.shape[1] * words.element_size())
    if bits == 8:  # noqa: PLR2004 - a code a byte
        return octets
    spread = octets.to({4: torch.int16, 2: torch.int32, 1: torch.int64}[bits])
    for shift, mask in _SPREADS[bits]:
        spread = (spread << shift).bitwise_or_(spread).bitwise_and_(mask)
    return spread.view(torch.uint8)


def _padded_fields(words: torch.Tensor, bits: int) -> torch.Tensor:
    """Whole codes in each word. The shift of a signed word drags its sign along, which the mask takes away."""
    import torch  # noqa: PLC0415

    mask = (1 << bits) - 1
    shifts = range(0, WORD - bits + 1, bits)
    return torch.stack([((words >> shift) & mask).to(torch.uint8) for shift in shifts], dim=-1).flatten(1)


def _straddling_fields(words: torch.Tensor, bits: int) -> torch.Tensor:
    """32 codes in as many words as a code has bits."""
    import torch  # noqa: PLC0415

    rows, mask = len(words), (1 << bits) - 1
    short = -words.shape[1] % bits
    wide = torch.nn.functional.pad(words, (0, short)).to(torch.int64).bitwise_and_(0xFFFFFFFF).view(rows, -1, bits)
    fields = []
    for place in range(WORD):
        word, shift = divmod(place * bits, WORD)
        field = wide[..., word] >> shift
        if shift + bits > WORD:
            field = field | (wide[..., word + 1] << (WORD - shift))
        fields.append((field & mask).to(torch.uint8))
    return torch.stack(fields, dim=-1).flatten(1)


def nibbles(octets: torch.Tensor, *, low_first: bool) -> torch.Tensor:
    """Two codes a byte, uint8 [..., n] to [..., 2 n]."""
    import torch  # noqa: PLC0415

    wide = octets.to(torch.int16, memory_format=torch.contiguous_format)
    pairs = (wide << 4).bitwise_or_(wide) if low_first else (wide << 8).bitwise_or_(wide >> 4)
    return pairs.bitwise_and_(0x0F0F).view(torch.uint8)
