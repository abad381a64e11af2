"""The tensor types of ggml, as a table: how many elements a block has, and how many bytes. No torch.

Source: ``GGML_QUANT_SIZES`` of ``gguf-py/gguf/constants.py`` (release 0.19.0) and ``ggml/include/ggml.h``, both in
https://github.com/ggml-org/llama.cpp.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from inferno_loader.dtypes import DTYPES, Dtype

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class GgmlType:
    """One tensor type.

    Attributes:
        name: As ggml writes it.
        number: As a file has it.
        elements: Elements of a block, which lie in one row; 1 for a type without blocks.
        nbytes: Bytes of a block.
        dtype: That of the container where there are no blocks; else one of kind ``block``, of which an element is a
            byte.
    """

    name: str
    number: int
    elements: int
    nbytes: int
    dtype: Dtype

    def row_shape(self, columns: int) -> int:
        """The size of a row of `columns` elements in the dtype: elements without blocks, else bytes."""
        return columns if self.elements == 1 else columns // self.elements * self.nbytes

    def columns(self, size: int) -> int:
        """The elements of a row that has a `size` as `row_shape` gives it."""
        return size if self.elements == 1 else size // self.nbytes * self.elements


_PLAIN = {"F32": 0, "F16": 1, "I8": 24, "I16": 25, "I32": 26, "I64": 27, "F64": 28, "BF16": 30}
_BLOCKS = (
    ("Q4_0", 2, 32, 18), ("Q4_1", 3, 32, 20), ("Q5_0", 6, 32, 22), ("Q5_1", 7, 32, 24), ("Q8_0", 8, 32, 34),
    ("Q8_1", 9, 32, 40), ("Q2_K", 10, 256, 84), ("Q3_K", 11, 256, 110), ("Q4_K", 12, 256, 144), ("Q5_K", 13, 256, 176),
    ("Q6_K", 14, 256, 210), ("Q8_K", 15, 256, 292), ("IQ2_XXS", 16, 256, 66), ("IQ2_XS", 17, 256, 74),
    ("IQ3_XXS", 18, 256, 98), ("IQ1_S", 19, 256, 50), ("IQ4_NL", 20, 32, 18), ("IQ3_S", 21, 256, 110),
    ("IQ2_S", 22, 256, 82), ("IQ4_XS", 23, 256, 136), ("IQ1_M", 29, 256, 56), ("TQ1_0", 34, 256, 54),
    ("TQ2_0", 35, 256, 66), ("MXFP4", 39, 32, 17), ("NVFP4", 40, 64, 36), ("Q1_0", 41, 128, 18),
)  # fmt: skip

#: Types that releases of 2023 and 2024 wrote, and that ggml itself no longer reads.
REMOVED: Mapping[int, str] = MappingProxyType(
    {
        4: "Q4_2", 5: "Q4_3", 31: "Q4_0_4_4", 32: "Q4_0_4_8", 33: "Q4_0_8_8", 36: "IQ4_NL_4_4", 37: "IQ4_NL_4_8",
        38: "IQ4_NL_8_8",
    },
)  # fmt: skip

#: Every tensor type by its number in a file.
GGML_TYPES: Mapping[int, GgmlType] = MappingProxyType(
    {
        **{number: GgmlType(name, number, 1, DTYPES[name].bits // 8, DTYPES[name]) for name, number in _PLAIN.items()},
        **{
            number: GgmlType(name, number, elements, nbytes, Dtype(name, 8, "block", "uint8"))
            for name, number, elements, nbytes in _BLOCKS
        },
    },
)

#: The types with blocks, by name.
BLOCK_TYPES: Mapping[str, GgmlType] = MappingProxyType(
    {each.name: each for each in GGML_TYPES.values() if each.elements > 1},
)
