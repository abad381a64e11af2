"""Cases of the weights: NVFP4 of compressed-tensors, FP8 scales below a global one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conformance.corpus.quant_parts import (
    COMPRESSED,
    LACKING,
    NIBBLES,
    OTHER_FILE,
    QUERY,
    SIXTEENS,
    exact,
    quantized,
    refused,
)
from conformance.engine.case import Call, Source
from conformance.engine.reasons import Reason
from conformance.tools.recipe import Layout
from conformance.tools.schemes.ct_micro import Nvfp4
from conformance.tools.steps import step

if TYPE_CHECKING:
    from conformance.engine.case import Case
    from conformance.tools.scenario import Scenario
    from conformance.tools.steps import Step

_OTHER_WAY = Source(
    "The global scale of compressed-tensors divides; a loader multiplied by it, as by that of ModelOpt.",
    "https://github.com/modular/modular/issues/6600",
    ("F05",),
)
_FLOATS = Source(
    "Values were bit-cast and not converted on their way to four bits.",
    "https://github.com/vllm-project/compressed-tensors/pull/781",
    ("F25",),
)
_OWN = Source(
    "A fused projection took the largest of three global scales for all of its parts.",
    "https://github.com/vllm-project/vllm/pull/41769",
    ("F07",),
)


def _nv(*steps: Step, **recipe: Any) -> Scenario:
    return quantized(Nvfp4(), *steps, figures=SIXTEENS, **recipe)


_NV: tuple[Case, ...] = (
    exact(
        "nvfp4",
        "nvfp4-global-scale",
        "E2M1 codes with an FP8 scale for 16 columns, below a global scale that divides.",
        _nv(),
        _OTHER_WAY,
        "nvfp4-without-global-scale",
    ),
    exact(
        "nvfp4-in-f32",
        "fp4-codes",
        "NVFP4 in a model of F32: without a dtype asked for, the dense weight is F32.",
        _nv(dtype="F32"),
        _FLOATS,
        "nvfp4-of-other-width",
    ),
    exact(
        "nvfp4-asked-f16",
        "nvfp4-global-scale",
        "F16 is asked of NVFP4 in a model of BF16.",
        _nv(),
        _OTHER_WAY,
        "nvfp4-without-global-scale",
        "cast",
        calls=(Call(dtype="F16"),),
    ),
    exact(
        "nvfp4-with-scales-of-activations",
        "activation-scales",
        "NVFP4, and beside each weight the global scale of its activations, which no weight needs.",
        quantized(Nvfp4(activations=True), figures=SIXTEENS),
        Source("Global scales of the activations were reported as tensors of no place.", COMPRESSED),
        "nvfp4-without-global-scale",
    ),
    exact(
        "nvfp4-of-unlike-global-scales",
        "own-scales",
        "The global scale of the query projection is a quarter of what its neighbours have: each has its own.",
        _nv(step("put_tensor", f"{QUERY}.weight_global_scale", "F32", (1,), "0000c842")),
        _OWN,
        "nvfp4-without-global-scale",
    ),
    exact(
        "nvfp4-parts-in-other-shards",
        "missing-scale",
        "NVFP4 in three shards in a mixed order: codes, scales and global scales lie in different files.",
        _nv(layout=Layout("shuffled", 3)),
        OTHER_FILE,
        "nvfp4-without-scale",
        "sharded",
    ),
    exact(
        "nvfp4-of-small-scales",
        "nvfp4-scales",
        "Some FP8 scales are subnormal numbers, and one is zero.",
        _nv(step("poke_tensor", f"{QUERY}.weight_scale", 0, "010703000f")),
        Source(
            "FP8 has subnormal numbers, below 2**-6.",
            "https://www.opencompute.org/documents/ocp-8-bit-floating-point-specification-ofp8",
        ),
        "nvfp4-of-a-scale-that-is-no-number",
    ),
)
_NV_BROKEN: tuple[Case, ...] = (
    refused(
        "nvfp4-without-global-scale",
        "nvfp4-global-scale",
        "One of the weights has no global scale.",
        _nv(step("remove_tensor", f"{QUERY}.weight_global_scale")),
        _OTHER_WAY,
        "nvfp4",
        reasons=LACKING,
    ),
    refused(
        "nvfp4-with-the-global-scale-of-modelopt",
        "nvfp4-global-scale",
        "The global scale of one weight has the name that it has in ModelOpt, where it multiplies.",
        _nv(step("rename_tensor", f"{QUERY}.weight_global_scale", f"{QUERY}.weight_scale_2")),
        _OTHER_WAY,
        "nvfp4",
        reasons=LACKING,
    ),
    refused(
        "nvfp4-without-scale",
        "missing-scale",
        "One of the weights has a global scale, and no scales for its groups.",
        _nv(step("remove_tensor", f"{QUERY}.weight_scale")),
        _OTHER_WAY,
        "nvfp4",
        reasons=LACKING,
    ),
    *(
        refused(
            f"nvfp4-of-a-global-scale-{slug}",
            "finite-scales",
            f"The global scale of one weight is {what}.",
            _nv(step("put_tensor", f"{QUERY}.weight_global_scale", "F32", (1,), digits)),
            _OTHER_WAY,
            "nvfp4",
            reasons=(Reason.SCALE_VALUE,),
        )
        for slug, what, digits in (
            ("of-zero", "zero, and divides", "00000000"),
            ("that-is-no-number", "not a number", "0000c07f"),
            ("that-is-infinite", "infinite", "0000807f"),
        )
    ),
    refused(
        "nvfp4-of-a-scale-that-is-no-number",
        "nvfp4-scales",
        "One of the FP8 scales is 0x7F, which is not a number.",
        _nv(step("poke_tensor", f"{QUERY}.weight_scale", 3, "7f")),
        _OTHER_WAY,
        "nvfp4-of-small-scales",
        reasons=(Reason.SCALE_VALUE,),
    ),
    refused(
        "nvfp4-of-two-global-scales",
        "nvfp4-global-scale",
        "One of the weights has two global scales.",
        _nv(step("put_tensor", f"{QUERY}.weight_global_scale", "F32", (2,), "0000c84200004842")),
        _OTHER_WAY,
        "nvfp4",
    ),
    refused(
        "nvfp4-of-scales-of-32",
        "nvfp4-scales",
        "The scales of one weight are as many as groups of 32 columns would need.",
        _nv(step("crop_tensor", f"{QUERY}.weight_scale", (48, 2))),
        _OTHER_WAY,
        "nvfp4",
    ),
    refused(
        "nvfp4-of-scales-of-another-format",
        "nvfp4-scales",
        "The scales of one weight are F8_E5M2.",
        _nv(step("reform_tensor", f"{QUERY}.weight_scale", "F8_E5M2", (48, 3))),
        _OTHER_WAY,
        "nvfp4",
    ),
    refused(
        "nvfp4-of-other-width",
        "fp4-codes",
        "The last byte of each row of codes of one weight is not there.",
        _nv(step("crop_tensor", f"{QUERY}.weight_packed", (48, 23))),
        NIBBLES,
        "nvfp4-in-f32",
    ),
)

CASES: tuple[Case, ...] = (*_NV, *_NV_BROKEN)
