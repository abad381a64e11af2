"""The blocks of ggml as numbers: for each type the scalar formula in float32. Imports torch when it computes.

Every product of a scale with small integers has at most 25 significant bits and every formula rounds at most once, so
the order of the factors does not matter, nor whether a machine fuses a product with a sum.
Source: ``dequantize_row_*`` in ``ggml/src/ggml-quants.c`` of https://github.com/ggml-org/llama.cpp, and
``gguf-py/gguf/quants.py`` there.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import torch

    Formula = Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]


def values_of(name: str, blocks: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The numbers in blocks of the type `name`, one of `FORMULAS`.

    Args:
        name: The type, as ggml writes it.
        blocks: uint8 [blocks, bytes of a block].

    Returns:
        float32 [blocks, elements], and the scales of the blocks, float32 [blocks, 1 or 2], which should be finite.
    """
    return FORMULAS[name](blocks)


def _halves(blocks: torch.Tensor, first: int, count: int = 1) -> torch.Tensor:
    """`count` numbers of float16 from the byte `first` on, as float32 [blocks, count]."""
    import torch  # noqa: PLC0415 - planning never imports it

    return blocks[:, first : first + 2 * count].contiguous().view(torch.float16).to(torch.float32)


def _nibbles(octets: torch.Tensor) -> torch.Tensor:
    """The low halves of all bytes, then the high ones: uint8 [blocks, 16] to [blocks, 32]."""
    import torch  # noqa: PLC0415

    return torch.cat([octets & 15, octets >> 4], dim=1)


def _fifth_bits(octets: torch.Tensor) -> torch.Tensor:
    """Bit j of a little-endian word of 32 bits, in place of the fifth bit of code j: [blocks, 4] to [blocks, 32]."""
    import torch  # noqa: PLC0415

    places = torch.arange(8, dtype=torch.uint8, device=octets.device)
    return (((octets[:, :, None] >> places) & 1) << 4).flatten(1)


def _q4_0(blocks: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    scale = _halves(blocks, 0)
    return _nibbles(blocks[:, 2:]).to(scale.dtype).sub_(8).mul_(scale), scale


def _q4_1(blocks: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    both = _halves(blocks, 0, 2)
    return _nibbles(blocks[:, 4:]).to(both.dtype).mul_(both[:, :1]).add_(both[:, 1:]), both


def _q5_0(blocks: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    scale, codes = _halves(blocks, 0), _nibbles(blocks[:, 6:]) | _fifth_bits(blocks[:, 2:6])
    return codes.to(scale.dtype).sub_(16).mul_(scale), scale


def _q5_1(blocks: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    both, codes = _halves(blocks, 0, 2), _nibbles(blocks[:, 8:]) | _fifth_bits(blocks[:, 4:8])
    return codes.to(both.dtype).mul_(both[:, :1]).add_(both[:, 1:]), both


def _q8_0(blocks: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    import torch  # noqa: PLC0415

    scale = _halves(blocks, 0)
    return blocks[:, 2:].contiguous().view(torch.int8).to(scale.dtype).mul_(scale), scale


def _sub_scales(packed: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Scales and minima of the eight sub-blocks, six bits each, out of twelve bytes: uint8 [blocks, 8], twice.

    The first four of both have a byte each; of the others the low halves share a byte, and their two high bits are the
    two high bits of the first four.
    """
    import torch  # noqa: PLC0415

    first, second, shared = packed[:, 0:4], packed[:, 4:8], packed[:, 8:12]
    scales = torch.cat([first & 63, (shared & 15) | ((first >> 6) << 4)], dim=1)
    minima = torch.cat([second & 63, (shared >> 4) | ((second >> 6) << 4)], dim=1)
    return scales, minima


def _with_minima(blocks: torch.Tensor, codes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Codes [blocks, 8, 32] with the scales and minima at the head of their block."""
    both = _halves(blocks, 0, 2)
    scales, minima = _sub_scales(blocks[:, 4:16])
    factor, less = both[:, :1] * scales, both[:, 1:] * minima
    return codes.to(both.dtype).mul_(factor[:, :, None]).sub_(less[:, :, None]).flatten(1), both


def _sub_nibbles(octets: torch.Tensor) -> torch.Tensor:
    """32 bytes hold two sub-blocks, the first in their low halves: uint8 [blocks, 128] to [blocks, 8, 32]."""
    import torch  # noqa: PLC0415

    pairs = octets.reshape(-1, 4, 32)
    return torch.stack([pairs & 15, pairs >> 4], dim=2).flatten(1, 2)


def _q4_k(blocks: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return _with_minima(blocks, _sub_nibbles(blocks[:, 16:]))


def _q5_k(blocks: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    import torch  # noqa: PLC0415

    places = torch.arange(8, dtype=torch.uint8, device=blocks.device)[None, :, None]
    fifth = ((blocks[:, None, 16:48] >> places) & 1) << 4
    return _with_minima(blocks, _sub_nibbles(blocks[:, 48:]) | fifth)


def _q6_k(blocks: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    import torch  # noqa: PLC0415

    low = blocks[:, :128].reshape(-1, 2, 2, 32)
    places = torch.arange(0, 8, 2, dtype=torch.uint8, device=blocks.device)[None, None, :, None]
    high = ((blocks[:, 128:192].reshape(-1, 2, 1, 32) >> places) & 3) << 4
    codes = (torch.cat([low & 15, low >> 4], dim=2) | high).reshape(-1, 16, 16)
    scale = _halves(blocks, 208)
    factor = scale * blocks[:, 192:208].contiguous().view(torch.int8)
    return codes.to(scale.dtype).sub_(32).mul_(factor[:, :, None]).flatten(1), scale


#: The types that are read, by the name that ggml gives them.
FORMULAS: Mapping[str, Formula] = MappingProxyType(
    {
        "Q4_0": _q4_0,
        "Q4_1": _q4_1,
        "Q5_0": _q5_0,
        "Q5_1": _q5_1,
        "Q8_0": _q8_0,
        "Q4_K": _q4_k,
        "Q5_K": _q5_k,
        "Q6_K": _q6_k,
    },
)
