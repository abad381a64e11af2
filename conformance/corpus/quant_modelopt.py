"""Cases of the weights: FP8 and NVFP4 of NVIDIA ModelOpt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conformance.corpus.model_parts import PROJECTIONS
from conformance.corpus.quant_parts import (
    CONFLICT,
    DROPPED,
    LACKING,
    NO_NUMBER,
    OTHER_FILE,
    QUERY,
    SIXTEENS,
    exact,
    not_finite,
    quantized,
    refused,
    told,
)
from conformance.engine.case import Source
from conformance.engine.reasons import Reason
from conformance.tools.recipe import Layout
from conformance.tools.schemes.modelopt import ModelOpt
from conformance.tools.steps import step

if TYPE_CHECKING:
    from conformance.engine.case import Case
    from conformance.tools.scenario import Scenario
    from conformance.tools.steps import Step

_MULTIPLIES = Source(
    "The second scale of ModelOpt multiplies; a conversion took the reciprocal of one that had been converted.",
    "https://github.com/intel/auto-round/pull/2362",
    ("F06",),
)
_OWN = Source(
    "Of query, key and value the largest second scale was taken for all three.",
    "https://github.com/vllm-project/vllm/pull/41769",
    ("F07",),
)
_PLACE = Source(
    "ModelOpt keeps the settings of a quantization in hf_quant_config.json.",
    "https://github.com/NVIDIA/Model-Optimizer/blob/main/modelopt/torch/export/unified_export_hf.py",
)
_BESIDE: ModelOpt = ModelOpt(places=("hf_quant_config.json",))

_LAYER_DENSE = ModelOpt(places=("config.json",), skip=("lm_head", *(f"model.layers.1.{each}" for each in PROJECTIONS)))
#: The same in the words of the exporter, which leaves out what hangs together by a pattern.
_PATTERN = {"ignore": ["lm_head", "model.layers.1*"]}


def _of(scheme: ModelOpt, *steps: Step, **recipe: Any) -> Scenario:
    return quantized(scheme, *steps, figures=SIXTEENS, **recipe)


_FOUND: tuple[Case, ...] = (
    exact(
        "modelopt-nvfp4",
        "modelopt-second-scale",
        "E2M1 codes with an FP8 scale for 16 columns, and a second scale that multiplies.",
        _of(ModelOpt()),
        _MULTIPLIES,
        "modelopt-without-second-scale",
    ),
    exact(
        "modelopt-nvfp4-in-f16",
        "modelopt-second-scale",
        "NVFP4 of ModelOpt in a model of F16.",
        _of(ModelOpt(), dtype="F16"),
        _MULTIPLIES,
        "modelopt-without-second-scale",
    ),
    exact(
        "modelopt-nvfp4-of-unlike-scales",
        "own-scales",
        "The second scale of the query projection is half: each projection has its own.",
        _of(ModelOpt(), step("put_tensor", f"{QUERY}.weight_scale_2", "F32", (), "0000003f")),
        _OWN,
        "modelopt-without-second-scale",
    ),
    exact(
        "modelopt-nvfp4-in-other-shards",
        "missing-scale",
        "NVFP4 of ModelOpt in three shards in a mixed order.",
        _of(ModelOpt(), layout=Layout("shuffled", 3)),
        OTHER_FILE,
        "modelopt-without-second-scale",
        "sharded",
    ),
    exact(
        "modelopt-nvfp4-by-its-own-file",
        "modelopt-settings",
        "The settings are in hf_quant_config.json alone, and config.json says nothing of them.",
        _of(_BESIDE),
        _PLACE,
        "modelopt-by-the-other-algorithm",
    ),
    exact(
        "modelopt-nvfp4-but-for-a-layer",
        "modelopt-settings",
        "NVFP4 of ModelOpt, and a pattern excludes all of layer 1.",
        quantized(_LAYER_DENSE, figures={**SIXTEENS, "quantization_config": told(_LAYER_DENSE, **_PATTERN)}),
        _PLACE,
        "modelopt-by-the-other-algorithm",
    ),
    exact(
        "modelopt-fp8",
        "modelopt-settings",
        "FP8 of ModelOpt: one scale without an axis, and a static scale of the activations.",
        _of(ModelOpt("FP8")),
        _PLACE,
        "modelopt-by-the-other-algorithm",
    ),
    exact(
        "modelopt-fp8-by-its-own-file",
        "modelopt-settings",
        "FP8 of ModelOpt by the settings in hf_quant_config.json alone.",
        _of(ModelOpt("FP8", places=("hf_quant_config.json",))),
        _PLACE,
        "modelopt-by-the-other-algorithm",
    ),
    exact(
        "modelopt-nvfp4-but-for-one-module",
        "modelopt-settings",
        "NVFP4 of ModelOpt, but for the head and one projection that are excluded.",
        _of(ModelOpt(skip=("lm_head", "model.layers.1.mlp.down_proj"))),
        _PLACE,
        "modelopt-by-the-other-algorithm",
    ),
)
_BROKEN: tuple[Case, ...] = (
    refused(
        "modelopt-without-second-scale",
        "modelopt-second-scale",
        "One of the weights has no second scale.",
        _of(ModelOpt(), step("remove_tensor", f"{QUERY}.weight_scale_2")),
        _MULTIPLIES,
        "modelopt-nvfp4",
        reasons=(*LACKING, Reason.SHAPE),
    ),
    refused(
        "modelopt-with-the-global-scale-of-compressed-tensors",
        "modelopt-second-scale",
        "The second scale of one weight has the name that it has in compressed-tensors, where it divides.",
        _of(ModelOpt(), step("rename_tensor", f"{QUERY}.weight_scale_2", f"{QUERY}.weight_global_scale")),
        _MULTIPLIES,
        "modelopt-nvfp4",
        reasons=(*LACKING, Reason.SHAPE),
    ),
    refused(
        "modelopt-of-a-second-scale-that-is-no-number",
        "finite-scales",
        "The second scale of one weight is not a number.",
        _of(ModelOpt(), step("put_tensor", f"{QUERY}.weight_scale_2", "F32", (), "0000c07f")),
        _MULTIPLIES,
        "modelopt-nvfp4",
        reasons=(Reason.SCALE_VALUE,),
    ),
    refused(
        "modelopt-of-other-width",
        "fp4-codes",
        "The last byte of each row of codes of one weight is not there.",
        _of(ModelOpt(), step("crop_tensor", f"{QUERY}.weight", (48, 23))),
        _MULTIPLIES,
        "modelopt-nvfp4",
    ),
    refused(
        "modelopt-of-fewer-scales",
        "modelopt-second-scale",
        "The scales of the last group of one weight are not there.",
        _of(ModelOpt(), step("crop_tensor", f"{QUERY}.weight_scale", (48, 2))),
        _MULTIPLIES,
        "modelopt-nvfp4",
    ),
    refused(
        "modelopt-by-the-other-algorithm",
        "modelopt-settings",
        "The settings name FP8, and the codes are those of NVFP4.",
        _of(ModelOpt(places=("config.json",)), step("config_text", '"quant_algo": "NVFP4"', '"quant_algo": "FP8"')),
        _PLACE,
        "modelopt-nvfp4-by-its-own-file",
        reasons=(*CONFLICT, *LACKING),
    ),
    not_finite(
        "modelopt-of-a-second-scale-that-is-infinite",
        "The second scale of one weight is infinite.",
        _of(ModelOpt(), step("spoil_scale", f"{QUERY}.weight_scale_2", "inf")),
        "weight_scale_2",
        "modelopt-nvfp4",
    ),
    refused(
        "modelopt-of-a-scale-that-is-no-number",
        "finite-scales",
        "One of the FP8 scales is 0x7F, which is not a number.",
        _of(ModelOpt(), step("poke_tensor", f"{QUERY}.weight_scale", 3, "7f")),
        NO_NUMBER,
        "modelopt-nvfp4",
        reasons=(Reason.SCALE_VALUE,),
    ),
    refused(
        "modelopt-fp8-without-scale",
        "missing-scale",
        "One of the FP8 weights of ModelOpt has a scale of its activations, and none of its own.",
        _of(ModelOpt("FP8"), step("remove_tensor", f"{QUERY}.weight_scale")),
        DROPPED,
        "modelopt-fp8",
        reasons=LACKING,
    ),
)

CASES: tuple[Case, ...] = (*_FOUND, *_BROKEN)
