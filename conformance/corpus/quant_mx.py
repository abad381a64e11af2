"""Cases of the weights: the MX formats of compressed-tensors, whose scales are powers of two."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from conformance.corpus.quant_parts import (
    COMPRESSED,
    CONFLICT,
    LACKING,
    NIBBLES,
    OTHER_FILE,
    QUERY,
    THIRTY_TWOS,
    exact,
    quantized,
    refused,
    told_weights,
)
from conformance.engine.case import Call, Source
from conformance.engine.reasons import Reason
from conformance.tools.recipe import Layout
from conformance.tools.schemes.ct_micro import Mx
from conformance.tools.steps import step

if TYPE_CHECKING:
    from conformance.engine.case import Case
    from conformance.tools.scenario import Scenario
    from conformance.tools.steps import Step

_EXPONENTS = Source(
    "Exponents were written, and read, with another bias than 127: weights four times too small.",
    "https://github.com/vllm-project/compressed-tensors/pull/541",
    ("F21",),
)
_RAW = Source(
    "The byte of the exponent was multiplied in: weights off by orders of magnitude, without an error.",
    f"{COMPRESSED}/pull/538",
)
_NO_WORD = Source(
    "A reader asserted that the configuration names the dtype of the scales, which older writers did not.",
    "https://github.com/vllm-project/compressed-tensors/pull/644",
    ("F43",),
)
_NO_NUMBER = Source("The code 255 is no number.", "https://arxiv.org/abs/2310.10537")


#: Of the wider codes: bits, words for a title, and the dtype of the scales.
_WIDER: tuple[tuple[Literal[6, 8], str, Literal["U8", "F8_E8M0"]], ...] = (
    (6, "a byte", "U8"),
    (8, "an F8_E8M0", "F8_E8M0"),
)
#: Bits, and the power of two by which the largest code is still below the largest number of BF16.
_LARGE: tuple[tuple[Literal[4, 6, 8], int], ...] = ((4, 124), (6, 123), (8, 118))


def _mx(scheme: Mx, *steps: Step, **recipe: Any) -> Scenario:
    return quantized(scheme, *steps, figures=THIRTY_TWOS, **recipe)


def _without_words() -> Scenario:
    """MXFP4 as it was written before the dtype of the scales was a key of the arguments."""
    scheme = Mx(tells_scales=False)
    block = told_weights(scheme, scale_dtype=None, zp_dtype=None)
    return quantized(scheme, figures={**THIRTY_TWOS, "quantization_config": block})


_MX: tuple[Case, ...] = (
    exact(
        "mxfp4",
        "fp4-codes",
        "E2M1 codes with a power of two for 32 columns: the low half of a byte is the even column.",
        _mx(Mx()),
        NIBBLES,
        "mxfp4-of-other-width",
    ),
    exact(
        "mxfp4-of-powers-of-two",
        "mx-scales",
        "The scales are stored as F8_E8M0, the dtype of powers of two, and not as bytes.",
        _mx(Mx(scales="F8_E8M0")),
        _EXPONENTS,
        "mxfp4-of-a-scale-that-is-no-number",
    ),
    exact(
        "mxfp4-without-a-word-on-scales",
        "mx-scales",
        "The configuration does not name the dtype of the scales.",
        _without_words(),
        _NO_WORD,
        "mxfp4-of-a-scale-that-is-no-number",
    ),
    exact(
        "mxfp6",
        "mxfp6-codes",
        "E2M3 codes of six bits, four in three bytes.",
        _mx(Mx(6)),
        _RAW,
        "mxfp6-of-other-width",
    ),
    exact(
        "mxfp8",
        "mx-scales",
        "E4M3 codes with a power of two for 32 columns.",
        _mx(Mx(8)),
        _EXPONENTS,
        "mxfp4-of-a-scale-that-is-no-number",
    ),
    *(
        exact(
            f"mxfp{bits}-of-the-smallest-scale",
            "mx-scales",
            f"Groups of {bits}-bit codes with the scale 2**-127, which F32 and BF16 hold as a subnormal number.",
            _mx(Mx(bits, smallest=True)),
            _NO_NUMBER,
            "mxfp4-of-a-scale-that-is-no-number",
        )
        for bits in (4, 8)
    ),
    *(
        exact(
            f"mxfp{bits}-of-a-large-scale",
            "mx-scales",
            f"A scale of {bits}-bit codes is 2**{power}: BF16 holds all that it makes, and F16 would hold none of it.",
            _mx(Mx(bits), step("poke_tensor", f"{QUERY}.weight_scale", 5, f"{power + 127:02x}")),
            _NO_NUMBER,
            "mxfp4-of-a-scale-that-is-no-number",
        )
        for bits, power in _LARGE
    ),
    exact(
        "mxfp4-asked-f32",
        "mx-scales",
        "F32 is asked of MXFP4 in a model of F16.",
        _mx(Mx(), dtype="F16"),
        _EXPONENTS,
        "mxfp4-of-a-scale-that-is-no-number",
        "cast",
        calls=(Call(dtype="F32"),),
    ),
    exact(
        "mxfp8-parts-in-other-shards",
        "missing-scale",
        "MXFP8 in three shards in a mixed order: codes and scales lie in different files.",
        _mx(Mx(8), layout=Layout("shuffled", 3)),
        OTHER_FILE,
        "mxfp4-without-scale",
        "sharded",
    ),
)
_MX_BROKEN: tuple[Case, ...] = (
    refused(
        "mxfp4-without-scale",
        "missing-scale",
        "One of the weights has no scales.",
        _mx(Mx(), step("remove_tensor", f"{QUERY}.weight_scale")),
        _RAW,
        "mxfp4",
        reasons=LACKING,
    ),
    refused(
        "mxfp4-of-a-scale-that-is-no-number",
        "mx-scales",
        "One of the scales is 255, which is not a number.",
        _mx(Mx(), step("poke_tensor", f"{QUERY}.weight_scale", 5, "ff")),
        _NO_NUMBER,
        "mxfp4",
        reasons=(Reason.SCALE_VALUE,),
    ),
    *(
        refused(
            f"mxfp{bits}-of-a-scale-that-is-no-number",
            "mx-scales",
            f"One of the scales of {bits}-bit codes, {what}, is 255, which is not a number.",
            _mx(Mx(bits, scales=scales), step("poke_tensor", f"{QUERY}.weight_scale", 5, "ff")),
            _NO_NUMBER,
            f"mxfp{bits}",
            reasons=(Reason.SCALE_VALUE,),
        )
        for bits, what, scales in _WIDER
    ),
    refused(
        "mxfp4-of-scales-of-64",
        "mx-scales",
        "The scales of one weight are as many as groups of 64 columns would need.",
        _mx(Mx(), step("crop_tensor", f"{QUERY}.weight_scale", (96, 1))),
        _RAW,
        "mxfp4",
    ),
    refused(
        "mxfp4-of-scales-of-bf16",
        "mx-scales",
        "The scales of one weight are BF16, and no exponents.",
        _mx(Mx(), step("reform_tensor", f"{QUERY}.weight_scale", "BF16", (96, 2))),
        _RAW,
        "mxfp4",
    ),
    refused(
        "mxfp4-of-other-width",
        "fp4-codes",
        "The last byte of each row of codes of one weight is not there.",
        _mx(Mx(), step("crop_tensor", f"{QUERY}.weight_packed", (96, 31))),
        NIBBLES,
        "mxfp4",
    ),
    refused(
        "mxfp6-of-other-width",
        "mxfp6-codes",
        "The configuration says codes of six bits, and the bytes of one weight are those of four.",
        _mx(Mx(6), step("crop_tensor", f"{QUERY}.weight_packed", (96, 32))),
        _RAW,
        "mxfp6",
        reasons=CONFLICT,
    ),
)

CASES: tuple[Case, ...] = (*_MX, *_MX_BROKEN)
