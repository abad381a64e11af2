"""Cases of the weights: HQQ."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from conformance.corpus.quant_parts import (
    CONFLICT,
    DROPPED,
    LACKING,
    MISFIT,
    OTHER_FILE,
    QUERY,
    exact,
    not_finite,
    quantized,
    refused,
)
from conformance.engine.case import Call, Severity, Source
from conformance.engine.reasons import Reason
from conformance.tools.recipe import Layout
from conformance.tools.schemes.hqq import Hqq
from conformance.tools.steps import step

if TYPE_CHECKING:
    from conformance.engine.case import Case
    from conformance.tools.scenario import Scenario
    from conformance.tools.steps import Step

_HQQ = "https://github.com/mobiusml/hqq/blob/master/hqq/core"
_PACKING = Source("Parts of the rows share a byte, the first part in the highest bits.", f"{_HQQ}/bitpack.py")
_FORMULA = Source("The code less a zero that is a float, times the scale, step by step.", f"{_HQQ}/quantize.py")
_BOOKS = Source(
    "Whatever a layer knows is a tensor beside its codes; the library evaluates the name of the dtype.",
    f"{_HQQ}/quantize.py",
)
#: Every weight has a multiple of 30 and of 24 elements, and of eight groups of 30 where a byte holds so many.
_SIZES = {"intermediate_size": 80}
_FOUR, _BY_COLUMNS = Hqq(), Hqq(4, 24, 0)
_FOUND = "hqq-four-bits"


def _hqq(scheme: Hqq, *steps: Step, **recipe: Any) -> Scenario:
    return quantized(scheme, *steps, figures=_SIZES, **recipe)


def _exact(slug: str, clause: str, title: str, scheme: Hqq, *requires: str, **more: Any) -> Case:
    recipe = {key: more.pop(key) for key in ("dtype", "layout") if key in more}
    source = more.pop("source", _PACKING if clause == "hqq-packing" else _FORMULA)
    return exact(slug, clause, title, _hqq(scheme, **recipe), source, "hqq-no-scale", *requires, **more)


_EXACT: tuple[Case, ...] = (
    _exact("hqq-four-bits", "hqq-packing", "HQQ of four bits, in groups of 30 along the rows.", _FOUR),
    _exact("hqq-eight-bits", "hqq-packing", "HQQ of eight bits.", Hqq(8)),
    _exact(
        "hqq-three-bits",
        "hqq-packing",
        "HQQ of three bits: ten codes in a word, and rows that fill no whole number of words.",
        Hqq(3),
    ),
    _exact("hqq-two-bits", "hqq-packing", "HQQ of two bits, four codes a byte.", Hqq(2)),
    _exact(
        "hqq-one-bit", "hqq-packing", "HQQ of one bit, eight codes a byte, in groups down the columns.", Hqq(1, 24, 0)
    ),
    _exact("hqq-groups-of-columns", "hqq-axis", "HQQ of four bits, in groups of 24 along axis 0.", _BY_COLUMNS),
    _exact(
        "hqq-three-bits-of-columns",
        "hqq-axis",
        "HQQ of three bits, in groups of 24 along axis 0, which fill no whole number of words.",
        Hqq(3, 24, 0),
    ),
    _exact("hqq-f16-model", "hqq-values", "HQQ of an F16 model.", _FOUR, dtype="F16"),
    _exact(
        "hqq-f32-layers",
        "hqq-values",
        "HQQ whose layers compute in F32, of a BF16 model: the dense weights are F32, or BF16 where that is asked for.",
        Hqq(compute="F32"),
        "dtype:F32",
        "cast",
        calls=(Call(), Call(dtype="BF16")),
    ),
    _exact(
        "hqq-asked-for-f32",
        "hqq-values",
        "HQQ of a BF16 model, of which F32 is asked: each step is rounded to BF16 all the same.",
        Hqq(lean=True),
        "cast",
        calls=(Call(dtype="F32"), Call()),
    ),
    _exact("hqq-zeros-at-both-ends", "hqq-values", "HQQ whose rows have one sign each.", Hqq(4, 54, lean=True)),
    _exact(
        "hqq-lean-books",
        "hqq-books",
        "HQQ with the books that a reader needs, and no others.",
        Hqq(books=False),
        source=_BOOKS,
    ),
    _exact(
        "hqq-in-many-files",
        "hqq-packing",
        "HQQ in seven files, its tensors dealt out to them.",
        _FOUR,
        "sharded",
        layout=Layout("shuffled", 7),
        source=OTHER_FILE,
    ),
)


def _figure(name: str, *values: int, kind: str = "i") -> Step:
    """A book of the query projection says something else."""
    dtype, shape = {"i": ("I32", ()), "q": ("I64", (len(values),)), "B": ("U8", ())}[kind]
    return step("put_tensor", f"{QUERY}.{name}", dtype, shape, struct.pack(f"<{len(values)}{kind}", *values).hex())


def _text(name: str, text: str) -> Step:
    return step("put_tensor", f"{QUERY}.{name}", "U8", (len(text),), text.encode().hex())


def _lies(slug: str, title: str, *steps: Step, **more: Any) -> Case:
    reasons = (*CONFLICT, Reason.UNKNOWN_DTYPE)
    return refused(slug, "hqq-books", title, _hqq(_FOUR, *steps), _BOOKS, _FOUND, reasons=reasons, **more)


_BROKEN: tuple[Case, ...] = (
    *(
        refused(
            f"hqq-no-{word}",
            clause,
            f"One of the weights of HQQ has no {word}.",
            _hqq(_FOUR, step("remove_tensor", f"{QUERY}.{suffix}")),
            DROPPED,
            _FOUND,
            reasons=(*LACKING, *MISFIT),
        )
        for word, suffix, clause in (
            ("scale", "scale", "missing-scale"),
            ("zero", "zero", "hqq-values"),
            ("codes", "W_q", "hqq-packing"),
            ("shape", "shape", "hqq-books"),
            ("axis", "axis", "hqq-axis"),
        )
    ),
    *(
        not_finite(
            f"hqq-{word}-that-is-{how}",
            f"The first {word} of a weight of HQQ is {value}.",
            _hqq(_FOUR, step("spoil_scale", f"{QUERY}.{word}", value)),
            word,
            _FOUND,
        )
        for word, how, value in (("scale", "no-number", "nan"), ("zero", "infinite", "inf"))
    ),
    refused(
        "hqq-codes-of-another-shape",
        "hqq-packing",
        "The codes of one weight have a row too few.",
        _hqq(_FOUR, step("crop_tensor", f"{QUERY}.W_q", (53, 30))),
        _PACKING,
        _FOUND,
    ),
    refused(
        "hqq-scale-of-another-shape",
        "hqq-axis",
        "There are scales for all groups but one.",
        _hqq(_FOUR, step("crop_tensor", f"{QUERY}.scale", (107, 1))),
        _FORMULA,
        _FOUND,
    ),
    refused(
        "hqq-scale-of-the-other-axis",
        "hqq-axis",
        "Scale and zero of one weight lie along axis 0, and the axis is 1.",
        _hqq(
            _FOUR,
            step("put_tensor", f"{QUERY}.scale", "BF16", (1, 108), "003c"),
            step("put_tensor", f"{QUERY}.zero", "BF16", (1, 108), "0041"),
        ),
        _FORMULA,
        _FOUND,
    ),
    _lies(
        "hqq-shape-transposed", "The shape of one weight has its sides exchanged.", _figure("shape", 54, 60, kind="q")
    ),
    _lies(
        "hqq-shape-that-is-huge",
        "The shape of one weight has 2**80 elements.",
        _figure("shape", 1 << 40, 1 << 40, kind="q"),
        severity=Severity.RESOURCE,
        flags=("Allocation",),
    ),
    _lies("hqq-axis-that-is-none", "The axis of one weight is 2.", _figure("axis", 2)),
    _lies(
        "hqq-axis-below-zero",
        "The axis of one weight is -1, which some languages take for the last.",
        _figure("axis", -1),
    ),
    _lies("hqq-group-of-zero", "The group size of one weight is 0.", _figure("group_size", 0)),
    _lies("hqq-group-below-zero", "The group size of one weight is -30.", _figure("group_size", -30)),
    _lies("hqq-group-that-does-not-divide", "The group size of one weight is 32.", _figure("group_size", 32)),
    _lies(
        "hqq-group-that-is-huge",
        "The group size of one weight is 2**31 - 1.",
        _figure("group_size", (1 << 31) - 1),
        severity=Severity.RESOURCE,
        flags=("Allocation",),
    ),
    _lies("hqq-bits-that-contradict", "One weight says two bits, and is packed in four.", _figure("nbits", 2)),
    _lies("hqq-packing-that-is-none", "One weight names a packing that does not exist.", _text("packing", "4bit_u9")),
    _lies(
        "hqq-dtype-that-is-none",
        "One weight names a dtype that does not exist.",
        _text("compute_dtype", "torch.bfloat15"),
    ),
    _lies(
        "hqq-dtype-that-is-an-expression",
        "One weight names as its dtype an expression, which is a dtype once it is evaluated.",
        _text("compute_dtype", "[torch.bfloat16][0]"),
        severity=Severity.SECURITY,
        flags=("Evaluated",),
    ),
    _lies(
        "hqq-dtype-that-is-long",
        "The name of the dtype of one weight has a hundred thousand letters.",
        _text("compute_dtype", "torch." + "f" * 100_000),
    ),
    refused(
        "hqq-codes-as-floats",
        "unread-layouts",
        "One weight says that its codes are to be viewed as floats.",
        _hqq(_FOUR, _figure("view_as_float", 1, kind="B")),
        _BOOKS,
        _FOUND,
        reasons=(Reason.UNKNOWN_SCHEME, *CONFLICT),
    ),
    *(
        refused(
            f"hqq-{word}-that-are-quantized",
            "unread-layouts",
            f"One weight says that its {word} are quantized themselves.",
            _hqq(_FOUR, _figure(book, 1, kind="B")),
            _BOOKS,
            _FOUND,
            reasons=(Reason.UNKNOWN_SCHEME, *CONFLICT),
        )
        for word, book in (("scales", "quant_scale"), ("zeros", "quant_zero"))
    ),
    refused(
        "hqq-declared-as-gptq",
        "hqq-books",
        "The configuration says GPTQ, and the weights are those of HQQ.",
        _hqq(_FOUR, step("set_config", "quantization_config", '{"quant_method": "gptq", "bits": 4, "group_size": 30}')),
        _BOOKS,
        _FOUND,
        reasons=CONFLICT,
    ),
)

CASES: tuple[Case, ...] = (*_EXACT, *_BROKEN)
