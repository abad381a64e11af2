"""Cases of the weights: what stands beside quantized ones, scales of no weight, a head of its own, biases."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.corpus.model_parts import HEAD, of_weights, reject_or_told, small
from conformance.corpus.quant_gptq import FOUR, gptq
from conformance.corpus.quant_parts import QUERY, of_scheme
from conformance.engine.case import Answer, Expect, Source
from conformance.engine.reasons import Reason
from conformance.tools.schemes.gptq import Gptq
from conformance.tools.steps import step

if TYPE_CHECKING:
    from conformance.engine.case import Case


_LEFT = Source(
    "Scales under names that a loader did not know were dropped, and the weights taken as they were.",
    "https://github.com/sgl-project/sglang/issues/39942",
    ("F10",),
)
_TWO_HEADS = Source(
    "A head of its own, quantized, was dropped for the embedding that the configuration ties it to: gibberish.",
    "https://github.com/vllm-project/vllm/issues/51665",
)
_BIAS = Source(
    "Writers of GPTQ store a bias for each weight, which is zero where the model has none.",
    "https://github.com/AutoGPTQ/AutoGPTQ",
)

_LEFT_OVER: tuple[Case, ...] = tuple(
    of_weights(
        f"{word}-beside-a-dense-weight",
        "unused-scale",
        f"The {suffix} of another library stands beside a BF16 weight, in a model that is not quantized.",
        small(step("put_tensor", f"{QUERY}.{suffix}", dtype, shape, digits)),
        reject_or_told(
            Reason.UNUSED_SCALE,
            Reason.UNEXPECTED_TENSOR,
            Reason.SCHEME_CONFLICT,
            Reason.MISSING_SCALE,
            Reason.MISSING_TENSOR,
            Reason.UNKNOWN_SCHEME,
            Reason.SCALE_VALUE,
            names=(f"{QUERY}.{suffix}",),
            lists=("unexpected", "ignored", "conflicting"),
        ),
        _LEFT,
    )
    for word, suffix, dtype, shape, digits in (
        ("scb", "SCB", "F32", (60,), "0000803f"),
        ("gptq-zeros", "qzeros", "I32", (2, 8), "77777777"),
        ("bnb-absmax", "weight.absmax", "F32", (51,), "0000803f"),
        ("quanto-scale", "weight._scale", "BF16", (60, 1), "803f"),
    )
)

_AROUND: tuple[Case, ...] = (
    of_scheme(
        "gptq-tied-and-a-quantized-head",
        "two-heads",
        "The configuration ties the head, and a quantized head with values of its own is stored.",
        gptq(Gptq(head=True), figures={"vocab_size": 40, "tie_word_embeddings": True}, head="own"),
        Expect(
            answers=(
                Answer(),
                *(
                    Answer(
                        of=gptq(FOUR, figures={"vocab_size": 40, "tie_word_embeddings": True}),
                        reported=((told, f"{HEAD.removesuffix('weight')}qweight"),),
                    )
                    for told in ("ignored", "conflicting", "unexpected")
                ),
            ),
            reasons=(Reason.UNEXPECTED_TENSOR, Reason.CONFIG_VALUE, Reason.SCHEME_CONFLICT),
        ),
        _TWO_HEADS,
        "gptq-width-of-no-bits",
        "tied",
        flags=("TwoHeads",),
    ),
    of_scheme(
        "gptq-biases-of-zeros",
        "undeclared-biases",
        "GPTQ with a bias of zeros that the configuration does not know: used, refused, or left out and reported.",
        gptq(FOUR, step("put_tensor", f"{QUERY}.bias", "F16", (160,), "0000")),
        Expect(
            answers=(
                *reject_or_told(names=(f"{QUERY}.bias",), of=gptq(FOUR)).answers,
                Answer(of=gptq(FOUR)),
            ),
            reasons=(Reason.UNEXPECTED_TENSOR, Reason.SCHEME_CONFLICT),
        ),
        _BIAS,
        "gptq-width-of-no-bits",
        flags=("UndeclaredBias",),
    ),
)

CASES: tuple[Case, ...] = (*_LEFT_OVER, *_AROUND)
