"""Cases of the weights: torchao, whose layout stands in the header."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from conformance.corpus.quant_parts import (
    CONFLICT,
    DROPPED,
    LACKING,
    OTHER_FILE,
    QUERY,
    exact,
    not_finite,
    quantized,
    refused,
)
from conformance.engine.case import Call, Source
from conformance.engine.reasons import Reason
from conformance.tools.recipe import Layout
from conformance.tools.schemes.torchao import Torchao
from conformance.tools.steps import step

if TYPE_CHECKING:
    from conformance.engine.case import Case
    from conformance.tools.scenario import Scenario
    from conformance.tools.steps import Step

_LAYOUT = Source(
    "Subclasses are flattened to plain tensors; what they are is in the metadata of the header.",
    "https://github.com/pytorch/ao/tree/main/torchao/prototype/safetensors",
)
_TILED = Source(
    "Some subclasses hold the tiles of a kernel: no rule of the format says what they are worth.",
    "https://github.com/pytorch/ao/tree/main/torchao/quantization/quantize_/workflows/int4",
)
#: Columns that groups of six divide, and no power of two.
_SIXES = {"intermediate_size": 72}
_FOUND, _FILE = "torchao-int8", "model.safetensors"
_INT8, _FLOAT8 = Torchao(), Torchao("float8")
_INTX = Torchao("intx", 6, scale_dtype="BF16")
_ASYMMETRIC = Torchao("intx", 6, symmetric=False, lean=True)


def _torchao(scheme: Torchao, *steps: Step, **recipe: Any) -> Scenario:
    return quantized(scheme, *steps, figures=_SIXES, **recipe)


def _metadata(**changes: Any) -> Step:
    """The metadata of the whole file tell something else of the query projection, and of nothing but it."""
    data = {"block_size": [1, 54], "act_quant_kwargs": None, "dtype": {"_type": "torch.dtype", "_data": "bfloat16"}}
    told = {"_type": "Int8Tensor", "_data": data, "_tensor_data_names": ["qdata", "scale", "zero_point"], **changes}
    return step("add_metadata", f"{QUERY}.weight", json.dumps(told))


_EXACT: tuple[Case, ...] = (
    exact("torchao-int8", "torchao-parts", "torchao, int8 by rows.", _torchao(_INT8), _LAYOUT, "torchao-no-scale"),
    exact("torchao-float8", "torchao-parts", "torchao, FP8 by rows.", _torchao(_FLOAT8), _LAYOUT, "torchao-no-scale"),
    exact(
        "torchao-intx",
        "torchao-parts",
        "torchao, codes of four bits in bytes, in groups of six, with scales of BF16.",
        _torchao(_INTX),
        _LAYOUT,
        "torchao-no-scale",
    ),
    exact(
        "torchao-zeros-at-both-ends",
        "torchao-parts",
        "torchao, groups of six with zero points of -8 and 7.",
        _torchao(_ASYMMETRIC),
        _LAYOUT,
        "torchao-no-scale",
    ),
    exact(
        "torchao-int8-zeros-at-both-ends",
        "torchao-parts",
        "torchao, int8 by rows with zero points of -128 and 127.",
        _torchao(Torchao(symmetric=False, lean=True)),
        _LAYOUT,
        "torchao-no-scale",
    ),
    exact(
        "torchao-f16-model",
        "torchao-parts",
        "torchao of an F16 model, with scales of F32, and F32 is asked for as well.",
        _torchao(Torchao("intx", 6, dtype="F16"), dtype="F16"),
        _LAYOUT,
        "torchao-no-scale",
        "cast",
        calls=(Call(), Call(dtype="F32")),
    ),
    exact(
        "torchao-in-shards",
        "torchao-metadata",
        "torchao in four files, each of which has the metadata of its own tensors.",
        _torchao(_INTX, layout=Layout("by_count", 4)),
        OTHER_FILE,
        "torchao-without-metadata",
        "sharded",
    ),
    exact(
        "torchao-dealt-out-to-shards",
        "torchao-metadata",
        "torchao whose tensors are dealt out to five files.",
        _torchao(_ASYMMETRIC, layout=Layout("shuffled", 5)),
        OTHER_FILE,
        "torchao-without-metadata",
        "sharded",
    ),
)

_REASONS = (*CONFLICT, *LACKING, Reason.METADATA)
_BROKEN: tuple[Case, ...] = (
    refused(
        "torchao-no-scale",
        "missing-scale",
        "One of the weights of torchao has no scale.",
        _torchao(_INT8, step("remove_tensor", f"{QUERY}._weight_scale")),
        DROPPED,
        _FOUND,
        reasons=LACKING,
    ),
    refused(
        "torchao-no-codes",
        "torchao-parts",
        "One of the weights of torchao has no codes.",
        _torchao(_INT8, step("remove_tensor", f"{QUERY}._weight_qdata")),
        DROPPED,
        _FOUND,
        reasons=LACKING,
    ),
    refused(
        "torchao-scale-of-another-shape",
        "torchao-parts",
        "The scales of one weight are those of eight groups, and there are nine.",
        _torchao(_INTX, step("crop_tensor", f"{QUERY}._weight_scale", (60, 8))),
        _LAYOUT,
        "torchao-intx",
    ),
    refused(
        "torchao-zero-of-another-shape",
        "torchao-parts",
        "The zero points of one weight are those of eight groups, and there are nine.",
        _torchao(_INTX, step("crop_tensor", f"{QUERY}._weight_zero_point", (60, 8))),
        _LAYOUT,
        "torchao-intx",
    ),
    not_finite(
        "torchao-scale-that-is-no-number",
        "The first scale of a weight of torchao is not a number.",
        _torchao(_INT8, step("spoil_scale", f"{QUERY}._weight_scale", "nan")),
        "_weight_scale",
        _FOUND,
    ),
    refused(
        "torchao-without-metadata",
        "torchao-metadata",
        "A tool wrote the file again and kept no metadata but the format.",
        _torchao(_INTX, step("set_metadata", _FILE, '{"format": "pt"}')),
        _LAYOUT,
        "torchao-intx",
        reasons=_REASONS,
    ),
    *(
        refused(
            f"torchao-{word}",
            clause,
            title,
            _torchao(_INT8, _metadata(**changes)),
            _TILED if clause == "unread-layouts" else _LAYOUT,
            _FOUND,
            reasons=_REASONS,
        )
        for word, clause, title, changes in (
            (
                "tiles",
                "unread-layouts",
                "The metadata name a subclass of the tiles of a kernel.",
                {"_type": "Int4TilePackedTo4dTensor"},
            ),
            (
                "packed-int4",
                "unread-layouts",
                "The metadata name a subclass whose codes are packed.",
                {"_type": "Int4Tensor"},
            ),
            (
                "block-that-does-not-divide",
                "torchao-metadata",
                "The metadata tell of blocks of 7.",
                {"_data": {"block_size": [1, 7]}},
            ),
            (
                "block-of-zero",
                "torchao-metadata",
                "The metadata tell of blocks of 0.",
                {"_data": {"block_size": [1, 0]}},
            ),
            (
                "block-beyond-64-bits",
                "torchao-metadata",
                "The metadata tell of blocks of 2**70 columns.",
                {"_data": {"block_size": [1, 1 << 70]}},
            ),
            (
                "block-of-one-side",
                "torchao-metadata",
                "The metadata tell of blocks of one side.",
                {"_data": {"block_size": [54]}},
            ),
            ("no-block", "torchao-metadata", "The metadata tell of no block.", {"_data": {}}),
            (
                "type-of-floats",
                "torchao-metadata",
                "The metadata name FP8, and the codes are I8.",
                {"_type": "Float8Tensor"},
            ),
            (
                "plain-by-its-metadata",
                "torchao-metadata",
                "The metadata say that the weight is plain.",
                {"_type": "Tensor"},
            ),
        )
    ),
    not_finite(
        "torchao-scale-that-is-infinite",
        "The first scale of a group of torchao is infinite.",
        _torchao(_INTX, step("spoil_scale", f"{QUERY}._weight_scale", "inf")),
        "_weight_scale",
        "torchao-intx",
    ),
    refused(
        "torchao-codes-of-another-shape",
        "torchao-parts",
        "The codes of one weight lie transposed.",
        _torchao(_INT8, step("put_tensor", f"{QUERY}._weight_qdata", "I8", (54, 60), "0102fe")),
        _LAYOUT,
        _FOUND,
    ),
    refused(
        "torchao-metadata-that-are-no-json",
        "torchao-metadata",
        "The metadata of one weight are no JSON.",
        _torchao(_INT8, step("add_metadata", f"{QUERY}.weight", "Int8Tensor")),
        _LAYOUT,
        _FOUND,
        reasons=_REASONS,
    ),
    refused(
        "torchao-declared-as-awq",
        "torchao-parts",
        "The configuration says AWQ, and the weights are those of torchao.",
        _torchao(_INT8, step("set_config", "quantization_config", '{"quant_method": "awq", "bits": 8}')),
        _LAYOUT,
        _FOUND,
        reasons=CONFLICT,
    ),
)

CASES: tuple[Case, ...] = (*_EXACT, *_BROKEN)
