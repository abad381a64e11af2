"""What the cases of casts share: checkpoints of one dtype, and a norm that holds numbers given by their bits."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from conformance.corpus.model_parts import FILE, of_weights, small
from conformance.engine.case import Call, Case, Source, accept, needs
from conformance.tools.steps import step

if TYPE_CHECKING:
    from conformance.tools.scenario import Scenario
    from conformance.tools.steps import Step

IEEE = Source(
    "What overflows rounds to infinity, what is small becomes subnormal, zero keeps its sign, and NaN stays NaN.",
    "https://ieeexplore.ieee.org/document/8766229",
)
#: Elements of a norm.
SIZE = 54
_NORM = "model.norm.weight"
_TORCH = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}
#: How the bits of a number of each dtype are packed.
_BITS = {"F64": "<Q", "F32": "<I", "F16": "<H", "BF16": "<H"}
#: Of 45,846 numbers of F32 four lie just half-way between two of BF16 with this seed, and two of these go down.
_SEED_WITH_HALVES = 22


def stored_as(dtype: str, *bits: int) -> Scenario:
    """A checkpoint of one dtype, whose last norm holds numbers given by their bits, over and over."""
    steps: tuple[Step, ...] = ()
    if bits:
        numbers = (bits * SIZE)[:SIZE]
        digits = b"".join(struct.pack(_BITS[dtype], number) for number in numbers).hex()
        steps = (step("set_bytes", FILE, _NORM, digits),)
    exceptions = (("*", "F64"),) if dtype == "F64" else ()
    plain = "F32" if dtype == "F64" else dtype
    config = {"torch_dtype": _TORCH[dtype]}
    return small(*steps, dtype=plain, dtypes=exceptions, seed=_SEED_WITH_HALVES, config=config)


def numbers_cast(
    slug: str, clause: str, title: str, pair: tuple[str, str], bits: tuple[int, ...], source: Source = IEEE
) -> Case:
    """The last norm holds some numbers, and is cast; a pair is the dtype stored and the one asked for."""
    stored, asked = pair
    return of_weights(
        slug,
        clause,
        title,
        stored_as(stored, *bits),
        accept(),
        source,
        sibling="asked-f32-of-integers",
        requires=needs(f"dtype:{stored}", "cast"),
        calls=(Call(dtype=asked),),
    )
