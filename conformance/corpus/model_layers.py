"""Cases of the model: logits of the feed-forward part, of all layers in their order, and of the head."""

from __future__ import annotations

from conformance.corpus.logits_parts import DEFAULT_ROPE, logits_case
from conformance.corpus.model_parts import HEAD, LAYER_NORMS, PROJECTIONS, TIED, reject_or_told, small
from conformance.engine.case import Answer, Case, Source, may, reject
from conformance.engine.reasons import Reason
from conformance.tools.recipe import Layout
from conformance.tools.steps import step

_TIED = {"tie_word_embeddings": True}
_UNREAD_NAME = Source(
    "The activation was hard-wired, whatever the configuration said: no error, and other embeddings.",
    "https://github.com/huggingface/candle/pull/3991",
    ("G04",),
)
_SORTED = Source(
    "Layers were paired by the order of their names as text, in which 10 comes before 2.",
    "https://github.com/NVIDIA-NeMo/Megatron-Bridge/pull/5495",
    ("G21",),
)
_FILLED = Source(
    "A model with random weights in it speaks, and is not noticed.",
    "https://github.com/huggingface/transformers/issues/48722",
    ("C17", "L01"),
)
_MADE_UP = Source(
    "The head stayed at random numbers: all output was garbage.",
    "https://github.com/vllm-project/vllm/pull/53020",
    ("E01",),
)
_VALUE = (Reason.CONFIG_VALUE, Reason.CONFIG_INVALID)

_FEED_FORWARD: tuple[Case, ...] = (
    *(
        logits_case(
            slug,
            "feed-forward",
            title,
            small(config=config, omit=omit),
            DEFAULT_ROPE,
            source=_UNREAD_NAME,
            sibling="activation-that-does-not-exist",
        )
        for slug, title, config, omit in (
            (
                "activation-not-told",
                "The configuration has no hidden_act: the gate passes through SiLU.",
                {},
                ("hidden_act",),
            ),
            (
                "inner-width-below-the-width",
                "Gate and up have 31 rows, fewer than columns.",
                {"intermediate_size": 31},
                (),
            ),
        )
    ),
    *(
        logits_case(
            slug,
            "feed-forward",
            f"hidden_act is {name}.",
            small(config={"hidden_act": name, "num_hidden_layers": 6}),
            DEFAULT_ROPE,
            source=_UNREAD_NAME,
            sibling="activation-that-does-not-exist",
            expect=may(*_VALUE, Reason.FAMILY),
            flags=("OtherActivation",),
        )
        for slug, name in (
            ("activation-by-its-other-name", "swish"),
            ("activation-gelu", "gelu"),
            ("activation-gelu-by-tanh", "gelu_pytorch_tanh"),
            ("activation-relu", "relu"),
        )
    ),
    logits_case(
        "activation-that-does-not-exist",
        "feed-forward",
        "hidden_act is a word that no reference has.",
        small(step("set_config", "hidden_act", '"spiral"')),
        source=_UNREAD_NAME,
        sibling="activation-not-told",
        expect=reject(*_VALUE, Reason.FAMILY),
    ),
)
_LAYERS: tuple[Case, ...] = (
    *(
        logits_case(
            slug,
            "layers",
            title,
            small(config={"num_hidden_layers": layers}, layout=layout),
            DEFAULT_ROPE,
            *needed,
            source=_SORTED,
            sibling="layer-that-is-missing",
            flags=flags,
        )
        for slug, title, layers, layout, needed, flags in (
            ("one-layer", "One layer.", 1, Layout(), (), ()),
            ("twelve-layers", "Twelve layers: by name as text, 10 comes before 2.", 12, Layout(), (), ("StringOrder",)),
            (
                "twelve-layers-in-shards",
                "Twelve layers, dealt out to five shards.",
                12,
                Layout("shuffled", 5),
                ("sharded",),
                ("StringOrder",),
            ),
        )
    ),
    logits_case(
        "layer-that-is-missing",
        "layers",
        "The configuration has a third layer, of which nothing is stored.",
        small(step("set_config", "num_hidden_layers", "3")),
        source=_FILLED,
        sibling="one-layer",
        expect=reject(Reason.MISSING_TENSOR, *_VALUE),
        flags=("Filled",),
    ),
    logits_case(
        "layer-too-many",
        "layers",
        "The configuration has one layer, and the weights of two are stored.",
        small(step("set_config", "num_hidden_layers", "1")),
        DEFAULT_ROPE,
        source=_SORTED,
        sibling="one-layer",
        expect=reject_or_told(
            Reason.UNEXPECTED_TENSOR,
            *_VALUE,
            names=tuple(f"model.layers.1.{each}.weight" for each in (*PROJECTIONS, *LAYER_NORMS)),
            of=small(config={"num_hidden_layers": 1}),
        ),
    ),
)
_HEADS: tuple[Case, ...] = (
    logits_case(
        "tied-head",
        "head",
        "The head is tied to the embedding, and not stored.",
        TIED,
        DEFAULT_ROPE,
        "tied",
        source=_MADE_UP,
        sibling="missing-head-and-embedding",
        flags=("Filled",),
    ),
    logits_case(
        "tied-head-and-a-copy",
        "head",
        "The head is tied to the embedding, and a copy of that is stored.",
        small(config=_TIED, head="copy"),
        DEFAULT_ROPE,
        "tied",
        source=_MADE_UP,
        sibling="missing-head-and-embedding",
    ),
    logits_case(
        "tied-and-only-the-head-stored",
        "head",
        "The head is tied to the embedding, and only the head is stored: it serves as both.",
        small(config=_TIED, head="instead"),
        DEFAULT_ROPE,
        "tied",
        source=_MADE_UP,
        sibling="missing-head-and-embedding",
        flags=("Filled",),
    ),
    logits_case(
        "tied-and-another-head-stored",
        "head",
        "The configuration ties the head to the embedding, and a head with values of its own is stored.",
        small(config=_TIED, head="own"),
        DEFAULT_ROPE,
        "tied",
        source=Source(
            "The trained head was overwritten with the embedding, without a word.",
            "https://github.com/huggingface/transformers/pull/42612",
            ("E03", "E07"),
        ),
        sibling="missing-head-and-embedding",
        expect=may(
            Reason.UNEXPECTED_TENSOR,
            *_VALUE,
            answers=(
                Answer(),
                *(Answer(of=TIED, reported=((told, HEAD),)) for told in ("ignored", "conflicting", "unexpected")),
            ),
        ),
        flags=("TwoHeads",),
    ),
    logits_case(
        "head-of-its-own",
        "head",
        "Head and embedding are two, and both are stored.",
        small(),
        DEFAULT_ROPE,
        source=Source(
            "The embedding served as head whatever the configuration said.",
            "https://github.com/ml-explore/mlx-lm/pull/1143",
            ("E11",),
        ),
        sibling="missing-head-and-embedding",
    ),
    logits_case(
        "untied-and-no-head-stored",
        "head",
        "The configuration says that the head is its own, and none is stored.",
        small(head="absent"),
        DEFAULT_ROPE,
        source=Source(
            "A published model has such a file: the embedding serves, or loading stops; a random head is neither.",
            "https://github.com/QwenLM/Qwen3-VL-Embedding/issues/89",
        ),
        sibling="missing-head-and-embedding",
        expect=may(Reason.MISSING_TENSOR),
        flags=("HeadAbsent", "Filled"),
    ),
    logits_case(
        "missing-head-and-embedding",
        "head",
        "The head is tied to the embedding, and neither is stored.",
        TIED.then(step("remove_tensor", "model.embed_tokens.weight")),
        "tied",
        source=Source(
            "A name on the list of tied ones was not counted as missing, and no warning came.",
            "https://github.com/huggingface/transformers/issues/38870",
            ("E06",),
        ),
        sibling="tied-head",
        expect=reject(Reason.MISSING_TENSOR),
        flags=("Filled",),
    ),
)
CASES: tuple[Case, ...] = (*_FEED_FORWARD, *_LAYERS, *_HEADS)
