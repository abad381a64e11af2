"""Cases of the weights: FP8 in blocks, per tensor and per row, as Hugging Face, AutoFP8 and FBGEMM write it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from conformance.corpus.model_parts import PROJECTIONS
from conformance.corpus.quant_parts import (
    OTHER_FILE,
    QUERY,
    THIRTY_TWOS,
    exact,
    quantized,
)
from conformance.engine.case import Call, Source
from conformance.tools.recipe import Layout
from conformance.tools.schemes.fp8 import AUTO_FP8, FBGEMM, PER_TENSOR, Fp8
from conformance.tools.steps import step

if TYPE_CHECKING:
    from conformance.engine.case import Case
    from conformance.tools.scenario import Scenario
    from conformance.tools.schemes.fp8 import ScaleDtype
    from conformance.tools.steps import Step

BLOCK = Source(
    "The size of a block was taken for a quotient of shapes, and every scale behind the first block shifted.",
    "https://github.com/NVIDIA/TensorRT-Model-Connect/pull/1115",
    ("F01",),
)
_CUT = Source(
    "Weights whose sides no block divides were refused.",
    "https://github.com/huggingface/transformers/pull/36026",
    ("F34",),
)
NAME = Source(
    "The name says inverse, and the scale multiplies: the name is history.",
    "https://huggingface.co/deepseek-ai/DeepSeek-V3/blob/main/inference/kernel.py",
)
_POWERS = Source(
    "Scales that are stored as powers of two had no dtype in a loader.",
    "https://github.com/unslothai/unsloth/pull/6848",
    ("F35",),
)
_ROUNDED = Source(
    "Only the scale that is stored was rounded to a power of two, and not the one that made the codes.",
    "https://github.com/huggingface/transformers/pull/46763",
    ("F03",),
)
_LISTED = Source(
    "A list of dense modules was held against parts of names: lm_head against lm_head_extra.",
    "https://github.com/ModelCloud/GPTQModel/pull/2889",
    ("F39", "F47"),
)
_OWN = Source(
    "Query, key and value projections have a scale each; one of the three was taken for all.",
    "https://github.com/vllm-project/vllm/pull/4332",
    ("F08",),
)
_OTHER_FLOAT = Source(
    "On devices of another FP8 codes were read with its bias, and 0x80, minus zero, as no number.",
    "https://github.com/vllm-project/vllm/pull/47201",
    ("F19",),
)
ROWS = Source(
    "FBGEMM has a scale for each row, where the method fp8 has one for a block or the whole.",
    "https://github.com/huggingface/transformers/blob/main/src/transformers/integrations/fbgemm_fp8.py",
)
SHAPES = Source(
    "A scale of one number has no axis in some files, and one in others.", "https://github.com/neuralmagic/AutoFP8"
)
BLOCKS = Fp8()
_SOME_DENSE = replace(
    BLOCKS,
    skip=(
        "lm_head",
        *(f"model.layers.1.{each}" for each in PROJECTIONS),
        *(f"model.layers.{layer}.mlp.down_proj" for layer in range(12)),
    ),
    more=(("modules_to_not_convert", ("lm_head", "model.layers.1", "mlp.down_proj")),),
)

#: Of each dtype that holds exponents: words for an id, words for a title, and the dtype.
_EXPONENTS: tuple[tuple[str, str, ScaleDtype], ...] = (
    ("powers-of-two", "F8_E8M0", "F8_E8M0"),
    ("bytes-of-exponents", "bytes", "U8"),
)


def fp8(scheme: Fp8, *steps: Step, figures: dict[str, Any] | None = None, **recipe: Any) -> Scenario:
    """A checkpoint of FP8."""
    return quantized(scheme, *steps, figures=figures, **recipe)


_IN_BLOCKS: tuple[Case, ...] = (
    exact(
        "fp8-in-blocks",
        "block-scales",
        "FP8 with an F32 scale for each block of 32 by 32: the last ones are smaller.",
        fp8(BLOCKS),
        BLOCK,
        "fp8-in-blocks-of-a-smaller-grid",
    ),
    exact(
        "fp8-in-blocks-that-divide",
        "block-scales",
        "FP8 in blocks of 32 by 16 that divide the columns of each weight, and the rows of some.",
        fp8(Fp8(block=(32, 16)), figures=THIRTY_TWOS),
        NAME,
        "fp8-in-blocks-of-a-smaller-grid",
    ),
    exact(
        "fp8-in-large-blocks",
        "block-scales",
        "FP8 in blocks of 128 by 128, larger than any weight: one scale each, on a grid of one cell.",
        fp8(Fp8(block=(128, 128))),
        _CUT,
        "fp8-in-blocks-of-a-smaller-grid",
    ),
    exact(
        "fp8-in-blocks-in-f16",
        "block-scales",
        "FP8 in blocks in a model of F16: scales of F32 say nothing of the dtype of a weight.",
        fp8(BLOCKS, dtype="F16"),
        _CUT,
        "fp8-in-blocks-of-a-smaller-grid",
    ),
    exact(
        "fp8-in-blocks-asked-f32",
        "block-scales",
        "F32 is asked of FP8 in blocks.",
        fp8(BLOCKS),
        _ROUNDED,
        "fp8-in-blocks-of-a-smaller-grid",
        "cast",
        calls=(Call(dtype="F32"),),
    ),
    exact(
        "fp8-in-blocks-with-bf16-scales",
        "block-scales",
        "FP8 in blocks with BF16 scales.",
        fp8(Fp8(scales="BF16")),
        NAME,
        "fp8-in-blocks-of-a-smaller-grid",
    ),
    *(
        exact(
            f"fp8-in-blocks-with-{slug}",
            "block-exponents",
            f"FP8 in blocks whose scales are powers of two, stored as {what}.",
            fp8(Fp8(scales=scales)),
            _POWERS,
            "fp8-in-blocks-of-a-power-that-is-no-number",
        )
        for slug, what, scales in _EXPONENTS
    ),
    exact(
        "fp8-in-blocks-with-powers-of-two-as-floats",
        "block-scales",
        "FP8 in blocks whose scales were rounded to powers of two before the codes were made, and are stored as F32.",
        fp8(Fp8(powers=True)),
        _ROUNDED,
        "fp8-in-blocks-of-a-smaller-grid",
    ),
    exact(
        "mxfp8-as-a-method",
        "block-exponents",
        "The method mxfp8: blocks of one row and 32 columns, with powers of two.",
        fp8(Fp8("mxfp8", (1, 32), scales="F8_E8M0"), figures=THIRTY_TWOS),
        _POWERS,
        "fp8-in-blocks-of-a-power-that-is-no-number",
    ),
    exact(
        "fp8-in-blocks-in-other-shards",
        "missing-scale",
        "FP8 in blocks in three shards in a mixed order: codes and scales lie in different files.",
        fp8(BLOCKS, layout=Layout("shuffled", 3)),
        OTHER_FILE,
        "fp8-in-blocks-without-scale",
        "sharded",
    ),
    exact(
        "fp8-in-blocks-of-minus-zero",
        "fp8-codes",
        "Among the codes are 0x80, minus zero, the subnormal numbers of both signs, and the largest ones.",
        fp8(BLOCKS, step("poke_tensor", f"{QUERY}.weight", 0, "80800001870807887efe")),
        _OTHER_FLOAT,
        "fp8-in-blocks-without-scale",
    ),
    exact(
        "fp8-in-blocks-but-for-some-modules",
        "dense-components",
        "A list leaves layer 1 and the down projections dense, of twelve layers: layers 10 and 11 are not meant.",
        fp8(_SOME_DENSE, figures={"num_hidden_layers": 12}),
        _LISTED,
        "fp8-in-blocks-without-scale",
    ),
)
_WHOLE: tuple[Case, ...] = (
    exact(
        "fp8-per-tensor",
        "scalar-scales",
        "AutoFP8: one scale without an axis, and a static scale of the activations beside it.",
        fp8(AUTO_FP8),
        SHAPES,
        "fp8-per-tensor-without-scale",
    ),
    exact(
        "fp8-per-tensor-with-an-axis",
        "scalar-scales",
        "One scale with an axis of one, and no scale of the activations.",
        fp8(replace(AUTO_FP8, shape=(1,), activations=None)),
        SHAPES,
        "fp8-per-tensor-without-scale",
    ),
    exact(
        "fp8-per-tensor-of-transformers",
        "scalar-scales",
        "transformers without blocks: weight_scale_inv without an axis, and activation_scale beside it.",
        fp8(PER_TENSOR),
        NAME,
        "fp8-per-tensor-without-scale",
    ),
    exact(
        "fp8-per-tensor-of-unlike-scales",
        "own-scales",
        "The scale of the query projection is a hundred times that of key and value: each has its own.",
        fp8(AUTO_FP8, step("put_tensor", f"{QUERY}.weight_scale", "F32", (), "0000003f")),
        _OWN,
        "fp8-per-tensor-without-scale",
    ),
    exact(
        "fp8-per-row-of-fbgemm",
        "row-scales",
        "FBGEMM: an F32 scale for each row.",
        fp8(FBGEMM),
        ROWS,
        "fp8-per-row-of-one-scale",
    ),
    exact(
        "fp8-per-row-in-f16",
        "row-scales",
        "FBGEMM in a model of F16, but for one projection that is listed as dense.",
        fp8(replace(FBGEMM, skip=("lm_head", "model.layers.1.mlp.down_proj")), dtype="F16"),
        ROWS,
        "fp8-per-row-of-one-scale",
    ),
)

CASES: tuple[Case, ...] = (*_IN_BLOCKS, *_WHOLE)
