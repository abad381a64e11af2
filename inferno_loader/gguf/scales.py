"""The scales that stand in the blocks of ggml, looked at without decoding the blocks. No torch.

Source: the ``block_*`` structures in ``ggml/src/ggml-common.h`` of https://github.com/ggml-org/llama.cpp.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from inferno_loader.gguf.types import BLOCK_TYPES

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Where in a block of each type that is read its scale stands, and behind it its minimum: numbers of float16.
_PLACES: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {
        "Q4_0": (0,),
        "Q4_1": (0, 2),
        "Q5_0": (0,),
        "Q5_1": (0, 2),
        "Q8_0": (0,),
        "Q4_K": (0, 2),
        "Q5_K": (0, 2),
        "Q6_K": (208,),
    },
)
#: The higher byte of every float16 that is NaN or infinite: its five bits of exponent are ones, whatever the sign.
_FULL_EXPONENTS = bytes(octet for octet in range(256) if octet & 0x7C == 0x7C)  # noqa: PLR2004 - those five


def has_scales(dtype: str) -> bool:
    """Whether `dtype` is a type with blocks whose scales are known."""
    return dtype in _PLACES


def scales_in(dtype: str, nbytes: int) -> int:
    """How many scales and minima `nbytes` bytes of blocks hold."""
    return nbytes // BLOCK_TYPES[dtype].nbytes * len(_PLACES[dtype])


def count_not_finite(dtype: str, blocks: bytes) -> int:
    """How many scales and minima in whole blocks are NaN or infinite."""
    step = BLOCK_TYPES[dtype].nbytes
    higher = [blocks[place + 1 :: step] for place in _PLACES[dtype]]
    return sum(len(octets) - len(octets.translate(None, _FULL_EXPONENTS)) for octets in higher)
