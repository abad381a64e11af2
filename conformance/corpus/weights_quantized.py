"""Cases of the weights: codes of 8 bits with their scales, in the layout of compressed-tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conformance.corpus.model_parts import BF16, F16, F32, small
from conformance.corpus.quantized_parts import ASYMMETRIC, BLOCK_SIZE, BLOCKS, FLOAT, FORMAT, INT, W8A8
from conformance.engine.case import Call, Case, Severity, Source, accept, needs
from conformance.engine.claims import Level
from conformance.tools.recipe import Layout, Quantization
from conformance.tools.steps import step

if TYPE_CHECKING:
    from conformance.tools.scenario import Scenario

_LAYOUT = Source("Codes times scale, less the zero point where there is one.", FORMAT)
#: Sizes that a group of 12 columns divides, and no two alike.
_GROUPED = {"hidden_size": 48, "intermediate_size": 72}


def _sound(
    slug: str,
    title: str,
    recipe: Scenario,
    *requires: str | frozenset[str],
    clause: str = "weights.dequantized",
    source: Source = _LAYOUT,
    **more: Any,
) -> Case:
    """A checkpoint whose dense weights follow from the formula."""
    return Case(
        id=f"weights/{slug}",
        level=Level.WEIGHTS,
        clause=clause,
        severity=Severity.SILENT,
        title=title,
        recipe=recipe,
        expect=accept(),
        source=source,
        sibling="weights/missing-scale",
        requires=needs(*requires),
        **more,
    )


CASES: tuple[Case, ...] = (
    _sound(
        "int8-by-channel",
        "Int8 with a BF16 scale for each row; the head stays dense.",
        small(quantization=W8A8),
        BF16,
        INT,
    ),
    _sound(
        "int8-by-tensor",
        "Int8 with one F16 scale for a whole weight, and static scales of the activations beside it.",
        small(quantization=Quantization("int8", "tensor", activations="static"), dtype="F16"),
        F16,
        INT,
    ),
    _sound(
        "int8-by-channel-with-zero-points",
        "Int8 with a scale and a zero point for each row.",
        small(quantization=ASYMMETRIC),
        BF16,
        INT,
        clause="weights.zero-points",
    ),
    _sound(
        "int8-by-group-with-zero-points",
        "Int8 with a scale and a zero point for each twelve columns of a row.",
        small(quantization=Quantization("int8", "group", symmetric=False, group_size=12), config=_GROUPED),
        BF16,
        INT,
        clause="weights.zero-points",
    ),
    _sound("fp8-by-channel", "FP8 with a scale for each row.", small(quantization=Quantization("fp8")), BF16, FLOAT),
    _sound(
        "fp8-by-tensor",
        "FP8 with one scale for a whole weight, and static scales of the activations beside it.",
        small(quantization=Quantization("fp8", "tensor", activations="static")),
        BF16,
        FLOAT,
    ),
    _sound(
        "fp8-by-block",
        "FP8 with a scale for each block of 32 by 32: the last block of rows and that of columns are smaller.",
        small(quantization=BLOCKS),
        BF16,
        FLOAT,
        source=BLOCK_SIZE,
    ),
    _sound(
        "int8-with-f32-scales",
        "Int8 with F32 scales: without a dtype asked for, the dense weight has that of the configuration, float16.",
        small(quantization=Quantization("int8", scale_dtype="F32"), dtype="F16"),
        F16,
        F32,
        INT,
        source=Source("Scales of F32 say nothing of the dtype of a weight.", FORMAT),
    ),
    _sound(
        "fp8-with-f32-scales-and-the-new-key",
        "FP8 with F32 scales, and a configuration that names its dtype as transformers does since 4.56.",
        small(
            quantization=Quantization("fp8", scale_dtype="F32"),
            dtype="F16",
            config={"dtype": "float16"},
            omit=("torch_dtype",),
        ),
        F16,
        F32,
        FLOAT,
        source=Source(
            "The key torch_dtype became dtype.", "https://github.com/huggingface/transformers/releases/tag/v4.56.0"
        ),
    ),
    _sound(
        "int8-asked-f32",
        "F32 is asked of int8 with BF16 scales: exact, or rounded to BF16 first.",
        small(quantization=W8A8),
        BF16,
        INT,
        "cast",
        calls=(Call(dtype="F32"),),
    ),
    _sound(
        "scales-in-another-shard",
        "Int8 in three shards in a mixed order: weights and their scales lie in different files.",
        small(quantization=W8A8, layout=Layout("shuffled", 3)),
        BF16,
        INT,
        "sharded",
        source=Source(
            "The scale of a weight was looked for in the file of the weight alone.",
            "https://github.com/ModelCloud/GPTQModel/pull/2875",
            ("F45",),
        ),
    ),
    _sound(
        "one-module-left-dense",
        "Int8, but for the head and one projection, which the configuration lists as ignored.",
        small(quantization=Quantization("int8", skip=("lm_head", "model.layers.1.mlp.down_proj"))),
        BF16,
        INT,
        clause="weights.dense-modules",
        source=Source(
            "The list of modules that stay dense was not read, or matched by parts of names.",
            "https://github.com/ModelCloud/GPTQModel/pull/2889",
            ("F41", "F47"),
        ),
    ),
    _sound(
        "scales-of-the-cache",
        "Int8, and beside it scales for the cache of keys and values, which no weight needs.",
        small(
            step("add_tensor", "model.layers.0.self_attn.k_scale", "BF16", (1,)),
            step("add_tensor", "model.layers.0.self_attn.v_scale", "BF16", (1,)),
            quantization=W8A8,
        ),
        BF16,
        INT,
        source=Source(
            "Scales of the cache have had several names; a loader that knows none must not fail over them.",
            "https://github.com/sgl-project/sglang/issues/39942",
            ("F10",),
        ),
    ),
)
