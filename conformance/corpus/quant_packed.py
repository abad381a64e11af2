"""Cases of the weights: pack-quantized of compressed-tensors, integers of 1 to 8 bits in words of 32."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.corpus.quant_parts import (
    COMPRESSED,
    OTHER_FILE,
    PACKED,
    QUERY,
    TWELVES,
    TWO_WIDTHS,
    exact,
    quantized,
    told_weights,
)
from conformance.engine.case import Call, Source
from conformance.tools.recipe import Layout
from conformance.tools.schemes.ct_pack import Packed
from conformance.tools.steps import step

if TYPE_CHECKING:
    from typing import Any

    from conformance.engine.case import Case
    from conformance.tools.scenario import Scenario
    from conformance.tools.steps import Step

GROUPS = Packed()
ASYMMETRIC = Packed(symmetric=False)
DEALT_OUT = Packed(order="group", version="0.17.1")
#: Columns for which the two layouts of 3, 5, 6 and 7 bits need different numbers of words, and that fill none.
WIDER = {"hidden_size": 62, "intermediate_size": 93, "head_dim": 16}
#: Columns for which codes of 3 bits need as many words in either layout, and lie differently in them.
TIES = {"hidden_size": 24, "intermediate_size": 30, "head_dim": 4}
OLD = "0.17.1"

_SCALES = Source("A scale of BF16 or F16 has the dtype of the weight; one of F32 leaves it to the model.", COMPRESSED)
_NUMBERS: tuple[tuple[int, str], ...] = ((3, "three"), (5, "five"), (6, "six"), (7, "seven"))


def by_channel(bits: int, **more: object) -> Packed:
    """Codes with a scale for each row."""
    facts: dict[str, object] = {"strategy": "channel", "group_size": None, **more}
    return Packed(bits, **facts)  # type: ignore[arg-type]


def with_groups(*steps: Step, scheme: Packed = GROUPS, **block: Any) -> Scenario:
    """Codes of four bits by groups, changed; `block` are other arguments of the weights."""
    said = {"quantization_config": told_weights(scheme, **block)} if block else {}
    return quantized(scheme, *steps, figures={**TWELVES, **said})


_WIDTHS = tuple(
    exact(
        f"packed-{word}-bits{how}",
        "packed-width",
        f"Codes of {word} bits, {what}; the columns fill no word.",
        quantized(by_channel(bits, padded=padded, version=version), figures=WIDER),
        TWO_WIDTHS,
        "packed-of-one-word-less",
    )
    for bits, word in _NUMBERS
    for how, what, padded, version in (
        ("", "which straddle words", False, "0.19.0"),
        ("-in-whole-words", "as many as fit whole in a word", True, OLD),
    )
)
_SAID_OTHERWISE = (
    exact(
        "packed-three-bits-of-a-newer-release",
        "packed-width",
        "Codes of three bits, ten in a word: the width says so, and the release that is named would straddle.",
        quantized(by_channel(3, padded=True), figures=WIDER),
        TWO_WIDTHS,
        "packed-of-one-word-less",
    ),
    exact(
        "packed-three-bits-of-an-older-release",
        "packed-width",
        "Codes of three bits straddle words: the width says so, and the release that is named would not.",
        quantized(by_channel(3, version=OLD), figures=WIDER),
        TWO_WIDTHS,
        "packed-of-one-word-less",
    ),
    exact(
        "packed-three-bits-of-one-width-old",
        "packed-width",
        "Codes of three bits in columns for which both layouts have one width: ten in a word, by the release.",
        quantized(by_channel(3, padded=True, version=OLD), figures=TIES),
        TWO_WIDTHS,
        "packed-of-one-word-less",
    ),
    exact(
        "packed-three-bits-of-one-width-new",
        "packed-width",
        "Codes of three bits in columns for which both layouts have one width: straddling, by the release.",
        quantized(by_channel(3), figures=TIES),
        TWO_WIDTHS,
        "packed-of-one-word-less",
    ),
)
_CODES: tuple[Case, ...] = (
    exact(
        "packed-four-bits-by-group",
        "packed-offset",
        "Codes of four bits with a scale for each twelve columns: a group ends within a word.",
        quantized(GROUPS, figures=TWELVES),
        PACKED,
        "packed-without-scale",
    ),
    exact(
        "packed-four-bits-by-channel",
        "packed-rows",
        "Codes of four bits with a scale for each row; a row fills no word, and the next one begins a word.",
        quantized(by_channel(4)),
        PACKED,
        "packed-of-one-word-less",
    ),
    exact(
        "packed-four-bits-by-tensor",
        "packed-offset",
        "Codes of four bits with one scale for the whole weight.",
        quantized(Packed(4, "tensor", None)),
        PACKED,
        "packed-without-scale",
    ),
    exact(
        "packed-eight-bits",
        "packed-offset",
        "Codes of eight bits in words, four in each, with a scale for each row.",
        quantized(by_channel(8)),
        PACKED,
        "packed-without-scale",
    ),
    exact(
        "packed-one-bit",
        "packed-bits",
        "Codes of one bit, which stand for 0 and -1.",
        quantized(by_channel(1)),
        PACKED,
        "packed-of-other-bits",
    ),
    exact(
        "packed-two-bits",
        "packed-bits",
        "Codes of two bits, sixteen in a word.",
        quantized(by_channel(2)),
        PACKED,
        "packed-of-other-bits",
    ),
    exact(
        "packed-head",
        "packed-offset",
        "Codes of four bits, and the head among them: the configuration ignores nothing.",
        quantized(Packed(skip=()), figures=TWELVES),
        Source(
            "A quantized head was taken for a dense one.",
            "https://github.com/sgl-project/sglang/issues/35228",
            ("F23",),
        ),
        "packed-without-scale",
    ),
    exact(
        "packed-but-for-one-module",
        "dense-modules",
        "Codes of four bits, but for the head and one projection, which the configuration lists as ignored.",
        quantized(Packed(skip=("lm_head", "model.layers.1.mlp.down_proj")), figures=TWELVES),
        Source(
            "The list of modules that stay dense was not read, or matched by parts of names.",
            "https://github.com/ModelCloud/GPTQModel/pull/2889",
            ("F41", "F47"),
        ),
        "packed-without-scale",
    ),
    exact(
        "packed-parts-in-other-shards",
        "missing-scale",
        "Codes, zero points, scales and shapes lie in three shards in a mixed order.",
        quantized(ASYMMETRIC, figures=TWELVES, layout=Layout("shuffled", 3)),
        OTHER_FILE,
        "packed-without-scale",
        "sharded",
    ),
    exact(
        "packed-shapes-of-32-bits",
        "packed-shape",
        "The shape beside one of the packed weights is I32, as the text of the format once had it.",
        with_groups(step("put_tensor", f"{QUERY}.weight_shape", "I32", (2,), "3c00000030000000")),
        PACKED,
        "packed-shape-exchanged",
    ),
    exact(
        "packed-with-biases",
        "packed-offset",
        "Codes of four bits, and a dense bias beside each of them.",
        quantized(GROUPS, figures={**TWELVES, "attention_bias": True, "mlp_bias": True}),
        Source(
            "A bias that came before its weight made a loader quantize a weight that was not there yet.",
            "https://github.com/huggingface/accelerate/pull/2805",
            ("F51",),
        ),
        "packed-without-scale",
        "bias",
    ),
)
_DTYPES: tuple[Case, ...] = (
    exact(
        "packed-in-f16",
        "packed-offset",
        "Codes of four bits with F16 scales, in a model of F16.",
        quantized(GROUPS, figures=TWELVES, dtype="F16"),
        _SCALES,
        "packed-without-scale",
    ),
    exact(
        "packed-with-f32-scales",
        "packed-offset",
        "Codes of four bits with F32 scales: without a dtype asked for, the dense weight is F16 as the model.",
        quantized(Packed(scale_dtype="F32"), figures=TWELVES, dtype="F16"),
        _SCALES,
        "packed-without-scale",
        "dtype:F32",
    ),
    exact(
        "packed-asked-f32",
        "packed-offset",
        "F32 is asked of codes with BF16 scales: exact, or rounded to BF16 first.",
        quantized(ASYMMETRIC, figures=TWELVES),
        _SCALES,
        "packed-without-scale",
        "cast",
        calls=(Call(dtype="F32"),),
    ),
)

CASES: tuple[Case, ...] = (*_CODES, *_WIDTHS, *_SAID_OTHERWISE, *_DTYPES)
