"""Cases of the container: very many tensors, and files that end beyond 2, 4 and 8 GiB; these are sparse."""

from __future__ import annotations

from dataclasses import replace

from conformance.corpus.container_parts import FILE, case_of, source
from conformance.engine.case import MIB, Case, Limits, Severity, accept, needs, reject
from conformance.engine.reasons import Reason
from conformance.tools.container import Spec
from conformance.tools.scenario import Scenario
from conformance.tools.steps import step
from conformance.tools.tensor_file import TensorFile

_GIB = 1 << 30
_NEEDS = needs("dtype:U8", "dtype:F32")


def _limited(case: Case, copies: int, gigabytes: int) -> Case:
    """The case with room for copies of its file: it asks for the right numbers, not for little memory."""
    return replace(case, limits=Limits(seconds=60.0, anonymous_bytes=copies * gigabytes * 1024 * MIB + 512 * MIB))


def _beyond(gigabytes: int) -> Scenario:
    """Tensors before the border, one that ends before it, one across it, and those behind; all but one are tiny.

    The tensor across begins six bytes before the border, counted from the start of the data.
    """
    first = (Spec("before.weight", "F32", (3, 5)), Spec("before.bias", "F32", (7,)))
    border = gigabytes * _GIB
    filler = Spec("filler.weight", "U8", (border - 6 - sum(spec.nbytes for spec in first),))
    behind = (Spec("across.weight", "F32", (3, 1)), Spec("behind.weight", "F32", (2, 4)), Spec("last.bias", "F32", ()))
    return Scenario(TensorFile((*first, filler, *behind), sparse=True))


_64_BITS = source(
    "Offsets and sizes are counted in 64 bits: in 32, a file of 4 GiB and a little is a little file.",
    "https://github.com/ml-explore/mlx/issues/3409",
    "A04",
    "A13",
)

_LARGE = (
    _limited(
        case_of(
            "beyond-2-gib",
            "overflow",
            "A file is larger than 2 GiB; a tensor lies across the border, and others behind it.",
            _beyond(2),
            accept(),
            _64_BITS,
            severity=Severity.SILENT,
            sibling="cut-beyond-4-gib",
            requires=_NEEDS,
            flags=("Wraparound",),
        ),
        copies=2,
        gigabytes=2,
    ),
    _limited(
        case_of(
            "cut-beyond-4-gib",
            "overflow",
            "A file is larger than 4 GiB, with tensors on both sides of the border, and its last byte is missing.",
            _beyond(4).then(step("resize", FILE, -1)),
            reject(Reason.TRUNCATED, Reason.SIZE_MISMATCH),
            _64_BITS,
            severity=Severity.SILENT,
            sibling="beyond-2-gib",
            requires=_NEEDS,
            flags=("ZeroFilled",),
        ),
        copies=1,
        gigabytes=4,
    ),
    _limited(
        case_of(
            "longer-beyond-8-gib",
            "overflow",
            "A file is larger than 8 GiB, with tensors on both sides of the border, and four bytes follow the last.",
            _beyond(8).then(step("resize", FILE, 4)),
            reject(Reason.TRAILING_BYTES, Reason.SIZE_MISMATCH, Reason.HOLE),
            _64_BITS,
            severity=Severity.SILENT,
            sibling="beyond-2-gib",
            requires=_NEEDS,
            flags=("Smuggling",),
        ),
        copies=1,
        gigabytes=8,
    ),
)

_MANY = 100_000
#: One in a hundred has a byte, so that they are many and the file is quick to judge.
_NAMES = tuple(Spec(f"layers.{number}.weight", "U8", (int(number % 100 == 0),)) for number in range(_MANY))
_COUNT = (
    case_of(
        "hundred-thousand-tensors",
        "values",
        "A file has a hundred thousand tensors, each of one byte or none.",
        Scenario(TensorFile(_NAMES)),
        accept(),
        source(
            "The only limit is that of the header: what is quadratic in the number of tensors shows.",
            "https://github.com/safetensors/safetensors/issues/668",
            "A38",
        ),
        severity=Severity.RESOURCE,
        sibling="hundred-thousand-names-of-one-range",
        requires=needs("dtype:U8"),
    ),
    case_of(
        "hundred-thousand-names-of-one-range",
        "disjoint",
        "A hundred thousand names share one range: with a copy each, the file is as many times larger in memory.",
        Scenario(
            TensorFile((Spec("shared.weight", "U8", (65_536,)),)), (step("name_again", FILE, "shared.weight", _MANY),)
        ),
        reject(Reason.OVERLAP, Reason.HOLE),
        source(
            "Names that share a range are a bomb of memory.",
            "https://github.com/safetensors/safetensors/tree/main/attacks",
            "A09",
        ),
        sibling="hundred-thousand-tensors",
        requires=needs("dtype:U8"),
        flags=("Allocation",),
    ),
)

#: What is quadratic in so many names takes far longer than this, also where the machine is slow.
_PATIENT = tuple(replace(case, limits=Limits(seconds=120.0)) for case in _COUNT)

CASES: tuple[Case, ...] = (*_LARGE, *_PATIENT)
