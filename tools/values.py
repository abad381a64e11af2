"""Closed-form tensor values: a function of tensor name, flat index and seed, and nothing else.

An element is one draw of splitmix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA
2014), whose stream starts at a hash of name and seed. Neighbours are unrelated, so every swap, shift or transposition
shows, and any slice of a tensor of any size is computed without the rest of it.
"""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)

#: What numpy rounds to; a complex number is two of them.
_FLOATS: Mapping[str, str] = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "C64": "<f4"}

#: Bits of the integer dtypes, by sign.
_SIGNED: Mapping[str, int] = {"I8": 8, "I16": 16, "I32": 32, "I64": 64}
_UNSIGNED: Mapping[str, int] = {"U8": 8, "U16": 16, "U32": 32, "U64": 64}

#: The codes of each dtype of up to eight bits that are finite numbers: no NaN, no infinity.
#: OCP "8-bit Floating Point Specification" 1.0, OCP "Microscaling Formats" 1.0, and for FNUZ arXiv:2206.02915.
_FINITE_CODES: Mapping[str, NDArray[np.uint8]] = {
    dtype: np.setdiff1d(np.arange(1 << bits, dtype=np.uint8), np.array(special, dtype=np.uint8))
    for dtype, bits, special in (
        ("F8_E4M3", 8, [0x7F, 0xFF]),
        ("F8_E5M2", 8, [*range(0x7C, 0x80), *range(0xFC, 0x100)]),
        ("F8_E4M3FNUZ", 8, [0x80]),
        ("F8_E5M2FNUZ", 8, [0x80]),
        ("F8_E8M0", 8, [0xFF]),
        ("F6_E2M3", 6, []),
        ("F6_E3M2", 6, []),
        ("F4", 4, []),
    )
}
_CODE_BITS: Mapping[str, int] = {"F4": 4, "F6_E2M3": 6, "F6_E3M2": 6}


def stream_start(name: str, seed: int) -> int:
    """The state from which the stream of a tensor starts: the first 64 bits of BLAKE2b over seed and name."""
    digest = hashlib.blake2b(f"{seed}\0{name}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def splitmix64(start: int, count: int, *, first: int = 0) -> NDArray[np.uint64]:
    """Draws ``first`` to ``first + count - 1`` of the splitmix64 generator whose state is `start`."""
    steps = np.arange(first + 1, first + count + 1, dtype=np.uint64)
    mixed = np.uint64(start) + steps * _GOLDEN
    mixed = (mixed ^ (mixed >> np.uint64(30))) * _MIX_1
    mixed = (mixed ^ (mixed >> np.uint64(27))) * _MIX_2
    return mixed ^ (mixed >> np.uint64(31))


def unit_values(name: str, count: int, *, seed: int = 0, first: int = 0) -> NDArray[np.float64]:
    """Values of [-1, 1) in steps of 2**-52, one an element; element i is that of flat index ``first + i``."""
    draws = splitmix64(stream_start(name, seed), count, first=first)
    return (draws >> np.uint64(11)).astype(np.float64) * 2.0**-52 - 1.0


def tensor_values(
    name: str,
    shape: tuple[int, ...],
    *,
    seed: int = 0,
    first: int = 0,
    count: int | None = None,
) -> NDArray[np.float64]:
    """Values of a Llama tensor, sized by its role, so that a model made of them computes sensibly.

    With u the unit value of the element:

    =====================  =============================================================================
    scale                  ``2**-11 * (1 + u / 4)``, positive: times an 8-bit code about the size of a weight
    ``rotary_emb.inv_freq``  ``10000**(-i / n) * (1 + u / 1024)``, about the true ones of base 10000
    norm                   ``1 + u / 4``
    bias                   ``u / 50``
    embedding              ``u``
    other, two or more axes  ``u * sqrt(3 / fan_in)``: variance ``1 / fan_in``; fan_in is the last axis
    anything else          ``u``
    =====================  =============================================================================

    Args:
        name: The name of the tensor; its role is read from it.
        shape: The whole shape, of which only the flat range asked for is computed.
        seed: Another seed gives other values everywhere.
        first: The first flat index.
        count: How many elements; None for all from `first`.

    Returns:
        float64 of shape ``(count,)``, in flat order.
    """
    count = math.prod(shape) - first if count is None else count
    unit = unit_values(name, count, seed=seed, first=first)
    module, _, leaf = name.rpartition(".")
    if "scale" in leaf:
        return (1.0 + unit / 4.0) * 2.0**-11
    if leaf == "inv_freq":
        exponents = -np.arange(first, first + count, dtype=np.float64) / max(math.prod(shape), 1)
        return np.float64(10000.0) ** exponents * (1.0 + unit / 1024.0)
    if leaf == "bias":
        return unit / 50.0
    if "norm" in module:
        return 1.0 + unit / 4.0
    if len(shape) > 1 and "emb" not in module:
        return unit * math.sqrt(3.0 / max(shape[-1], 1))
    return unit


def encode_values(values: NDArray[np.float64], dtype: str) -> bytes:
    """The little-endian bytes of `values` in a dtype of the container.

    * F64, F32, F16, BF16: rounded once, to nearest even; too large is infinity, and a NaN stays one.
    * C64: `values` alternate real and imaginary parts, two an element.
    * I8 to I64: ``floor(value * 2**(bits - 1))``, so [-1, 1) fills the range; beyond it, the nearest end.
    * U8 to U64: ``floor((value + 1) / 2 * 2**bits)``, likewise. A float64 holds 53 bits, so the low bits of I64 and
      U64 are zero here; `tensor_bytes` fills them.
    * BOOL: 1 where the value is not negative.
    * F8, F6, F4: the raw code, not the rounded number: [-1, 1) is spread evenly over the finite codes in ascending
      order of the code. F6 and F4 are packed low bits first.

    Raises:
        ValueError: The dtype is unknown, or sub-byte elements do not fill whole bytes.
    """
    if dtype in _FLOATS:
        with np.errstate(over="ignore"):
            return values.astype(_FLOATS[dtype]).tobytes()
    if dtype == "BF16":
        return _bfloat16_bits(values).tobytes()
    if dtype == "BOOL":
        return (values >= 0).astype(np.uint8).tobytes()
    if dtype in _SIGNED:
        return _integer_bytes(values, _SIGNED[dtype], signed=True)
    if dtype in _UNSIGNED:
        return _integer_bytes((values + 1.0) / 2.0, _UNSIGNED[dtype], signed=False)
    if dtype in _FINITE_CODES:
        return _code_bytes(values, dtype)
    raise ValueError(f"unknown dtype {dtype!r}: expected one of the dtypes of the safetensors container")


def tensor_bytes(
    name: str,
    dtype: str,
    shape: tuple[int, ...],
    *,
    seed: int = 0,
    first: int = 0,
    count: int | None = None,
) -> bytes:
    """The bytes of a tensor in the container: `tensor_values` for floats, `unit_values` over the range for the rest.

    Integers of 64 bits are the whole draw, so that a reader that takes them through float64 shows.

    Args:
        name: The name of the tensor.
        dtype: The dtype in the container.
        shape: The whole shape.
        seed: Another seed gives other values everywhere.
        first: The first flat index.
        count: How many elements; None for all from `first`.

    Returns:
        The bytes of elements ``first`` to ``first + count - 1``.

    Raises:
        ValueError: The dtype is unknown, or sub-byte elements do not fill whole bytes.
    """
    count = math.prod(shape) - first if count is None else count
    if dtype in ("I64", "U64"):
        return splitmix64(stream_start(name, seed), count, first=first).astype("<u8").tobytes()
    if dtype == "C64":
        return encode_values(unit_values(name, 2 * count, seed=seed, first=2 * first), dtype)
    if dtype in _FLOATS or dtype == "BF16":
        return encode_values(tensor_values(name, shape, seed=seed, first=first, count=count), dtype)
    return encode_values(unit_values(name, count, seed=seed, first=first), dtype)


def _bfloat16_bits(values: NDArray[np.float64]) -> NDArray[np.uint16]:
    """The bits of `values` in bfloat16, rounded once to nearest even.

    Two roundings, first to float32 and then to bfloat16, would not do: near a tie the first one hides on which side the
    value lies. Rounding the first time to odd keeps that in the last bit (Boldo and Melquiond, 2008).
    """
    with np.errstate(over="ignore"):
        narrow = values.astype(np.float32)
    bits = narrow.view(np.uint32).copy()
    bits -= np.abs(narrow.astype(np.float64)) > np.abs(values)
    bits |= narrow.astype(np.float64) != values
    rounded = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)
    return np.where(np.isnan(values), np.uint32(0x7FC0), rounded).astype("<u2")


def _integer_bytes(values: NDArray[np.float64], bits: int, *, signed: bool) -> bytes:
    span = bits - 1 if signed else bits
    lowest, above = -(2.0**span) if signed else 0.0, 2.0**span
    inside = np.clip(np.floor(values * above), lowest, np.nextafter(above, 0.0))
    return inside.astype(f"<{'i' if signed else 'u'}{bits // 8}").tobytes()


def _code_bytes(values: NDArray[np.float64], dtype: str) -> bytes:
    codes = _FINITE_CODES[dtype]
    places = np.clip(np.floor((values + 1.0) / 2.0 * len(codes)), 0, len(codes) - 1)
    chosen = codes[places.astype(np.intp)]
    bits = _CODE_BITS.get(dtype, 8)
    if bits * chosen.size % 8:
        raise ValueError(f"{chosen.size} elements of {dtype} do not fill whole bytes")
    stream = np.unpackbits(chosen[:, None], axis=1, bitorder="little")[:, :bits]
    return np.packbits(stream, bitorder="little").tobytes()
