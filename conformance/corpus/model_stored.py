"""Cases of the model: logits of several texts, and of weights in every layout, dtype and scheme."""

from __future__ import annotations

from conformance.corpus.logits_parts import DEFAULT_ROPE, LONG, logits_case, texts
from conformance.corpus.model_parts import F32, LLAMA_CONFIG, small
from conformance.engine.case import Call, Case, Source, Tokens, reject
from conformance.engine.reasons import Reason
from conformance.tools.recipe import Layout, Quantization
from conformance.tools.steps import step

_APART = Source(
    "Tensors that belong together lay in different files, and a loader looked in one.",
    "https://github.com/huggingface/optimum-neuron/issues/1111",
    ("K13",),
)
_WIDENED = Source(
    "Parameters that are F32 on purpose were cast with the rest.",
    "https://github.com/NVIDIA-NeMo/Automodel/pull/2419",
    ("D04",),
)
_LOST_SCALE = Source(
    "Scales that were dropped made weights up to a hundred times too large.",
    "https://github.com/vllm-project/vllm/issues/54623",
    ("F10",),
)
_STATE = Source(
    "The second text was computed behind what was left of the first.",
    "https://github.com/casper-hansen/AutoAWQ/issues/170",
)

_TEXTS: tuple[Case, ...] = tuple(
    logits_case(
        slug,
        "texts",
        title,
        small(config=config),
        DEFAULT_ROPE,
        source=Source("The logits of a position are those of the tokens up to it, and of no others.", LLAMA_CONFIG)
        if slug != "four-texts"
        else _STATE,
        sibling="unknown-scaling",
        calls=calls,
    )
    for slug, title, config, calls in (
        ("batch-of-two", "Two texts in one batch.", {}, (Call(tokens=Tokens(64, batch=2)),)),
        ("batch-of-three", "Three texts in one batch.", {}, (Call(tokens=Tokens(41, batch=3)),)),
        ("one-token", "A text of one token, behind one of 48.", {}, texts(48, 1)),
        ("four-texts", "Four texts in one process, each of another length.", {}, texts(90, 48, 130, 60)),
        (
            "vocabulary-of-two",
            "Two tokens, the first and the last, and a text that repeats them.",
            {"vocab_size": 2},
            texts(64),
        ),
        ("vocabulary-of-many", "A vocabulary of 1,031 tokens.", {"vocab_size": 1031}, LONG),
    )
)
_LAYOUTS: tuple[Case, ...] = tuple(
    logits_case(
        f"layout-{word}",
        "layouts",
        f"The weights lie {what}.",
        small(*steps, layout=layout),
        DEFAULT_ROPE,
        *needed,
        source=_APART,
        sibling="shard-that-is-missing",
    )
    for word, what, layout, needed, steps in (
        ("by-size", "in shards of 40 kB, as a writer cuts them", Layout("by_size", 40_000), ("sharded",), ()),
        ("dealt-out", "in five shards, dealt out", Layout("shuffled", 5), ("sharded",), ()),
        ("without-an-index", "in three shards without an index", Layout("indexless", 3), ("sharded", "indexless"), ()),
        (
            "linked",
            "in three shards that are links, as in the cache of the hub",
            Layout("by_count", 3),
            ("sharded",),
            (step("link_to_blobs"),),
        ),
        ("turned-round", "in one file, in reverse", Layout(), (), (step("reverse_data"),)),
    )
)
_LOST: tuple[Case, ...] = (
    logits_case(
        "shard-that-is-missing",
        "layouts",
        "One of three shards is not there.",
        small(step("missing_shard"), layout=Layout("by_count", 3)),
        "sharded",
        source=_APART,
        sibling="layout-dealt-out",
        expect=reject(Reason.MISSING_SHARD, Reason.MISSING_TENSOR, Reason.MISSING_FILE),
        flags=("Filled",),
    ),
)
_DTYPES: tuple[Case, ...] = (
    *(
        logits_case(
            slug,
            "dtypes",
            title,
            small(**recipe),
            DEFAULT_ROPE,
            *(f"dtype:{dtype}" for dtype in dtypes),
            source=_WIDENED,
            sibling="weights-of-integers",
        )
        for slug, title, recipe, dtypes in (
            ("weights-in-f64", "All weights are F64.", {"dtype": "F64"}, ("F64",)),
            ("weights-in-f32", "All weights are F32.", {"dtype": "F32"}, ("F32",)),
            ("weights-in-f16", "All weights are F16.", {"dtype": "F16"}, ("F16",)),
            ("norms-in-f32", "Norms are F32, all else is BF16.", {"dtypes": (("*norm*", "F32"),)}, ("BF16", "F32")),
            (
                "weights-of-three-dtypes",
                "Attention is F16, norms are F32, all else is BF16.",
                {"dtypes": (("*self_attn*", "F16"), ("*norm*", "F32"))},
                ("BF16", "F16", "F32"),
            ),
        )
    ),
    logits_case(
        "weights-of-integers",
        "dtypes",
        "The query projection of the second layer is of 32-bit integers, and there is no scale.",
        small(step("reform_tensor", "model.layers.1.self_attn.q_proj.weight", "I32", (60, 54))),
        source=Source(
            "Tensors of integers were cast to floats, and passed for weights.",
            "https://github.com/huggingface/accelerate/pull/2116",
            ("D06",),
        ),
        sibling="norms-in-f32",
        expect=reject(Reason.DTYPE, Reason.MISSING_SCALE, Reason.SCHEME_CONFLICT),
        flags=("BareCodes",),
    ),
)
_QUANTIZED: tuple[Case, ...] = (
    *(
        logits_case(
            slug,
            "quantized",
            title,
            small(quantization=quantization, dtype="F32"),
            DEFAULT_ROPE,
            f"quant:{family}",
            *F32,
            source=_LOST_SCALE,
            sibling="int8-without-a-scale",
        )
        for slug, title, family, quantization in (
            (
                "int8",
                "Int8 with a scale for each row, in F32: the logits of the dequantized weights.",
                "ct-int",
                Quantization("int8"),
            ),
            (
                "int8-of-groups",
                "Int8 with a scale for each group of eighteen columns, in F32.",
                "ct-int",
                Quantization("int8", "group", group_size=3, activations=None),
            ),
            (
                "int8-with-zero-points",
                "Int8 with a scale and a zero point for each row, in F32.",
                "ct-int",
                Quantization("int8", symmetric=False),
            ),
            ("fp8", "FP8 with a scale for each row, in F32.", "ct-float", Quantization("fp8")),
            (
                "fp8-of-blocks",
                "FP8 with a scale for each block of sixteen by sixteen, in F32.",
                "ct-float",
                Quantization("fp8", "block", block=(16, 16)),
            ),
        )
    ),
    logits_case(
        "int8-without-a-scale",
        "quantized",
        "Int8, and one of the weights has no scale.",
        small(step("missing_scale"), quantization=Quantization("int8"), dtype="F32"),
        "quant:ct-int",
        *F32,
        source=_LOST_SCALE,
        sibling="int8",
        expect=reject(Reason.MISSING_SCALE, Reason.MISSING_TENSOR),
        flags=("BareCodes",),
    ),
)

CASES: tuple[Case, ...] = (*_TEXTS, *_LAYOUTS, *_LOST, *_DTYPES, *_QUANTIZED)
