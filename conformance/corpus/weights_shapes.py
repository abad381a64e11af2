"""Cases of the weights: the shapes of the parameters, and the configuration that they follow from."""

from __future__ import annotations

from conformance.corpus.model_parts import BF16, LLAMA_CONFIG, QUERY, reject_or_told, small
from conformance.engine.case import Case, Severity, Source, reject
from conformance.engine.claims import Level
from conformance.engine.reasons import Reason
from conformance.tools.steps import step

_SHAPES = "https://github.com/huggingface/accelerate/pull/1731"


def _wrong(slug: str, title: str, name: str, shape: tuple[int, ...], source: Source) -> Case:
    """A parameter is stored in another shape."""
    return Case(
        id=f"weights/{slug}",
        level=Level.WEIGHTS,
        clause="weights.shape",
        severity=Severity.SILENT,
        title=title,
        recipe=small(step("reform_tensor", name, "BF16", shape)),
        expect=reject(Reason.SHAPE, Reason.CONFIG_VALUE),
        source=source,
        sibling="weights/single-bf16",
        requires=BF16,
    )


_SHAPE: tuple[Case, ...] = (
    _wrong(
        "transposed-matrix",
        "The query projection is stored with its axes exchanged: as many elements, in another order.",
        f"{QUERY}.weight",
        (54, 60),
        Source("A tensor was put in the place of a parameter without a look at its shape.", _SHAPES, ("D10", "C16")),
    ),
    _wrong(
        "flattened-matrix",
        "The query projection is stored as one long row, as a sharded optimizer holds it.",
        f"{QUERY}.weight",
        (3240,),
        Source(
            "A flat parameter of a sharded run was saved as it was.",
            "https://github.com/huggingface/accelerate/issues/2374",
            ("D22",),
        ),
    ),
    _wrong(
        "empty-matrix",
        "The query projection is stored with shape [0], as a sharded run leaves it that did not gather its parameters.",
        f"{QUERY}.weight",
        (0,),
        Source(
            "A checkpoint was saved without gathering: all of its parameters are empty.",
            "https://github.com/huggingface/transformers/issues/20082",
            ("D17",),
        ),
    ),
    _wrong(
        "one-element-for-a-norm",
        "The last norm is stored with one element, which would fit any size if it were spread.",
        "model.norm.weight",
        (1,),
        Source("A tensor was copied into a parameter of another shape.", _SHAPES, ("D10",)),
    ),
    Case(
        id="weights/vocabulary-too-small",
        level=Level.WEIGHTS,
        clause="weights.shape",
        severity=Severity.SILENT,
        title="The configuration has one token more than embedding and head have rows.",
        recipe=small(step("vocab_mismatch")),
        expect=reject(Reason.SHAPE, Reason.CONFIG_VALUE),
        source=Source(
            "A model whose vocabulary was resized was saved with the configuration of before.",
            "https://github.com/unslothai/unsloth/issues/237",
            ("G22",),
        ),
        sibling="weights/single-bf16",
        requires=BF16,
    ),
    Case(
        id="weights/vocabulary-too-large",
        level=Level.WEIGHTS,
        clause="weights.shape",
        severity=Severity.SILENT,
        title="Embedding and head have two rows more than the configuration has tokens: rows are never cut in silence.",
        recipe=small(step("set_config", "vocab_size", "35")),
        expect=reject_or_told(
            Reason.SHAPE,
            Reason.CONFIG_VALUE,
            names=("model.embed_tokens.weight", "lm_head.weight"),
            lists=("conflicting",),
        ),
        source=Source(
            "A fine-tune added two tokens: 32,002 rows, and a configuration of 32,000.",
            "https://github.com/unslothai/unsloth/issues/237",
            ("G22",),
        ),
        sibling="weights/single-bf16",
        requires=BF16,
    ),
)

_CONFIG: tuple[Case, ...] = (
    Case(
        id="weights/no-configuration",
        level=Level.WEIGHTS,
        clause="weights.configuration",
        severity=Severity.MESSAGE,
        title="There is no config.json, so nothing says which parameters there must be.",
        recipe=small(step("config_missing")),
        expect=reject(Reason.CONFIG_MISSING, Reason.MISSING_FILE),
        source=Source("The configuration describes the model that the weights are for.", LLAMA_CONFIG),
        sibling="weights/single-bf16",
        requires=BF16,
    ),
    Case(
        id="weights/half-a-configuration",
        level=Level.WEIGHTS,
        clause="weights.configuration",
        severity=Severity.MESSAGE,
        title="The text of config.json ends half-way.",
        recipe=small(step("config_not_json")),
        expect=reject(Reason.CONFIG_INVALID),
        source=Source(
            "A configuration that could not be read was passed over, and the model taken for complete.",
            "https://github.com/exo-explore/exo/pull/1956",
            ("L07",),
        ),
        sibling="weights/single-bf16",
        requires=BF16,
    ),
    Case(
        id="weights/key-value-heads-do-not-divide",
        level=Level.WEIGHTS,
        clause="weights.configuration",
        severity=Severity.CRASH,
        title="Seven heads and two key-value heads; the tensors are as wide as that makes them.",
        recipe=small(config={"hidden_size": 56, "num_attention_heads": 7}),
        expect=reject(Reason.CONFIG_VALUE, Reason.CONFIG_INVALID, Reason.INDIVISIBLE, Reason.SHAPE),
        source=Source(
            "The class of the configuration took it, and divided with the remainder dropped.",
            "https://github.com/huggingface/transformers/issues/48643",
            ("G20",),
        ),
        sibling="weights/single-bf16",
        requires=BF16,
    ),
    Case(
        id="weights/head-width-not-told",
        level=Level.WEIGHTS,
        clause="weights.configuration",
        severity=Severity.CRASH,
        title="The heads are ten wide, hidden size over heads is nine, and the configuration has no head_dim.",
        recipe=small(omit=("head_dim",)),
        expect=reject(Reason.SHAPE, Reason.CONFIG_VALUE, Reason.CONFIG_INVALID),
        source=Source(
            "An exporter left head_dim out; the shapes contradict what follows without it.",
            "https://github.com/ServiceNow/Fast-LLM/issues/102",
            ("G17",),
        ),
        sibling="weights/single-bf16",
        requires=BF16,
    ),
    Case(
        id="weights/unknown-family",
        level=Level.WEIGHTS,
        clause="weights.configuration",
        severity=Severity.SILENT,
        title="The configuration is that of a family that does not exist, with the names and shapes of a Llama.",
        recipe=small(config={"model_type": "abacus", "architectures": ["AbacusForCausalLM"]}),
        expect=reject(Reason.FAMILY, Reason.CONFIG_VALUE),
        source=Source(
            "Names and shapes may be those of a Llama, and the arithmetic another: rotary pairs were taken wrongly.",
            "https://github.com/huggingface/candle/pull/3411",
            ("C09",),
        ),
        sibling="weights/single-bf16",
        requires=BF16,
    ),
)

CASES: tuple[Case, ...] = (*_SHAPE, *_CONFIG)
