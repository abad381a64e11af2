"""Cases of the weights: the shapes of the parameters, and the configuration that they follow from."""

from __future__ import annotations

from conformance.corpus.model_parts import BF16, LLAMA_CONFIG, QUERY, reject_or_told, small
from conformance.engine.case import Case, Severity, Source, reject
from conformance.engine.claims import Level
from conformance.engine.reasons import Reason
from conformance.tools.steps import step

_SHAPES = "https://github.com/huggingface/accelerate/pull/1731"


_STACKED = Source(
    "As many elements in another shape are another parameter: which axis is which was guessed from their lengths.",
    "https://github.com/unslothai/unsloth-zoo/pull/779",
    ("C16",),
)


def _wrong(
    slug: str, title: str, name: str, shape: tuple[int, ...], source: Source, clause: str = "weights.shape"
) -> Case:
    """A parameter is stored in another shape."""
    return Case(
        id=f"weights/{slug}",
        level=Level.WEIGHTS,
        clause=clause,
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
        "weights.elements",
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
        "weights.elements",
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
    _wrong(
        "matrix-with-an-axis-more",
        "The query projection is stored with an axis of length one before its rows.",
        f"{QUERY}.weight",
        (1, 60, 54),
        _STACKED,
        "weights.elements",
    ),
    _wrong(
        "matrix-with-an-axis-behind",
        "The query projection is stored with an axis of length one behind its columns, as a convolution is.",
        f"{QUERY}.weight",
        (60, 54, 1),
        _STACKED,
        "weights.elements",
    ),
    _wrong(
        "matrix-of-heads",
        "The query projection is stored with its rows folded into heads: six times ten.",
        f"{QUERY}.weight",
        (6, 10, 54),
        _STACKED,
        "weights.elements",
    ),
    _wrong(
        "matrix-of-other-sides",
        "The query projection is stored as 54 times 60 elements in ninety rows of 36.",
        f"{QUERY}.weight",
        (90, 36),
        _STACKED,
        "weights.elements",
    ),
    _wrong(
        "norm-as-a-row",
        "The last norm is stored as a matrix of one row.",
        "model.norm.weight",
        (1, 54),
        _STACKED,
        "weights.elements",
    ),
    _wrong(
        "norm-as-a-column",
        "The last norm is stored as a matrix of one column.",
        "model.norm.weight",
        (54, 1),
        _STACKED,
        "weights.elements",
    ),
    _wrong(
        "norm-without-an-axis",
        "The last norm is stored as a single number, without an axis.",
        "model.norm.weight",
        (),
        Source("A tensor was copied into a parameter of another shape.", _SHAPES, ("D10",)),
    ),
    _wrong(
        "matrix-without-rows",
        "The query projection is stored with no rows, and as many columns as it should have.",
        f"{QUERY}.weight",
        (0, 54),
        Source(
            "A checkpoint was saved without gathering: all of its parameters are empty.",
            "https://github.com/huggingface/transformers/issues/20082",
            ("D17",),
        ),
    ),
    _wrong(
        "key-with-the-rows-of-queries",
        "The key projection has as many rows as there are query heads, as before queries were grouped.",
        "model.layers.1.self_attn.k_proj.weight",
        (60, 54),
        Source("A tensor was put in the place of a parameter without a look at its shape.", _SHAPES, ("D10",)),
    ),
    _wrong(
        "embedding-turned",
        "The embedding is stored with a column for each token.",
        "model.embed_tokens.weight",
        (54, 37),
        Source("A tensor was put in the place of a parameter without a look at its shape.", _SHAPES, ("C16",)),
        "weights.elements",
    ),
    Case(
        id="weights/vocabulary-too-small",
        level=Level.WEIGHTS,
        clause="weights.vocabulary",
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
        clause="weights.vocabulary",
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
        clause="weights.config-json",
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
        clause="weights.heads",
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
        clause="weights.heads",
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
        clause="weights.family",
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
