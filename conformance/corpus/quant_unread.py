"""Cases of the weights: methods and layouts of which this suite has no formula, each known by its name or its tensors.

Whoever takes them for something that is close by hands out other weights: they are refused.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from conformance.corpus.model_parts import of_weights, small
from conformance.corpus.quant_parts import (
    AUTOAWQ,
    COMPRESSED,
    CONFLICT,
    EIGHTS,
    LACKING,
    QUERY,
    SIXTEENS,
    THIRTY_TWOS,
    TWELVES,
    quantized,
    refused,
    told,
    told_format,
)
from conformance.engine.case import Source, reject
from conformance.engine.reasons import Reason
from conformance.tools.schemes.awq import Awq
from conformance.tools.schemes.ct_pack import Packed
from conformance.tools.schemes.ct_plain import Plain
from conformance.tools.schemes.modelopt import ModelOpt
from conformance.tools.schemes.torchao import Torchao
from conformance.tools.steps import step

if TYPE_CHECKING:
    from conformance.engine.case import Case

_METHODS = Source(
    "The names of methods of quantization, each with a layout of its own.",
    "https://github.com/huggingface/transformers/blob/main/src/transformers/utils/quantization_config.py",
)
_TILES = Source(
    "2:4 weights in the tiles of a kernel, which the library writes and does not read.",
    f"{COMPRESSED}/tree/0.12.2/src/compressed_tensors/compressors/sparse_quantized_compressors",
)
_ORIGINAL = Source("The original llm-awq has a layout of its own.", f"{AUTOAWQ}/blob/main/awq/models/_config.py")
_OLD_NAMES = Source(
    "Until release 0.15 the parts of a weight were told from its name by a colon.",
    "https://github.com/pytorch/ao/tree/main/torchao/prototype/safetensors",
)
_ALGORITHM = Source(
    "ModelOpt has algorithms whose weights are multiplied by more than their scales.",
    "https://github.com/NVIDIA/Model-Optimizer",
)
_EXPERTS = Source(
    "Blocks of 32 values in 16 bytes beside their powers of two, along an axis that other layouts do not have.",
    "https://github.com/openai/gpt-oss/blob/main/gpt_oss/torch/weights.py",
    ("F30",),
)
_REASONS = (*CONFLICT, *LACKING, Reason.METADATA, Reason.CONFIG_INVALID)


def _method(name: str, **more: Any) -> dict[str, Any]:
    return {"quantization_config": {"quant_method": name, **more}}


CASES: tuple[Case, ...] = (
    *(
        refused(
            f"method-{name.replace('_', '-')}",
            "scheme",
            f"The configuration names the method {name}, and the weights are int8 codes with scales.",
            quantized(Plain(), figures=_method(name, **more)),
            _METHODS,
            "int8-naive",
            reasons=_REASONS,
        )
        for name, more in (
            ("aqlm", {"in_group_size": 8, "num_codebooks": 1, "nbits_per_codebook": 16}),
            ("bitnet", {}),
            ("eetq", {"weights": "int8"}),
            ("higgs", {"bits": 4}),
            ("quark", {"export": {}}),
            ("spqr", {"bits": 3}),
            ("vptq", {}),
            ("auto-round", {"bits": 8, "packing_format": "auto_round:abacus"}),
        )
    ),
    refused(
        "packed-in-tiles",
        "unread-layouts",
        "marlin-24: the words of one weight lie in the tiles of a kernel, beside the places that 2:4 left.",
        quantized(
            Packed(),
            step("remove_tensor", f"{QUERY}.weight_scale"),
            step("put_tensor", f"{QUERY}.weight_packed", "I32", (3, 120), "78563412"),
            step("put_tensor", f"{QUERY}.scale_packed", "F16", (4, 60), "6624"),
            step("put_tensor", f"{QUERY}.meta", "I16", (3, 120), "e4e4"),
            figures={**TWELVES, "quantization_config": told_format(Packed(), "marlin-24")},
        ),
        _TILES,
        "packed-four-bits-by-group",
        reasons=_REASONS,
    ),
    refused(
        "awq-of-the-original",
        "unread-layouts",
        "The configuration says that the codes are those of llm-awq.",
        quantized(
            Awq(more=(("backend", "llm-awq"),)),
            step("put_tensor", f"{QUERY}.qweight", "I16", (40, 96), "3412"),
            figures=EIGHTS,
        ),
        _ORIGINAL,
        "awq-gemm",
        reasons=_REASONS,
    ),
    refused(
        "torchao-of-old-names",
        "unread-layouts",
        "The parts of torchao are told from the weight by a colon, as before release 0.15.",
        quantized(
            Torchao(),
            step(
                "respell",
                (r"\._weight_qdata$", ".weight:qdata"),
                (r"\._weight_scale$", ".weight:scale"),
                (r"\._weight_zero_point$", ".weight:zero_point"),
            ),
        ),
        _OLD_NAMES,
        "torchao-int8",
        reasons=_REASONS,
    ),
    refused(
        "modelopt-of-another-algorithm",
        "unread-layouts",
        "The settings name W4A8_AWQ, whose weights are scaled before they are quantized.",
        quantized(
            ModelOpt(places=("config.json",)),
            figures={
                **SIXTEENS,
                "quantization_config": json.loads(
                    json.dumps(told(ModelOpt(places=("config.json",)))).replace('"NVFP4"', '"W4A8_AWQ"')
                ),
            },
        ),
        _ALGORITHM,
        "modelopt-nvfp4",
        reasons=_REASONS,
    ),
    *(
        of_weights(
            f"blocks-of-gpt-oss{slug}",
            "unread-layouts",
            f"One weight is stored as the experts of gpt-oss are, in blocks of MXFP4 {what}: no Llama is.",
            small(
                step("remove_tensor", f"{QUERY}.weight"),
                step("put_tensor", f"{QUERY}.weight{joint}blocks", "U8", (96, 2, 16), "21436587"),
                step("put_tensor", f"{QUERY}.weight{joint}scales", "U8", (96, 2), "7e7f80"),
                config={**THIRTY_TWOS, **_method("mxfp4", modules_to_not_convert=["lm_head"])},
            ),
            reject(*_REASONS),
            _EXPERTS,
            sibling="mxfp4",
        )
        for slug, what, joint in (
            ("", "under the names of transformers", "_"),
            ("-as-they-were-released", "under the names of the release", "."),
        )
    ),
)
