"""Cases of the schemes of other libraries: their logits, and what an analysis says of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from conformance.corpus.analysis import analysis_case
from conformance.corpus.logits_parts import DEFAULT_ROPE, logits_case
from conformance.corpus.model_parts import BF16, F32, small
from conformance.corpus.quant_bnb import INT8, NESTED
from conformance.corpus.quant_gptq import DEALT_OUT, FOUR
from conformance.corpus.quant_parts import EIGHTS, QUERY, WORDS
from conformance.engine.case import Source, needs, reject
from conformance.engine.reasons import Reason
from conformance.tools.recipe import Layout
from conformance.tools.schemes.awq import Awq
from conformance.tools.schemes.gptq import Gptq
from conformance.tools.schemes.hqq import Hqq
from conformance.tools.schemes.quanto import Quanto
from conformance.tools.schemes.torchao import Torchao
from conformance.tools.steps import step

if TYPE_CHECKING:
    from conformance.engine.case import Case
    from conformance.tools.schemes.scheme import Scheme


_PHYSICAL = Source(
    "Stored elements were taken for parameters, and a discount for the quantization made once more.",
    "https://github.com/AlexsJones/llmfit/issues/1045",
    ("H06", "H07"),
)
_LOGITS = Source(
    "A layout that is misread gives text that is fluent, and wrong.", "https://github.com/danveloper/flash-moe/pull/13"
)


def _sharp(scheme: Scheme) -> Scheme:
    """The scheme with scales of the model's F32, where it has a choice: no rounding is left to the loader."""
    return replace(scheme, scale_dtype="F32") if isinstance(scheme, Gptq | Awq) else scheme


#: One of each library, and what it needs.
_EACH: tuple[tuple[str, str, Scheme, dict[str, Any]], ...] = (
    ("gptq", "GPTQ by activation order", DEALT_OUT, WORDS),
    ("awq", "AWQ, gemm", Awq(), EIGHTS),
    ("bnb", "nf4 with nested scales", NESTED, {}),
    ("torchao", "torchao in groups of six", Torchao("intx", 6, symmetric=False), {"intermediate_size": 72}),
    ("quanto", "quanto of four bits", Quanto("qint4"), {}),
    ("hqq", "HQQ of four bits", Hqq(), {"intermediate_size": 80}),
)

_SAID: tuple[Case, ...] = (
    *(
        analysis_case(
            f"{word}-by-its-headers",
            "parameters",
            f"{text}: parameters are those of the dense model, bytes those that are stored.",
            small(config=figures, quantization=scheme, layout=Layout("by_count", 3)),
            BF16,
            f"quant:{word}",
            "sharded",
            source=_PHYSICAL,
        )
        for word, text, scheme, figures in _EACH
    ),
    analysis_case(
        "bnb-int8-by-its-headers",
        "parameters",
        "LLM.int8: a byte for each parameter, and the dense weights have the dtype of the model.",
        small(quantization=INT8),
        BF16,
        "quant:bnb",
        source=_PHYSICAL,
    ),
)

_SPOKEN: tuple[Case, ...] = (
    *(
        logits_case(
            f"{word}-logits",
            "quantized",
            f"{text}, of an F32 model: the logits of the dequantized weights.",
            small(config=figures, quantization=_sharp(scheme), dtype="F32"),
            DEFAULT_ROPE,
            f"quant:{word}",
            *needs(F32),
            source=_LOGITS,
            sibling="gptq-logits-without-scales",
        )
        for word, text, scheme, figures in _EACH
        if word != "torchao"
    ),
    logits_case(
        "gptq-logits-without-scales",
        "quantized",
        "GPTQ, and one of the weights has no scales.",
        small(step("remove_tensor", f"{QUERY}.scales"), config=WORDS, quantization=FOUR, dtype="F32"),
        "quant:gptq",
        *needs(F32),
        source=_LOGITS,
        sibling="gptq-logits",
        expect=reject(Reason.MISSING_SCALE, Reason.MISSING_TENSOR, Reason.SCHEME_CONFLICT, Reason.UNUSED_SCALE),
    ),
)

CASES: tuple[Case, ...] = (*_SAID, *_SPOKEN)
