"""Cases of the weights: values that are no full numbers, with a cast and without: subnormal, zero, infinite, NaN."""

from __future__ import annotations

from conformance.corpus.conversion_parts import IEEE, SIZE, numbers_cast, stored_as
from conformance.corpus.model_parts import of_weights
from conformance.engine.case import Case, accept, needs

#: One and one and a half in F32, as often as a norm has room for. Of several NaN torch spells some in another way.
_ONES = (0x3F800000, 0x3FC00000) * (SIZE // 2)


def _kept(dtype: str, what: str, bits: tuple[int, ...]) -> Case:
    """The last norm holds some numbers, and no dtype is asked for."""
    return of_weights(
        f"kept-bits-of-{dtype.lower()}",
        "special-values",
        f"The last norm is {dtype} and holds {what}; no dtype is asked for.",
        stored_as(dtype, *bits),
        accept(),
        IEEE,
        sibling="i32-for-a-weight",
        requires=needs(f"dtype:{dtype}"),
    )


CASES: tuple[Case, ...] = (
    numbers_cast(
        "subnormals-of-f32-in-bf16",
        "special-values",
        "F32 numbers too small for a full fraction, which BF16 has as well: not zero.",
        ("F32", "BF16"),
        (0x00000001, 0x007FFFFF, 0x00008000, 0x00018000, 0x80400000, 0x00800000),
    ),
    numbers_cast(
        "subnormals-of-f16-in-f32",
        "special-values",
        "F16 numbers too small for a full fraction, which F32 has in full: not zero.",
        ("F16", "F32"),
        (0x0001, 0x03FF, 0x8001, 0x83FF, 0x0400),
    ),
    numbers_cast(
        "subnormals-of-bf16-in-f32",
        "special-values",
        "BF16 numbers too small for a full fraction, and so F32 has them: not zero.",
        ("BF16", "F32"),
        (0x0001, 0x007F, 0x8001, 0x807F, 0x0080),
    ),
    numbers_cast(
        "numbers-too-small-for-f16",
        "special-values",
        "F32 numbers below the smallest full number of F16: subnormal, rounded once, and half of the smallest is zero.",
        ("F32", "F16"),
        (0x33800000, 0x33000000, 0x33000001, 0x33C00000, 0xB3C00000, 0x387FC000, 0x387FE000),
    ),
    numbers_cast(
        "zeros-and-infinities-in-bf16",
        "special-values",
        "Zero, infinity, and both with a minus, from F32 to BF16.",
        ("F32", "BF16"),
        (0x00000000, 0x80000000, 0x7F800000, 0xFF800000, 0x3F800000),
    ),
    numbers_cast(
        "zeros-and-infinities-in-f16",
        "special-values",
        "Zero, infinity, and both with a minus, from BF16 to F16.",
        ("BF16", "F16"),
        (0x0000, 0x8000, 0x7F80, 0xFF80, 0x3F80),
    ),
    numbers_cast(
        "no-number-in-bf16",
        "special-values",
        "A NaN before other numbers, from F32 to BF16: a NaN it stays, and those beside it are what they were.",
        ("F32", "BF16"),
        (0x7FC00000, *_ONES),
    ),
    numbers_cast(
        "no-number-whose-high-half-is-infinity",
        "special-values",
        "A NaN of F32 whose upper half is that of infinity: cut off, it would be one.",
        ("F32", "BF16"),
        (0x7F800001, *_ONES),
    ),
    numbers_cast(
        "no-number-in-f32",
        "special-values",
        "A NaN before other numbers, from F16 to F32: a NaN it stays, and those beside it are what they were.",
        ("F16", "F32"),
        (0x7E00, *(0x3C00, 0x3E00) * 27),
    ),
    _kept(
        "F32",
        "NaN of four kinds, both zeros, both infinities and subnormal numbers",
        (0x7FC00000, 0xFFC00001, 0x7F800001, 0x7FFFFFFF, 0, 0x80000000, 0x7F800000, 0xFF800000, 1, 0x807FFFFF),
    ),
    _kept(
        "BF16",
        "NaN of four kinds, both zeros, both infinities and subnormal numbers",
        (0x7FC0, 0xFFC1, 0x7F81, 0x7FFF, 0, 0x8000, 0x7F80, 0xFF80, 1, 0x807F),
    ),
    _kept(
        "F16",
        "NaN of four kinds, both zeros, both infinities and subnormal numbers",
        (0x7E00, 0xFE01, 0x7C01, 0x7FFF, 0, 0x8000, 0x7C00, 0xFC00, 1, 0x83FF),
    ),
    _kept(
        "F64",
        "NaN of four kinds, both zeros, both infinities and subnormal numbers",
        (
            0x7FF8 << 48,
            (0xFFF8 << 48) + 1,
            (0x7FF0 << 48) + 1,
            (1 << 63) - 1,
            0,
            1 << 63,
            0x7FF0 << 48,
            0xFFF0 << 48,
            1,
        ),
    ),
)
