"""Cases of the weights: bitsandbytes whose parts are not there or do not fit, and states that lie."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from conformance.corpus.quant_bnb import BLOCKS, INT8, NESTED, NF4, ROWS, STATE, STATE_OF_QUERY, bnb
from conformance.corpus.quant_parts import (
    BITSANDBYTES,
    CONFLICT,
    DROPPED,
    LACKING,
    QUERY,
    not_finite,
    of_scheme,
    refused,
)
from conformance.engine.case import Answer, Severity, Source, may
from conformance.engine.reasons import Reason
from conformance.tools.schemes.bnb import Four
from conformance.tools.steps import step

if TYPE_CHECKING:
    from conformance.engine.case import Case
    from conformance.tools.steps import Step

_TABLES = Source(
    "The tables of all weights share their memory, and a writer stored one of them: a reader guessed at the rest.",
    "https://github.com/huggingface/transformers/pull/26037",
    ("F50",),
)
_TILES = Source(
    "Older releases stored the codes in tiles, as their kernels want them.",
    f"{BITSANDBYTES}/blob/main/bitsandbytes/nn/modules.py",
)
_EVALUATED = Source(
    "A dtype that is looked up by evaluating its name runs whatever the file says.",
    "https://github.com/mobiusml/hqq/blob/master/hqq/core/quantize.py",
)
_TRUE: dict[str, Any] = {"quant_type": "nf4", "blocksize": 64, "dtype": "bfloat16", "shape": [60, 54]}
_REASONS = (*CONFLICT, Reason.UNKNOWN_DTYPE, Reason.MISSING_SCALE, Reason.MISSING_TENSOR)


def _state(**changes: Any) -> Step:
    """The state of the query projection says something else; None takes a key away."""
    told = {key: value for key, value in {**_TRUE, **changes}.items() if value is not None}
    return _text(json.dumps(told))


def _text(text: str) -> Step:
    return step("put_tensor", STATE_OF_QUERY, "U8", (len(text.encode()),), text.encode().hex())


_ABSENT: tuple[Case, ...] = tuple(
    refused(
        f"bnb-no-{word}",
        clause,
        f"One of the weights has no {told}.",
        recipe,
        DROPPED,
        sibling,
        reasons=_REASONS + LACKING,
    )
    for word, told, clause, recipe, sibling in (
        ("scb", "SCB", "missing-scale", bnb(INT8, step("remove_tensor", f"{QUERY}.SCB")), "bnb-int8"),
        (
            "absmax",
            "absmax",
            "missing-scale",
            bnb(NF4, step("remove_tensor", f"{QUERY}.weight.absmax")),
            "bnb-nf4",
        ),
        (
            "nested-absmax",
            "nested scale",
            "missing-scale",
            bnb(NESTED, step("remove_tensor", f"{QUERY}.weight.nested_absmax")),
            "bnb-nf4-nested",
        ),
        (
            "nested-table",
            "table for its nested scales",
            "bnb-blocks",
            bnb(NESTED, step("remove_tensor", f"{QUERY}.weight.nested_quant_map")),
            "bnb-nf4-nested",
        ),
        ("state", "state", "bnb-state", bnb(NF4, step("remove_tensor", STATE_OF_QUERY)), "bnb-nf4"),
    )
)

_SHAPES: tuple[Case, ...] = (
    of_scheme(
        "bnb-one-table-for-all",
        "bnb-blocks",
        "One weight has no table of its codes: a writer stored what all share once.",
        bnb(NF4, step("remove_tensor", f"{QUERY}.weight.quant_map")),
        may(*LACKING, *CONFLICT, answers=(Answer(of=bnb(NF4)),)),
        _TABLES,
        "bnb-no-state",
        flags=("SharedTable",),
    ),
    refused(
        "bnb-scb-of-another-shape",
        "bnb-rows",
        "There are magnitudes for all rows but one.",
        bnb(INT8, step("crop_tensor", f"{QUERY}.SCB", (59,))),
        ROWS,
        "bnb-int8",
    ),
    refused(
        "bnb-codes-of-another-shape",
        "bnb-rows",
        "The codes of one weight lie transposed.",
        bnb(INT8, step("put_tensor", f"{QUERY}.weight", "I8", (54, 60), "0102fe")),
        ROWS,
        "bnb-int8",
    ),
    refused(
        "bnb-int8-in-tiles",
        "unread-layouts",
        "The codes of one weight are said to lie in the tiles of Turing.",
        bnb(INT8, step("put_tensor", f"{QUERY}.weight_format", "U8", (), "02")),
        _TILES,
        "bnb-int8",
        reasons=(Reason.UNKNOWN_SCHEME, *CONFLICT),
    ),
    refused(
        "bnb-absmax-too-short",
        "bnb-blocks",
        "There are scales for all blocks but the last, which is short.",
        bnb(NF4, step("crop_tensor", f"{QUERY}.weight.absmax", (50,))),
        BLOCKS,
        "bnb-nf4",
    ),
    refused(
        "bnb-codes-too-short",
        "bnb-blocks",
        "The codes of one weight end before its last two elements.",
        bnb(NF4, step("crop_tensor", f"{QUERY}.weight", (1619, 1))),
        BLOCKS,
        "bnb-nf4",
    ),
    refused(
        "bnb-table-of-eight",
        "bnb-blocks",
        "The table of one weight has eight entries, and its codes go to 15.",
        bnb(NF4, step("crop_tensor", f"{QUERY}.weight.quant_map", (8,))),
        BLOCKS,
        "bnb-nf4",
    ),
    refused(
        "bnb-nested-table-of-16",
        "bnb-blocks",
        "The table of the nested scales of one weight has 16 entries.",
        bnb(NESTED, step("crop_tensor", f"{QUERY}.weight.nested_quant_map", (16,))),
        BLOCKS,
        "bnb-nf4-nested",
    ),
    *(
        not_finite(
            f"bnb-{word}",
            f"{what} of a weight is {value}.",
            bnb(scheme, step("spoil_scale", f"{QUERY}.{part}", value)),
            part,
            sibling,
        )
        for word, what, value, scheme, part, sibling in (
            ("scb-that-is-no-number", "The first SCB", "nan", INT8, "SCB", "bnb-int8"),
            ("absmax-that-is-infinite", "The first scale", "inf", NF4, "weight.absmax", "bnb-nf4"),
            (
                "nested-absmax-that-is-no-number",
                "The nested scale",
                "nan",
                NESTED,
                "weight.nested_absmax",
                "bnb-nf4-nested",
            ),
        )
    ),
)


def _lies(slug: str, title: str, *steps: Step, source: Source = STATE, **more: Any) -> Case:
    return refused(slug, "bnb-state", title, bnb(NF4, *steps), source, "bnb-nf4", reasons=_REASONS, **more)


_STATES: tuple[Case, ...] = (
    _lies("bnb-state-transposed", "A state tells the shape with its sides exchanged.", _state(shape=[54, 60])),
    _lies(
        "bnb-state-flat", "A state tells a shape of one side, with the right number of elements.", _state(shape=[3240])
    ),
    _lies("bnb-state-without-shape", "A state tells no shape.", _state(shape=None)),
    _lies(
        "bnb-state-of-a-huge-shape",
        "A state tells of 2**80 elements.",
        _state(shape=[1 << 40, 1 << 40]),
        severity=Severity.RESOURCE,
        flags=("Allocation",),
    ),
    _lies(
        "bnb-state-of-another-block",
        "A state tells of blocks of 128, and the scales are those of 64.",
        _state(blocksize=128),
    ),
    _lies("bnb-state-of-no-block", "A state tells of blocks of 0.", _state(blocksize=0)),
    _lies(
        "bnb-state-of-a-huge-block",
        "A state tells of blocks of 2**62 elements.",
        _state(blocksize=1 << 62),
        severity=Severity.RESOURCE,
        flags=("Allocation",),
    ),
    _lies("bnb-state-of-another-type", "A state under the name of nf4 says fp4.", _state(quant_type="fp4")),
    _lies("bnb-state-of-no-dtype", "A state names a dtype that does not exist.", _state(dtype="bfloat15")),
    _lies("bnb-state-of-integers", "A state says that the dense weight is int8.", _state(dtype="int8")),
    _lies(
        "bnb-state-with-an-expression",
        "A state names as dtype an expression, which is a dtype once it is evaluated.",
        _state(dtype="[torch.bfloat16][0]"),
        source=_EVALUATED,
        severity=Severity.SECURITY,
        flags=("Evaluated",),
    ),
    _lies("bnb-state-that-is-no-json", "A state is not JSON.", _text("{'quant_type': 'nf4'}")),
    _lies("bnb-state-that-is-a-list", "A state is a JSON array.", _text("[64]")),
    _lies("bnb-state-that-is-deep", "A state is a thousand arrays in each other.", _text("[" * 1000 + "]" * 1000)),
    refused(
        "bnb-offset-that-is-no-number",
        "bnb-state",
        "A state says that the offset of the nested scales is NaN.",
        bnb(
            NESTED,
            _text(
                json.dumps({**_TRUE, "nested_blocksize": 256, "nested_dtype": "float32", "nested_offset": float("nan")})
            ),
        ),
        STATE,
        "bnb-nf4-nested",
        reasons=_REASONS,
    ),
    refused(
        "bnb-nested-and-no-offset",
        "bnb-state",
        "Scales are bytes, and the state says nothing of nested ones.",
        bnb(NESTED, _state()),
        STATE,
        "bnb-nf4-nested",
        reasons=_REASONS,
    ),
    refused(
        "bnb-declared-as-int8",
        "bnb-state",
        "The configuration loads in eight bits, and the weights are nf4.",
        bnb(NF4, step("set_config", "quantization_config", json.dumps(INT8.config()))),
        STATE,
        "bnb-nf4",
        reasons=_REASONS,
    ),
    refused(
        "bnb-declared-as-gptq",
        "bnb-blocks",
        "The configuration says GPTQ, and the weights are nf4.",
        bnb(Four(), step("set_config", "quantization_config", '{"quant_method": "gptq", "bits": 4, "group_size": 64}')),
        BLOCKS,
        "bnb-nf4",
        reasons=_REASONS,
    ),
)

CASES: tuple[Case, ...] = (*_ABSENT, *_SHAPES, *_STATES)
