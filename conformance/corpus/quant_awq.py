"""Cases of the weights: AWQ, gemm and gemv, exact."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conformance.corpus.quant_parts import (
    AUTOAWQ,
    EIGHTS,
    OTHER_FILE,
    exact,
    quantized,
)
from conformance.engine.case import Call, Source
from conformance.tools.recipe import Layout
from conformance.tools.schemes.awq import Awq

if TYPE_CHECKING:
    from conformance.engine.case import Case
    from conformance.tools.scenario import Scenario
    from conformance.tools.steps import Step


ORDER = Source(
    "Columns lie in a word in the order 0, 2, 4, 6, 1, 3, 5, 7: readers that took them in sequence scrambled them.",
    "https://github.com/vllm-project/llm-compressor/pull/2440",
    ("F16",),
)
GEMV = Source(
    "gemv packs along the inputs, in sequence, and pads the groups to whole words.",
    f"{AUTOAWQ}/blob/main/awq/modules/linear/gemv.py",
)
ZEROS = Source(
    "A conversion took one from each zero, as GPTQ has them: 57,276 of 0 became 15.",
    "https://github.com/ModelCloud/GPTQModel/issues/2350",
    ("F15",),
)
_NO_ZEROS = Source(
    "Without zeros the codes are symmetric around 8.",
    "https://github.com/vllm-project/compressed-tensors",
)
_DENSE = Source(
    "A module that stays dense was listed under the name that it has once fused, and was quantized all the same.",
    "https://github.com/sgl-project/sglang/pull/26213",
    ("F39",),
)
_OWN_NAMES = Source(
    "The library's own file calls its settings w_bit and q_group_size, in letters of either case.",
    f"{AUTOAWQ}/blob/main/awq/models/_config.py",
)

GEMM, ROWWISE = Awq(), Awq("gemv")
_NATIVE = (("bits", None), ("group_size", None), ("w_bit", 4), ("q_group_size", 32), ("version", "GEMM"))

#: Columns that groups of 128 divide.
_WIDE = {"hidden_size": 256, "intermediate_size": 384, "head_dim": 8, "num_key_value_heads": 4}


def awq(scheme: Awq, *steps: Step, figures: dict[str, Any] | None = None, **recipe: Any) -> Scenario:
    """A checkpoint of AWQ whose sizes fill words."""
    return quantized(scheme, *steps, figures={**EIGHTS, **(figures or {})}, **recipe)


_CODES: tuple[Case, ...] = (
    exact(
        "awq-gemm",
        "awq-order",
        "AWQ, gemm: transposed, eight outputs to a word, in an order of their own.",
        awq(GEMM),
        ORDER,
        "awq-no-scales",
    ),
    exact(
        "awq-gemv",
        "awq-order",
        "AWQ, gemv: as the weight lies, in sequence, with groups that are padded to 32.",
        awq(ROWWISE),
        GEMV,
        "awq-no-scales",
    ),
    exact(
        "awq-gemv-of-one-group",
        "awq-order",
        "AWQ, gemv, with one group for a row, padded to eight.",
        awq(Awq("gemv", -1)),
        GEMV,
        "awq-no-scales",
    ),
    *(
        exact(
            f"awq-gemv-groups-of-{size}",
            "awq-order",
            f"AWQ, gemv, in groups of {size}: zeros and scales are padded to {what}.",
            awq(Awq("gemv", size), figures=_WIDE),
            GEMV,
            "awq-no-scales",
        )
        for size, what in ((64, "whole pairs of words"), (128, "whole words"))
    ),
    exact(
        "awq-gemm-of-one-group",
        "awq-order",
        "AWQ, gemm, with one group for a row.",
        awq(Awq(group_size=-1)),
        ORDER,
        "awq-no-scales",
    ),
    exact(
        "awq-f16-model",
        "awq-order",
        "AWQ of a model that is F16 as its scales are, and F32 is asked for as well.",
        awq(GEMM, dtype="F16"),
        ORDER,
        "awq-no-scales",
        "cast",
        calls=(Call(), Call(dtype="F32")),
    ),
    exact(
        "awq-bf16-scales",
        "awq-order",
        "AWQ with scales of BF16.",
        awq(Awq(scale_dtype="BF16")),
        ORDER,
        "awq-no-scales",
    ),
    exact(
        "awq-f32-scales",
        "awq-order",
        "AWQ, gemv, with scales of F32: the dense weights have the dtype of the configuration.",
        awq(Awq("gemv", scale_dtype="F32")),
        GEMV,
        "awq-no-scales",
        "dtype:F32",
    ),
    exact(
        "awq-in-many-files",
        "awq-order",
        "AWQ in seven files, its tensors dealt out to them.",
        awq(GEMM, layout=Layout("shuffled", 7)),
        OTHER_FILE,
        "awq-no-scales",
        "sharded",
    ),
    exact(
        "awq-settings-under-their-own-names",
        "awq-order",
        "AWQ whose settings are w_bit, q_group_size and GEMM.",
        awq(Awq(more=_NATIVE)),
        _OWN_NAMES,
        "awq-no-scales",
    ),
    exact(
        "awq-dense-attention-under-a-fused-name",
        "dense-modules",
        "AWQ that leaves query, key and value dense, and lists them as qkv_proj.",
        awq(Awq(dense=("lm_head", "q_proj", "k_proj", "v_proj"), listed=("lm_head", "qkv_proj"))),
        _DENSE,
        "awq-no-scales",
    ),
    exact(
        "awq-dense-attention-under-its-names",
        "dense-modules",
        "AWQ that leaves the attention dense, and lists it as self_attn.",
        awq(Awq(dense=("lm_head", "q_proj", "k_proj", "v_proj", "o_proj"), listed=("lm_head", "self_attn"))),
        _DENSE,
        "awq-no-scales",
    ),
)

_POINTS: tuple[Case, ...] = (
    *(
        exact(
            f"awq-zeros-at-both-ends-of-{form}",
            "awq-zeros",
            f"AWQ, {form}, with zeros of 0 and 15, stored as they are.",
            awq(Awq(form, lean=True)),
            ZEROS,
            "awq-zeros-declared-and-none",
        )
        for form in ("gemm", "gemv")
    ),
    exact(
        "awq-no-zeros",
        "awq-zeros",
        "AWQ without zeros, which the configuration says: each is 8.",
        awq(Awq(zeros=False)),
        _NO_ZEROS,
        "awq-zeros-declared-and-none",
    ),
    exact(
        "awq-gemv-no-zeros",
        "awq-zeros",
        "AWQ, gemv, without zeros: each is 8.",
        awq(Awq("gemv", zeros=False)),
        _NO_ZEROS,
        "awq-zeros-declared-and-none",
    ),
)

CASES: tuple[Case, ...] = (*_CODES, *_POINTS)
