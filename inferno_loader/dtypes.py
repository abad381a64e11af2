"""The dtypes of the safetensors container, as a table. No torch.

Source: ``safetensors/src/tensor.rs``, enum ``Dtype``, release 0.8.0. Sizes are in bits, because F4 and F6 share bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from inferno_loader.errors import UnsupportedDtypeError

if TYPE_CHECKING:
    from collections.abc import Mapping

Kind = Literal["float", "float8", "sub_byte", "signed", "unsigned", "bool", "complex", "scale", "block"]


@dataclass(frozen=True, slots=True)
class Dtype:
    """One dtype of the container.

    Attributes:
        name: As written in a header.
        bits: Size of one element, in bits.
        kind: ``float`` computes as it stands; ``float8``, ``sub_byte`` and integers need a scale to be weights;
            ``scale`` is the power-of-two exponent of the MX formats; an element of ``block`` is one byte of a block of
            GGUF, whose dtypes are in `inferno_loader.gguf.types`.
        torch_name: The name in ``torch``, or None where torch has no dtype of that layout.
        mantissa: Explicit mantissa bits of a float, 0 otherwise.
        exponent: Exponent bits of a float, 0 otherwise.
    """

    name: str
    bits: int
    kind: Kind
    torch_name: str | None
    mantissa: int = 0
    exponent: int = 0

    @property
    def dense(self) -> bool:
        """Whether a tensor of this dtype is a weight by itself, without a scale."""
        return self.kind == "float"

    def loses_to(self, other: Dtype) -> bool:
        """Whether a cast to `other` may change a value: fewer mantissa bits, or a narrower range."""
        return other.mantissa < self.mantissa or other.exponent < self.exponent

    def __str__(self) -> str:
        return self.name


_TABLE = (
    Dtype("F64", 64, "float", "float64", 52, 11),
    Dtype("F32", 32, "float", "float32", 23, 8),
    Dtype("F16", 16, "float", "float16", 10, 5),
    Dtype("BF16", 16, "float", "bfloat16", 7, 8),
    Dtype("F8_E4M3", 8, "float8", "float8_e4m3fn", 3, 4),
    Dtype("F8_E5M2", 8, "float8", "float8_e5m2", 2, 5),
    Dtype("F8_E4M3FNUZ", 8, "float8", "float8_e4m3fnuz", 3, 4),
    Dtype("F8_E5M2FNUZ", 8, "float8", "float8_e5m2fnuz", 2, 5),
    Dtype("F8_E8M0", 8, "scale", "float8_e8m0fnu", 0, 8),
    Dtype("F6_E2M3", 6, "sub_byte", None, 3, 2),
    Dtype("F6_E3M2", 6, "sub_byte", None, 2, 3),
    Dtype("F4", 4, "sub_byte", None, 1, 2),
    Dtype("I64", 64, "signed", "int64"),
    Dtype("I32", 32, "signed", "int32"),
    Dtype("I16", 16, "signed", "int16"),
    Dtype("I8", 8, "signed", "int8"),
    Dtype("U64", 64, "unsigned", "uint64"),
    Dtype("U32", 32, "unsigned", "uint32"),
    Dtype("U16", 16, "unsigned", "uint16"),
    Dtype("U8", 8, "unsigned", "uint8"),
    Dtype("BOOL", 8, "bool", "bool"),
    Dtype("C64", 64, "complex", "complex64", 23, 8),
)

#: Every dtype of the container, by its name in a header.
DTYPES: Mapping[str, Dtype] = MappingProxyType({dtype.name: dtype for dtype in _TABLE})

_ALIASES: Mapping[str, Dtype] = MappingProxyType(
    {
        **{dtype.name.lower(): dtype for dtype in _TABLE},
        **{dtype.torch_name: dtype for dtype in _TABLE if dtype.torch_name},
        "half": DTYPES["F16"],
        "float": DTYPES["F32"],
        "double": DTYPES["F64"],
        "fp16": DTYPES["F16"],
        "fp32": DTYPES["F32"],
    },
)


def parse_dtype(value: object) -> Dtype:
    """The dtype named by a header name, a torch dtype or its name: ``BF16``, ``torch.bfloat16``, ``"bfloat16"``.

    Raises:
        UnsupportedDtypeError: `value` names none.
    """
    if isinstance(value, Dtype):
        return value
    found = _ALIASES.get(str(value).removeprefix("torch.").lower())
    if found is None:
        raise UnsupportedDtypeError(
            f"{value!r} is no dtype of the safetensors container",
            expected=", ".join(DTYPES),
            actual=value,
            remedy="name one of the dtypes listed",
        )
    return found
