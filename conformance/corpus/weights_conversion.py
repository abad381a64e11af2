"""Cases of the weights: from each dtype to each other one, and the values at which a cast goes wrong."""

from __future__ import annotations

from conformance.corpus.conversion_parts import numbers_cast, stored_as
from conformance.corpus.model_parts import of_weights
from conformance.engine.case import Call, Case, Source, accept, needs

_ASKED = Source(
    "The dtype that a caller asked for was passed over, without a word.",
    "https://github.com/huggingface/transformers/issues/46459",
    ("D12",),
)
_TOWARDS_ZERO = Source(
    "A conversion truncated where it should have rounded down: numbers below 1 came out twice as large.",
    "https://github.com/vllm-project/compressed-tensors/pull/630",
    ("D11",),
)
_THROUGH_ANOTHER = Source(
    "Weights went through another dtype on their way, for one of the libraries had no BF16.",
    "https://github.com/huggingface/accelerate/pull/460",
    ("D15",),
)
_RAW_MEMORY = Source(
    "Where a load went wrong the memory of before stayed: numbers of 1e37 and more, which a cast made infinite.",
    "https://github.com/huggingface/transformers/pull/28073",
    ("D08",),
)


def _asked(stored: str, asked: str, title: str, source: Source = _ASKED) -> Case:
    """All of a checkpoint is cast."""
    return of_weights(
        f"asked-{asked.lower()}-of-{stored.lower()}",
        "cast",
        title,
        stored_as(stored),
        accept(),
        source,
        sibling="asked-f32-of-integers",
        requires=needs(f"dtype:{stored}", "cast"),
        calls=(Call(dtype=asked),),
    )


_PAIRS: tuple[Case, ...] = (
    _asked("BF16", "BF16", "BF16 is asked of a BF16 file: nothing is to be done."),
    _asked("F16", "F32", "F32 is asked of an F16 file: every value is exact."),
    _asked("BF16", "F64", "F64 is asked of a BF16 file: every value is exact."),
    _asked("F16", "F64", "F64 is asked of an F16 file: every value is exact."),
    _asked("F32", "F64", "F64 is asked of an F32 file: every value is exact."),
    _asked("F64", "F32", "F32 is asked of an F64 file: rounded once to the nearest, ties to even."),
    _asked("F64", "F16", "F16 is asked of an F64 file: rounded once to the nearest, ties to even."),
    _asked("F64", "BF16", "BF16 is asked of an F64 file: rounded once to the nearest, ties to even.", _THROUGH_ANOTHER),
    _asked("BF16", "F16", "F16 is asked of a BF16 file: its small values are rounded.", _THROUGH_ANOTHER),
)
_ROUNDED: tuple[Case, ...] = (
    numbers_cast(
        "ties-to-even-in-bf16",
        "rounding",
        "F32 numbers half-way between two of BF16, of both signs: half of them go up, half down.",
        ("F32", "BF16"),
        (0x3F808000, 0x3F818000, 0xBF808000, 0xBF818000, 0x40008000, 0x40018000),
        _TOWARDS_ZERO,
    ),
    numbers_cast(
        "beside-ties-in-bf16",
        "rounding",
        "F32 numbers a step above and below the middle between two of BF16: the nearest is never in doubt.",
        ("F32", "BF16"),
        (0x3F808001, 0x3F807FFF, 0xBF808001, 0xBF807FFF, 0x3F818001, 0x3F817FFF),
        _TOWARDS_ZERO,
    ),
    numbers_cast(
        "ties-to-even-in-f16",
        "rounding",
        "F32 numbers half-way between two of F16, of both signs: half of them go up, half down.",
        ("F32", "F16"),
        (0x3F801000, 0x3F803000, 0xBF801000, 0xBF803000),
        _TOWARDS_ZERO,
    ),
    numbers_cast(
        "twice-rounded-to-bf16",
        "rounding",
        "F64 numbers a hair beside the middle between two of BF16, where F32 has the middle itself.",
        ("F64", "BF16"),
        (0x3FF0100000000001, 0x3FF02FFFFFFFFFFF, 0xBFF0100000000001, 0xBFF02FFFFFFFFFFF),
        _THROUGH_ANOTHER,
    ),
    numbers_cast(
        "twice-rounded-to-f16",
        "rounding",
        "F64 numbers a hair beside the middle between two of F16, where F32 has the middle itself.",
        ("F64", "F16"),
        (0x3FF0020000000001, 0x3FF005FFFFFFFFFF, 0xBFF0020000000001, 0xBFF005FFFFFFFFFF),
        _THROUGH_ANOTHER,
    ),
    numbers_cast(
        "ties-to-even-in-f32",
        "rounding",
        "F64 numbers half-way between two of F32, of both signs, and a hair beside the middle.",
        ("F64", "F32"),
        (0x3FF0000010000000, 0x3FF0000030000000, 0xBFF0000010000000, 0x3FF0000010000001, 0x3FF000002FFFFFFF),
        _TOWARDS_ZERO,
    ),
    numbers_cast(
        "carry-into-the-exponent",
        "rounding",
        "F32 numbers just below a power of two, which round up to it: the carry goes through all of the fraction.",
        ("F32", "BF16"),
        (0x3F7FFFFF, 0xBF7FFFFF, 0x3FFF8000, 0x40FFFFFF),
    ),
)
_BEYOND: tuple[Case, ...] = (
    numbers_cast(
        "overflow-of-f32-in-f16",
        "overflow",
        "F32 numbers beyond 65,520, which F16 has not: infinite, and not 65,504.",
        ("F32", "F16"),
        (0x477FF000, 0xC77FF000, 0x47800000, 0x7F7FFFFF, 0xFF7FFFFF),
        _RAW_MEMORY,
    ),
    numbers_cast(
        "largest-of-f16",
        "overflow",
        "F32 numbers up to just below 65,520, which round down to 65,504, the largest of F16.",
        ("F32", "F16"),
        (0x477FE000, 0x477FEFFF, 0xC77FEFFF, 0x477FDFFF),
    ),
    numbers_cast(
        "overflow-of-bf16-in-f16",
        "overflow",
        "BF16 numbers up to 3e38, which F16 has not: infinite, and not 65,504.",
        ("BF16", "F16"),
        (0x4780, 0xC780, 0x7F7F, 0xFF7F, 0x477F),
        _RAW_MEMORY,
    ),
    numbers_cast(
        "overflow-of-f32-in-bf16",
        "overflow",
        "F32 numbers above the largest of BF16: those beyond the middle to the next power are infinite.",
        ("F32", "BF16"),
        (0x7F7FFFFF, 0xFF7FFFFF, 0x7F7F8000, 0x7F7F7FFF, 0xFF7F7FFF),
    ),
    numbers_cast(
        "overflow-of-f64-in-f32",
        "overflow",
        "F64 numbers beyond the range of F32, and the largest that round down to its largest.",
        ("F64", "F32"),
        (0x7FEFFFFFFFFFFFFF, 0xFFEFFFFFFFFFFFFF, 0x47EFFFFFF0000000, 0x47EFFFFFEFFFFFFF, 0xC7EFFFFFEFFFFFFF),
    ),
    numbers_cast(
        "overflow-of-f64-in-bf16",
        "overflow",
        "F64 numbers beyond the range of BF16, within that of F32 and not.",
        ("F64", "BF16"),
        (0x7FEFFFFFFFFFFFFF, 0x47EFF00000000001, 0x47EFEFFFFFFFFFFF, 0xC7EFF00000000001),
    ),
)
CASES: tuple[Case, ...] = (*_PAIRS, *_ROUNDED, *_BEYOND)
