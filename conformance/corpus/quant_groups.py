"""Cases of the weights: several schemes in one checkpoint, what their targets mean, and transforms beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conformance.corpus.quant_parts import (
    COMPRESSED,
    CONFLICT,
    LACKING,
    THIRTY_TWOS,
    TWELVES,
    exact,
    quantized,
    refused,
    told,
)
from conformance.engine.case import Source
from conformance.engine.reasons import Reason
from conformance.tools.recipe import Layout
from conformance.tools.schemes.ct_micro import Mx, Nvfp4
from conformance.tools.schemes.ct_mixed import Mixed
from conformance.tools.schemes.ct_pack import Packed
from conformance.tools.schemes.ct_plain import Plain
from conformance.tools.steps import step

if TYPE_CHECKING:
    from conformance.engine.case import Case
    from conformance.tools.scenario import Scenario

_BITS = Source(
    "All tensors were read with the bits that are told for the whole, and those of some modules have others.",
    "https://github.com/danveloper/flash-moe/pull/13",
    ("F29",),
)
_TARGETS = Source(
    "A name counts before an expression, and that before a class; an expression is anchored at the start.",
    f"{COMPRESSED}/blob/main/src/compressed_tensors/utils/match.py",
)
_LISTED = Source(
    "Modules that are listed as dense were quantized, for their names were held against others.",
    "https://github.com/vllm-project/vllm/pull/51495",
    ("F39", "F40", "F41"),
)
_SAID = Source(
    "Writers leave out what is null, and older ones wrote other keys: a reader that asserted one failed.",
    "https://github.com/vllm-project/compressed-tensors/pull/644",
    ("F43",),
)
_TRANSFORMS = Source(
    "A transform of the activations is no part of the weights: without it the model is another one.",
    f"{COMPRESSED}/blob/main/src/compressed_tensors/transform/transform_args.py",
)
_FOUR, _EIGHT = Packed(), Packed(8, "channel", None)
_MIXED = Mixed(((("re:.*mlp.*",), Plain("fp8")), (("Linear",), _FOUR)))
_SMALL = ((("re:.*(gate|up)_proj",), Nvfp4()), (("re:.*down_proj",), Mx(8)))
_THREE = Mixed((*_SMALL, (("re:.*self_attn.*",), Packed(4, "channel", None))))


def _transform(place: str) -> dict[str, Any]:
    apply = [{"ignore": [], "inverse": False, "location": place, "targets": ["Linear"]}]
    group = {"apply": apply, "head_dim": None, "precision": "torch.float64", "randomize": False, "type": "hadamard"}
    return {"config_groups": {"R1": group}}


def _packed(**changes: Any) -> Scenario:
    """Codes of four bits, with other values for some keys of their block."""
    return quantized(_FOUR, figures={**TWELVES, "quantization_config": told(_FOUR, **changes)})


def _preset(name: str, *, symmetric: bool) -> Scenario:
    """Codes of four bits in groups of 128, under the name of a preset."""
    scheme = Packed(4, "group", 128, symmetric=symmetric)
    figures = {"hidden_size": 128, "intermediate_size": 256, "num_attention_heads": 8, "head_dim": 16}
    return quantized(scheme, figures={**figures, "quantization_config": told(scheme, config_groups={name: ["Linear"]})})


_GROUPS: tuple[Case, ...] = (
    exact(
        "mixed-four-bits-and-fp8",
        "mixed-groups",
        "The attention has codes of four bits and the rest FP8: two groups, each of a format of its own.",
        quantized(_MIXED, figures=TWELVES),
        _BITS,
        "mixed-of-an-unknown-format",
        "quant:ct-pack",
    ),
    exact(
        "mixed-four-and-eight-bits",
        "mixed-groups",
        "Codes of four bits, but of eight in the down projections: two groups of one format.",
        quantized(Mixed(((("re:.*down_proj",), _EIGHT), (("Linear",), _FOUR))), figures=TWELVES),
        _BITS,
        "mixed-of-an-unknown-format",
    ),
    exact(
        "mixed-three-small-formats",
        "mixed-groups",
        "NVFP4, MXFP8 and codes of four bits in one checkpoint.",
        quantized(_THREE, figures=THIRTY_TWOS),
        _BITS,
        "mixed-of-an-unknown-format",
        "quant:ct-mxfp",
        "quant:ct-pack",
    ),
    exact(
        "mixed-by-name-expression-and-class",
        "mixed-groups",
        "A module that a name, an expression and a class mean: the name counts, though the class comes first.",
        quantized(
            Mixed(
                (
                    (("Linear",), _FOUR),
                    (("re:model.layers.1.mlp.*",), Plain("int8", symmetric=False)),
                    (("model.layers.1.mlp.up_proj", "model.layers.0.self_attn.q_proj"), _EIGHT),
                )
            ),
            figures=TWELVES,
        ),
        _TARGETS,
        "mixed-of-an-unknown-format",
        "quant:ct-int",
    ),
    exact(
        "mixed-in-shards",
        "mixed-groups",
        "Codes of four bits and FP8 in shards in a mixed order.",
        quantized(_MIXED, figures=TWELVES, layout=Layout("shuffled", 3)),
        _BITS,
        "mixed-of-an-unknown-format",
        "quant:ct-pack",
        "sharded",
    ),
    refused(
        "mixed-of-an-unknown-format",
        "mixed-groups",
        "The format of one of two groups is one that nobody knows.",
        quantized(
            _MIXED,
            figures={
                **TWELVES,
                "quantization_config": told(
                    _MIXED,
                    config_groups={
                        name: {**group, "format": "abacus-quantized" if number else group["format"]}
                        for number, (name, group) in enumerate(_MIXED.config()["config_groups"].items())
                    },
                ),
            },
        ),
        _BITS,
        "mixed-four-bits-and-fp8",
        "quant:ct-pack",
        reasons=(Reason.UNKNOWN_SCHEME, Reason.SCHEME_CONFLICT, Reason.CONFIG_VALUE),
    ),
    refused(
        "mixed-groups-exchanged",
        "mixed-groups",
        "The arguments of two groups are exchanged: floats are told of words, and integers of FP8.",
        quantized(
            _MIXED,
            figures={
                **TWELVES,
                "quantization_config": Mixed(((("re:.*mlp.*",), _FOUR), (("Linear",), Plain("fp8")))).config(),
            },
        ),
        _BITS,
        "mixed-four-bits-and-fp8",
        "quant:ct-pack",
        reasons=CONFLICT,
    ),
)
_LISTS: tuple[Case, ...] = (
    exact(
        "ignored-by-an-expression",
        "dense-expressions",
        "An expression leaves the output projections dense.",
        quantized(Mixed(((("Linear",), _FOUR),), ignore=("lm_head", "re:.*o_proj")), figures=TWELVES),
        _LISTED,
        "ignored-by-no-expression",
    ),
    exact(
        "ignored-by-the-beginning-of-names",
        "dense-expressions",
        "An expression without an end, of twelve layers: that of layer 1 also leaves layers 10 and 11 dense.",
        quantized(
            Mixed(((("Linear",), _FOUR),), ignore=("lm_head", "re:model.layers.1")),
            figures={**TWELVES, "num_hidden_layers": 12},
        ),
        _TARGETS,
        "ignored-by-no-expression",
    ),
    exact(
        "ignored-by-what-means-nothing",
        "dense-expressions",
        "The last word of a name, and an expression that does not begin where names do: both leave nothing dense.",
        quantized(
            Mixed(((("Linear",), _FOUR),), ignore=("lm_head", "q_proj", "re:q_proj", "re:down_proj")), figures=TWELVES
        ),
        _TARGETS,
        "ignored-by-no-expression",
    ),
    refused(
        "ignored-by-no-expression",
        "dense-expressions",
        "What is ignored is an expression that is none: a bracket has no end.",
        quantized(
            Packed(), figures={**TWELVES, "quantization_config": told(Packed(), ignore=["lm_head", "re:(q_proj"])}
        ),
        _LISTED,
        "ignored-by-an-expression",
        reasons=(Reason.CONFIG_VALUE, Reason.CONFIG_INVALID, Reason.UNKNOWN_SCHEME, *LACKING),
    ),
)
_DEFAULTS: tuple[Case, ...] = (
    exact(
        "declared-without-what-is-null",
        "declared-defaults",
        "The arguments of the weights name bits, the size of a group and no more.",
        _packed(config_groups={"group_0": {"targets": ["Linear"], "weights": {"group_size": 12, "num_bits": 4}}}),
        _SAID,
        "declared-by-a-preset-of-floats",
    ),
    exact(
        "declared-with-the-status-frozen",
        "declared-defaults",
        "The status is that of a model which is not compressed yet, and the weights are packed.",
        _packed(quantization_status="frozen"),
        _SAID,
        "declared-by-a-preset-of-floats",
    ),
    *(
        exact(
            f"declared-by-the-preset-{name.lower().replace('_', '-')}",
            "declared-defaults",
            f"The only group is a list of targets under the name {name}, groups of 128 columns.",
            _preset(name, symmetric=symmetric),
            _SAID,
            "declared-by-a-preset-of-floats",
        )
        for name, symmetric in (("W4A16", True), ("w4a16_asym", False))
    ),
    exact(
        "packed-with-scales-of-the-cache",
        "activation-scales",
        "Codes of four bits, and beside them scales for the cache of keys and values, which no weight needs.",
        quantized(
            _FOUR,
            *(step("add_tensor", f"model.layers.0.self_attn.{each}_scale", "BF16", (1,)) for each in "kv"),
            figures=TWELVES,
        ),
        Source(
            "Scales of the cache have had several names; a loader that knows none must not fail over them.",
            "https://github.com/sgl-project/sglang/issues/39942",
            ("F10",),
        ),
        "packed-without-scale",
    ),
    refused(
        "declared-by-a-preset-of-floats",
        "declared-defaults",
        "The only group is a list of targets under the name FP8, and the weights are words of four bits.",
        _preset("FP8", symmetric=True),
        _SAID,
        "declared-by-the-preset-w4a16",
        reasons=(*LACKING, *CONFLICT),
    ),
)
_BESIDE: tuple[Case, ...] = (
    exact(
        "transform-in-the-weights",
        "transforms",
        "A transform that its writer multiplied into the weights: there is nothing left to do.",
        quantized(
            Packed(),
            figures={**TWELVES, "quantization_config": told(Packed(), transform_config=_transform("weight_input"))},
        ),
        _TRANSFORMS,
        "transform-of-the-activations",
    ),
    refused(
        "transform-of-the-activations",
        "transforms",
        "A transform that acts on what comes into each projection, which no dense weight holds.",
        quantized(
            Packed(), figures={**TWELVES, "quantization_config": told(Packed(), transform_config=_transform("input"))}
        ),
        _TRANSFORMS,
        "transform-in-the-weights",
        reasons=(Reason.UNKNOWN_SCHEME, Reason.SCHEME_CONFLICT, Reason.CONFIG_VALUE),
    ),
)

CASES: tuple[Case, ...] = (*_GROUPS, *_LISTS, *_DEFAULTS, *_BESIDE)
