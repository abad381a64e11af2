"""What the cases of packed weights share: sizes, sources, and the two forms of a case."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conformance.corpus.model_parts import reject_or_told, small
from conformance.corpus.placing import placed
from conformance.engine.case import Severity, Source, accept, needs, reject
from conformance.engine.claims import Level
from conformance.engine.reasons import Reason

if TYPE_CHECKING:
    from conformance.engine.case import Case, Expect
    from conformance.tools.recipe import Quantization
    from conformance.tools.scenario import Scenario
    from conformance.tools.schemes.scheme import Scheme
    from conformance.tools.steps import Step

QUERY = "model.layers.1.self_attn.q_proj"
#: Columns that groups of 12 divide, and that fill no word.
TWELVES = {"hidden_size": 48, "intermediate_size": 72}
#: Columns that groups of 16 divide, and no word of four bytes.
SIXTEENS = {"hidden_size": 48, "intermediate_size": 80, "head_dim": 8}
#: Columns that groups of 32 divide.
THIRTY_TWOS = {"hidden_size": 64, "intermediate_size": 96, "head_dim": 16, "num_attention_heads": 8}
#: Columns that fours divide, and that fill no byte of a mask.
FOURS = {"hidden_size": 52, "intermediate_size": 76}
#: Sizes that fill words of 32 bits along the inputs; the 20 rows of key and value fill none.
WORDS = {
    "hidden_size": 96,
    "intermediate_size": 224,
    "head_dim": 10,
    "num_attention_heads": 16,
}
#: Sizes that fill words of eight codes along both sides; the 40 rows of key and value are no multiple of 32.
EIGHTS = {**WORDS, "num_key_value_heads": 4}
#: Of the query projection of both: rows, columns, and groups of 32.
ROWS, COLUMNS, GROUPS = 160, 96, 3
#: The first quantized weight of a checkpoint: where all are odd in the same way, it is the one that is named.
FIRST = "model.layers.0.self_attn.q_proj"

COMPRESSED = "https://github.com/vllm-project/compressed-tensors"
GPTQMODEL = "https://github.com/ModelCloud/GPTQModel"
AUTOAWQ = "https://github.com/casper-hansen/AutoAWQ"
BITSANDBYTES = "https://github.com/bitsandbytes-foundation/bitsandbytes"
PACKED = Source(
    "Codes with half of their range added, in words of 32 bits, from the lowest on.",
    f"{COMPRESSED}/blob/main/src/compressed_tensors/compressors/pack_quantized/helpers.py",
    ("F23",),
)
TWO_WIDTHS = Source(
    "The library changed how codes of 3, 5, 6 and 7 bits lie in words, without a mark in the file.",
    "https://github.com/vllm-project/compressed-tensors/pull/732",
    ("F20",),
)
ZERO_POINTS = Source(
    "Zero points were packed down the rows, left unpacked, or dropped, by the release of the writer.",
    "https://github.com/vllm-project/vllm/issues/17862",
    ("F38",),
)
OTHER_FILE = Source(
    "The scale of a weight was looked for in the file of the weight alone.",
    "https://github.com/ModelCloud/GPTQModel/pull/2875",
    ("F45",),
)
NO_NUMBER = Source(
    "Zero points that wrapped made scales and weights that were no numbers, and loaded.",
    f"{GPTQMODEL}/issues/2350",
    ("F15",),
)
DROPPED = Source(
    "Codes without scales were handed out as weights.", "https://github.com/vllm-project/vllm/issues/54623", ("F10",)
)
GROUP_SIZE = Source(
    "The size of a group was taken from the shapes, 344 where the configuration says 128.",
    "https://github.com/vllm-project/vllm/issues/1258",
)
NIBBLES = Source(
    "Two conventions say which of 32 elements the two halves of a byte are, and one was read by the other.",
    "https://github.com/kekzl/imp/pull/567",
    ("F30",),
)

#: What a part that does not fit may be refused for.
MISFIT = (Reason.SHAPE, Reason.SCALE_VALUE, Reason.SCHEME_CONFLICT, Reason.DTYPE)
#: What a part that is not there may be refused for: what is left of the weight may be named as well.
LACKING = (
    Reason.MISSING_SCALE,
    Reason.MISSING_TENSOR,
    Reason.UNUSED_SCALE,
    Reason.UNEXPECTED_TENSOR,
    Reason.SCHEME_CONFLICT,
    Reason.DTYPE,
)
#: What a configuration that tells of something else may be refused for.
CONFLICT = (Reason.SCHEME_CONFLICT, Reason.UNKNOWN_SCHEME, Reason.CONFIG_VALUE, *MISFIT)


def quantized(scheme: Scheme, *steps: Step, figures: dict[str, Any] | None = None, **recipe: Any) -> Scenario:
    """A small checkpoint of a scheme.

    Args:
        scheme: How the projections are stored.
        steps: What is done to it.
        figures: Changes to the configuration.
        recipe: Further attributes of the recipe.
    """
    return small(*steps, config=figures, quantization=scheme, **recipe)


def told(scheme: Scheme, **changes: Any) -> dict[str, Any]:
    """The quantization block of a scheme, with other values for some of its keys."""
    return {**scheme.config(), **changes}


def told_weights(scheme: Scheme | Quantization, **changes: Any) -> dict[str, Any]:
    """The quantization block of a scheme of one group, with other arguments of its weights; None removes one."""
    block = scheme.config()
    (name, group), *_ = block["config_groups"].items()
    weights = {**group["weights"], **changes}
    kept = {key: value for key, value in weights.items() if key not in changes or value is not None}
    return {**block, "config_groups": {name: {**group, "weights": kept}}}


def told_format(scheme: Scheme, form: str) -> dict[str, Any]:
    """The quantization block of a scheme under another format, of the whole and of each group."""
    block = scheme.config()
    groups = {name: {**group, "format": form} for name, group in block["config_groups"].items()}
    return {**block, "config_groups": groups, "format": form}


def of_scheme(
    slug: str,
    clause: str,
    title: str,
    recipe: Scenario,
    expect: Expect,
    source: Source,
    sibling: str,
    *requires: str | frozenset[str],
    **more: Any,
) -> Case:
    """A case of packed weights, silent unless it says otherwise.

    Args:
        slug: The id without the area.
        clause: The rule without the area.
        title: What the checkpoint is.
        recipe: How it is built.
        expect: What a loader owes.
        source: Where that comes from.
        sibling: The id of the sibling without the area.
        requires: What a loader must claim; the dtype of the recipe and the scheme are added.
        more: Further attributes of the case.
    """
    base: Any = recipe.base
    facts: dict[str, Any] = {"severity": Severity.SILENT, **more}
    claims = needs(f"dtype:{base.dtype}", f"quant:{base.quantization.feature}", *_method(base.quantization), *requires)
    return placed(Level.WEIGHTS, slug, clause, title, recipe, expect, source, sibling, requires=claims, **facts)


def _method(scheme: Scheme) -> tuple[str, ...]:
    """One scale a weight lies as in compressed-tensors, and the configuration is that of another method."""
    return ("quant:fp8-block",) if scheme.config().get("quant_method") in ("fp8", "mxfp8") else ()


def exact(
    slug: str, clause: str, title: str, recipe: Scenario, source: Source, sibling: str, *requires: Any, **more: Any
) -> Case:
    """A checkpoint whose dense weights follow from the formula. See `of_scheme`."""
    return of_scheme(slug, clause, title, recipe, accept(), source, sibling, *requires, **more)


def refused(
    slug: str,
    clause: str,
    title: str,
    recipe: Scenario,
    source: Source,
    sibling: str,
    *requires: Any,
    reasons: tuple[Reason, ...] = MISFIT,
    **more: Any,
) -> Case:
    """A checkpoint that no loader may take. See `of_scheme`."""
    return of_scheme(slug, clause, title, recipe, reject(*reasons), source, sibling, *requires, **more)


def not_finite(
    slug: str, title: str, recipe: Scenario, part: str, sibling: str, source: Source = NO_NUMBER, **more: Any
) -> Case:
    """A scale that is no number: refused, or handed out and told.

    Args:
        slug: The id without the area.
        title: What the checkpoint is.
        recipe: How it is built.
        part: The suffix of the scale, of the query projection.
        sibling: The id of the sibling without the area.
        source: Where that comes from.
        more: Further attributes of the case.
    """
    lists = ("conflicting", "unexpected", "defaulted", "ignored")
    expect = reject_or_told(Reason.SCALE_VALUE, names=(f"{QUERY}.{part}",), lists=lists)
    return of_scheme(slug, "finite-scales", title, recipe, expect, source, sibling, **more)
