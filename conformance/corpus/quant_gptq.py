"""Cases of the weights: GPTQ, its codes and its groups, exact."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conformance.corpus.quant_parts import (
    CONFLICT,
    GPTQMODEL,
    OTHER_FILE,
    WORDS,
    exact,
    of_scheme,
    quantized,
)
from conformance.engine.case import Call, Source, may
from conformance.engine.reasons import Reason
from conformance.tools.recipe import Layout
from conformance.tools.schemes.gptq import Gptq
from conformance.tools.schemes.partly import Partly
from conformance.tools.steps import step

if TYPE_CHECKING:
    from conformance.engine.case import Case
    from conformance.tools.scenario import Scenario
    from conformance.tools.steps import Step


LAYOUT = Source(
    "Codes lie transposed, as a stream of bits down the inputs of each output; zeros as one along the outputs.",
    f"{GPTQMODEL}/blob/main/gptqmodel/nn_modules/qlinear/torch.py",
)
STRADDLING = Source(
    "One was added to whole words, which is wrong for the fields of three bits that lie in two.",
    f"{GPTQMODEL}/pull/2763",
    ("F27",),
)
ACT_ORDER = Source(
    "A transformation did not look at the index of groups until a review asked for an error.",
    "https://github.com/ml-explore/mlx-lm/pull/730",
    ("F17",),
)
_SYMMETRIC = Source(
    "Zeros of a symmetric file are stored, and say nothing new: a kernel without zeros got them and failed.",
    "https://github.com/vllm-project/vllm/pull/21066",
    ("F37",),
)
_MIXED = Source(
    "Bits that differ by tensor were taken for the same in all: fluent text, and wrong.",
    "https://github.com/danveloper/flash-moe/pull/13",
    ("F29",),
)
_HEAD = Source(
    "A head is quantized where lm_head says so, and has the parts of any other weight.",
    f"{GPTQMODEL}/blob/main/gptqmodel/quantization/config.py",
)
FOUR = Gptq()
ASYMMETRIC = Gptq(symmetric=False)
DEALT_OUT = Gptq(symmetric=False, order=True)

#: The projections of the attention are dense, as GPTQModel says it: a minus before the expression.
_MLP_ALONE = Partly(Gptq(more=(("dynamic", {"-:.*self_attn.*": {}}),)), ("q_proj", "k_proj", "v_proj", "o_proj"))


def gptq(scheme: Gptq, *steps: Step, figures: dict[str, Any] | None = None, **recipe: Any) -> Scenario:
    """A checkpoint of GPTQ whose sizes fill words."""
    return quantized(scheme, *steps, figures={**WORDS, **(figures or {})}, **recipe)


_CODES: tuple[Case, ...] = (
    exact(
        "gptq-four-bits",
        "gptq-codes",
        "GPTQ of four bits, symmetric, in groups of 32; the rows of key and value fill no word of zeros.",
        gptq(FOUR),
        _SYMMETRIC,
        "gptq-width-of-no-bits",
    ),
    exact(
        "gptq-eight-bits",
        "gptq-codes",
        "GPTQ of eight bits: the highest field of a word has the sign of the word.",
        gptq(Gptq(8)),
        LAYOUT,
        "gptq-width-of-no-bits",
    ),
    exact(
        "gptq-three-bits",
        "gptq-codes",
        "GPTQ of three bits, whose codes and zeros straddle words.",
        gptq(Gptq(3, symmetric=False)),
        STRADDLING,
        "gptq-width-of-no-bits",
    ),
    exact(
        "gptq-two-bits",
        "gptq-codes",
        "GPTQ of two bits, with zeros.",
        gptq(Gptq(2, symmetric=False)),
        LAYOUT,
        "gptq-width-of-no-bits",
    ),
    exact(
        "gptq-bits-that-differ",
        "gptq-codes",
        "GPTQ of four bits, and of eight in the down projections, as dynamic says.",
        gptq(Gptq(exceptions=(("down_proj", 8),))),
        _MIXED,
        "gptq-other-bits-declared",
    ),
    exact(
        "gptq-but-for-some-modules",
        "dense-modules",
        "GPTQ of all but the attention, which an expression of dynamic leaves dense.",
        quantized(_MLP_ALONE, figures=WORDS),
        _MIXED,
        "gptq-no-scales",
    ),
    exact(
        "gptq-f16-model",
        "gptq-codes",
        "GPTQ of a model that is F16 as its scales are.",
        gptq(FOUR, dtype="F16"),
        LAYOUT,
        "gptq-width-of-no-bits",
    ),
    exact(
        "gptq-f32-scales",
        "gptq-codes",
        "GPTQ with scales of F32: the dense weights have the dtype of the configuration, rounded once.",
        gptq(Gptq(scale_dtype="F32", symmetric=False)),
        LAYOUT,
        "gptq-width-of-no-bits",
        "dtype:F32",
    ),
    exact(
        "gptq-bf16-scales-asked-for-f32",
        "gptq-codes",
        "GPTQ with scales of BF16, and F32 is asked for.",
        gptq(Gptq(scale_dtype="BF16", symmetric=False)),
        LAYOUT,
        "gptq-width-of-no-bits",
        "cast",
        calls=(Call(dtype="F32"), Call()),
    ),
    exact(
        "gptq-in-many-files",
        "gptq-codes",
        "GPTQ in seven files, its tensors dealt out to them.",
        gptq(DEALT_OUT, layout=Layout("shuffled", 7)),
        OTHER_FILE,
        "gptq-no-scales",
        "sharded",
    ),
    exact(
        "gptq-dealt-out-to-shards",
        "gptq-codes",
        "GPTQ whose tensors are dealt out to five files.",
        gptq(ASYMMETRIC, layout=Layout("shuffled", 5)),
        OTHER_FILE,
        "gptq-no-scales",
        "sharded",
    ),
    exact(
        "gptq-head",
        "gptq-codes",
        "GPTQ with a quantized head.",
        gptq(Gptq(head=True), figures={"vocab_size": 40}),
        _HEAD,
        "gptq-no-scales",
    ),
    of_scheme(
        "gptq-settings-beside",
        "undeclared-codes",
        "GPTQ whose settings are in quantize_config.json, and not in config.json.",
        gptq(
            ASYMMETRIC,
            step("drop_config", "quantization_config"),
            step(
                "write_text",
                "quantize_config.json",
                '{"bits": 4, "group_size": 32, "desc_act": false, "sym": false, "checkpoint_format": "gptq"}',
            ),
        ),
        may(*CONFLICT, Reason.UNEXPECTED_TENSOR, Reason.MISSING_TENSOR, Reason.UNUSED_SCALE, Reason.MISSING_SCALE),
        Source(
            "Older releases of AutoGPTQ wrote their settings into a file of their own.",
            "https://github.com/AutoGPTQ/AutoGPTQ",
        ),
        "gptq-width-of-no-bits",
        flags=("UndeclaredQuantization",),
    ),
)

_GROUPS: tuple[Case, ...] = (
    exact(
        "gptq-act-order",
        "gptq-groups",
        "GPTQ whose inputs are dealt out to the groups, and lie in the order of the model.",
        gptq(DEALT_OUT),
        ACT_ORDER,
        "gptq-group-that-is-none",
    ),
    exact(
        "gptq-act-order-of-three-bits",
        "gptq-groups",
        "GPTQ of three bits, version 2, whose inputs are dealt out to the groups.",
        gptq(Gptq(3, symmetric=False, order=True, version=2)),
        ACT_ORDER,
        "gptq-group-that-is-none",
    ),
    exact(
        "gptq-act-order-of-one-group",
        "gptq-groups",
        "GPTQ by activation order, with one group for all inputs: every index is 0.",
        gptq(Gptq(group_size=-1, order=True, symmetric=False)),
        ACT_ORDER,
        "gptq-group-that-is-none",
    ),
    exact(
        "gptq-no-indices",
        "gptq-groups",
        "GPTQ without an index of groups: they follow each other.",
        gptq(Gptq(symmetric=False, indices=False)),
        LAYOUT,
        "gptq-group-that-is-none",
    ),
    of_scheme(
        "gptq-short-last-group",
        "gptq-groups",
        "GPTQ in groups of 40, which do not divide the columns: the last group is shorter.",
        gptq(Gptq(group_size=40, symmetric=False)),
        may(*CONFLICT),
        Source(
            "Buffers are made for as many groups as it takes, the last of them short.",
            f"{GPTQMODEL}/blob/main/gptqmodel/nn_modules/qlinear/__init__.py",
        ),
        "gptq-group-that-is-none",
        flags=("ShortGroup",),
    ),
)

CASES: tuple[Case, ...] = (*_CODES, *_GROUPS)
