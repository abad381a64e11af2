"""Cases of the weights: dtypes that are no dense weights, that differ, and what the configuration says of them."""

from __future__ import annotations

from conformance.corpus.model_parts import BF16, EMBEDDING, F32, FILE, HEAD, MATRICES, NORMS, QUERY, of_weights, small
from conformance.engine.case import Answer, Call, Case, Source, accept, may, needs, reject
from conformance.engine.reasons import Reason
from conformance.tools.recipe import Layout
from conformance.tools.steps import step

_INTEGERS = Source(
    "Tensors of integers were cast to the dtype of the model as they were.",
    "https://github.com/huggingface/accelerate/pull/2116",
    ("D06",),
)
_EIGHT_BITS = Source(
    "A reader that does not know FP8 must say so, and not take the bytes for something else.",
    "https://github.com/huggingface/candle/issues/2875",
    ("D13",),
)
_NO_WORD = Source(
    "Of a dtype that a library does not have, the message named an attribute and not the tensor.",
    "https://github.com/safetensors/safetensors/pull/382",
    ("D20",),
)
_WIDENED = Source(
    "Integers of eight bits were widened to 64, eight times their size, and went on as weights.",
    "https://github.com/huggingface/candle/pull/3042",
    ("D19",),
)
_FIRST_FOUND = Source(
    "Where the configuration is silent, a loader took the dtype of the first tensor for that of the whole model.",
    "https://github.com/huggingface/transformers/issues/36567",
    ("D18",),
)
_ON_PURPOSE = Source(
    "A few parameters of a BF16 model are F32 on purpose; a loader gave all of them one dtype.",
    "https://github.com/NVIDIA-NeMo/Automodel/pull/2419",
    ("D04",),
)
_NESTED = Source(
    "The dtype stood under text_config only, and a conversion cast the model to F32.",
    "https://github.com/ml-explore/mlx-lm/pull/902",
    ("G23",),
)
_WEIGHT = f"{QUERY}.weight"
_CODES = (Reason.DTYPE, Reason.MISSING_SCALE, Reason.UNKNOWN_DTYPE, Reason.SHAPE)
#: Dtypes that no dense parameter is stored in, with the source of each.
_NOT_DENSE = (
    ("BOOL", "booleans", _INTEGERS),
    ("U8", "bytes", _INTEGERS),
    ("I16", "integers of 16 bits, as wide as BF16", _INTEGERS),
    ("U16", "integers of 16 bits, as wide as BF16", _INTEGERS),
    ("U32", "integers of 32 bits", _INTEGERS),
    ("I64", "integers of 64 bits", _WIDENED),
    ("U64", "integers of 64 bits", _WIDENED),
    ("C64", "complex numbers", _INTEGERS),
    ("F8_E5M2", "FP8 with two bits of fraction", _EIGHT_BITS),
    ("F8_E4M3FNUZ", "FP8 without a negative zero", _EIGHT_BITS),
    ("F8_E8M0", "powers of two of eight bits, which are scales", _EIGHT_BITS),
    ("F4", "numbers of four bits", _NO_WORD),
    ("F6_E2M3", "numbers of six bits", _NO_WORD),
)
_BARE = tuple(
    of_weights(
        f"{dtype.lower().replace('_', '-')}-for-a-weight",
        "not-dense",
        f"The query projection is stored as {dtype}, {what}, in a model that is not quantized.",
        small(step("reform_tensor", _WEIGHT, dtype, (60, 54))),
        reject(*_CODES),
        source,
        sibling="f32",
        flags=("BareCodes",),
    )
    for dtype, what, source in _NOT_DENSE
)
_PLACES = tuple(
    of_weights(
        f"{dtype.lower().replace('_', '-')}-for-{word}",
        "not-dense",
        f"{what} is stored as {dtype}, in a model that is not quantized.",
        small(step("reform_tensor", name, dtype, shape)),
        reject(*_CODES),
        source,
        sibling="f32",
        flags=("BareCodes",),
    )
    for word, what, name, dtype, shape, source in (
        ("a-norm", "The last norm", "model.norm.weight", "I8", (54,), _INTEGERS),
        ("the-embedding", "The embedding", EMBEDDING, "F8_E4M3", (37, 54), _EIGHT_BITS),
        ("the-head", "The head", HEAD, "I8", (37, 54), _INTEGERS),
    )
)


def _mixed(slug: str, title: str, dtypes: tuple[tuple[str, str], ...], *told: tuple[str, tuple[str, ...]]) -> Case:
    """Parameters of several dtypes; what is told are the casts to one dtype that would have to be reported."""
    casts = (Answer(dtype=dtype, reported=tuple(("cast", name) for name in names)) for dtype, names in told)
    return of_weights(
        slug,
        "mixed-dtypes",
        title,
        small(dtypes=dtypes),
        accept(Answer(), *casts),
        _ON_PURPOSE,
        sibling="i32-for-a-weight",
        requires=needs(BF16, *(f"dtype:{dtype}" for _, dtype in dtypes)),
        flags=("SilentCast",),
    )


_MIXED: tuple[Case, ...] = (
    _mixed(
        "f32-head-in-a-bf16-model",
        "The head is F32 and all else is BF16: kept so, or cast and reported.",
        ((HEAD, "F32"),),
        ("BF16", (HEAD,)),
    ),
    _mixed(
        "f32-embedding-in-a-bf16-model",
        "The embedding, which comes first, is F32 and all else is BF16: kept so, or cast and reported.",
        ((EMBEDDING, "F32"),),
        ("BF16", (EMBEDDING,)),
    ),
    _mixed(
        "f64-norm-in-a-bf16-model",
        "The last norm is F64 and all else is BF16: kept so, or cast and reported.",
        (("model.norm.weight", "F64"),),
        ("BF16", ("model.norm.weight",)),
    ),
    _mixed(
        "f16-layer-in-a-bf16-model",
        "The second layer is F16 and all else is BF16, two dtypes of one size: kept so, or cast and reported.",
        (("model.layers.1.*", "F16"),),
        ("BF16", tuple(name for name in (*MATRICES, *NORMS) if ".1." in name)),
    ),
    of_weights(
        "mixed-dtypes-in-shards",
        "mixed-dtypes",
        "The norms are F32 and all else is BF16, in three shards whose first tensors are of both dtypes.",
        small(dtypes=(("*norm*", "F32"),), layout=Layout("shuffled", 3)),
        accept(Answer(), Answer(dtype="BF16", reported=tuple(("cast", name) for name in NORMS))),
        _FIRST_FOUND,
        sibling="i32-for-a-weight",
        requires=needs(BF16, F32, "sharded"),
        flags=("SilentCast",),
    ),
    of_weights(
        "mixed-dtypes-in-reverse",
        "mixed-dtypes",
        "The norms are F32 and all else is BF16; no dtype is in the configuration, and the entries stand in reverse.",
        small(step("reverse_entries", FILE), dtypes=(("*norm*", "F32"),), omit=("torch_dtype",)),
        accept(
            Answer(),
            Answer(dtype="BF16", reported=tuple(("cast", name) for name in NORMS)),
            Answer(dtype="F32", reported=tuple(("cast", name) for name in MATRICES)),
        ),
        _FIRST_FOUND,
        sibling="i32-for-a-weight",
        requires=needs(BF16, F32),
        flags=("SilentCast",),
    ),
)
_SAID: tuple[Case, ...] = (
    of_weights(
        "bf16-file-of-an-f32-model",
        "dtype",
        "The file is BF16, and the configuration says float32: kept as stored, or cast and reported.",
        small(config={"torch_dtype": "float32"}),
        accept(Answer(), Answer(dtype="F32", reported=tuple(("cast", name) for name in (*MATRICES, *NORMS)))),
        _FIRST_FOUND,
        sibling="i32-for-a-weight",
        flags=("SilentCast",),
    ),
    of_weights(
        "dtype-under-its-new-name",
        "dtype",
        "The dtype is under dtype and not under torch_dtype, as writers have it since 2025.",
        small(config={"dtype": "bfloat16"}, omit=("torch_dtype",)),
        accept(),
        _FIRST_FOUND,
        sibling="i32-for-a-weight",
    ),
    of_weights(
        "two-names-for-two-dtypes",
        "dtype",
        "The file is BF16, and the configuration says dtype float32 and torch_dtype bfloat16: as stored, or reported.",
        small(config={"dtype": "float32"}),
        accept(Answer(), Answer(dtype="F32", reported=tuple(("cast", name) for name in (*MATRICES, *NORMS)))),
        _FIRST_FOUND,
        sibling="i32-for-a-weight",
        flags=("SilentCast",),
    ),
    of_weights(
        "dtype-that-is-null",
        "dtype",
        "The dtype of the configuration is null.",
        small(config={"torch_dtype": None}),
        accept(Answer(), Answer(dtype="F32", reported=tuple(("cast", name) for name in (*MATRICES, *NORMS)))),
        _FIRST_FOUND,
        sibling="i32-for-a-weight",
        flags=("SilentCast",),
    ),
    of_weights(
        "dtype-that-does-not-exist",
        "dtype",
        "The configuration says bfloat15: no dtype has that name, and none of the parameters is stored in it.",
        small(config={"torch_dtype": "bfloat15"}),
        may(Reason.CONFIG_VALUE, Reason.CONFIG_INVALID, Reason.DTYPE),
        _FIRST_FOUND,
        sibling="i32-for-a-weight",
        flags=("UnknownDtypeName",),
    ),
    of_weights(
        "dtype-in-the-text-config",
        "dtype",
        "A BF16 file, whose configuration names the dtype under text_config only.",
        small(config={"text_config": {"torch_dtype": "bfloat16"}}, omit=("torch_dtype",)),
        may(Reason.FAMILY, Reason.CONFIG_VALUE, Reason.CONFIG_INVALID),
        _NESTED,
        sibling="i32-for-a-weight",
        flags=("NestedConfiguration", "SilentCast"),
    ),
    of_weights(
        "asked-f32-of-a-text-config",
        "cast",
        "F32 is asked of a BF16 checkpoint whose configuration stands under text_config: asked is asked.",
        small(config={"text_config": {"torch_dtype": "bfloat16"}}),
        may(Reason.FAMILY, Reason.CONFIG_VALUE, Reason.CONFIG_INVALID),
        Source(
            "The dtype that was asked for was passed over for every checkpoint with a text_config.",
            "https://github.com/huggingface/transformers/issues/46459",
            ("D12",),
        ),
        sibling="asked-f32-of-integers",
        requires=needs(BF16, "cast"),
        flags=("NestedConfiguration",),
        calls=(Call(dtype="F32"),),
    ),
    of_weights(
        "asked-for-one-dtype-and-then-another",
        "cast",
        "One process asks for F32, for no dtype, and for F16: each call gets what it asks for.",
        small(),
        accept(),
        Source(
            "What a loader remembers of a call before it gives to the next one.",
            "https://github.com/tinygrad/tinygrad/issues/6294",
        ),
        sibling="asked-f32-of-integers",
        requires=needs(BF16, "cast"),
        calls=(Call(dtype="F32"), Call(), Call(dtype="F16"), Call()),
    ),
)

CASES: tuple[Case, ...] = (*_BARE, *_PLACES, *_MIXED, *_SAID)
