"""Cases of the weights: a model in the names of another program, with the rows of q and k in the order of that one.

The names of GGUF and the order of its rows are those that Meta's have, spelled otherwise: gguf-py,
https://github.com/ggml-org/llama.cpp/blob/master/gguf-py/gguf/tensor_mapping.py
"""

from __future__ import annotations

from conformance.corpus.model_parts import BF16, EIGHT_HEADS, F16, FILE, of_weights, small
from conformance.engine.case import Case, Source, may, needs
from conformance.engine.reasons import Reason
from conformance.tools.recipe import Layout
from conformance.tools.steps import Step, step

_META_ROWS = Source(
    "The rows of a grouped k went wrong on their way from Meta's names.",
    "https://github.com/Dao-AILab/flash-attention/pull/546",
    ("C07", "C03"),
)
_GGUF_ROWS = Source(
    "The rows of k were moved back by the number of query heads: no shape was wrong.",
    "https://github.com/huggingface/transformers/issues/31766",
    ("C04", "C03"),
)
_GROUPS_OF_RULES = Source(
    "Of two rules for names with groups in their patterns only the groups of the first counted.",
    "https://github.com/huggingface/transformers/issues/43355",
    ("C25",),
)
_FACTORS = Source(
    "A converter did not write the factors of llama3 scaling, which the names of GGUF have a tensor for.",
    "https://github.com/ikawrakow/ik_llama.cpp/pull/402",
    ("C19",),
)
_NAME_SPACES = Source(
    "Names were told as the loader mapped them, and missed as the model has them: all was loaded, and called missing.",
    "https://github.com/vllm-project/vllm/pull/20202",
    ("K16",),
)
_REFUSED = (Reason.NO_WEIGHTS, Reason.MISSING_FILE, Reason.MISSING_TENSOR, Reason.UNEXPECTED_TENSOR)
_CONSOLIDATED = "consolidated.safetensors"
#: Meta's names as GGUF spells them.
_TO_GGUF: Step = step(
    "respell",
    (r"^tok_embeddings\.", "token_embd."),
    (r"^norm\.", "output_norm."),
    (r"^layers\.(\d+)\.attention\.w([qkv])\.", r"blk.\1.attn_\2."),
    (r"^layers\.(\d+)\.attention\.wo\.", r"blk.\1.attn_output."),
    (r"^layers\.(\d+)\.attention_norm\.", r"blk.\1.attn_norm."),
    (r"^layers\.(\d+)\.feed_forward\.w1\.", r"blk.\1.ffn_gate."),
    (r"^layers\.(\d+)\.feed_forward\.w2\.", r"blk.\1.ffn_down."),
    (r"^layers\.(\d+)\.feed_forward\.w3\.", r"blk.\1.ffn_up."),
    (r"^layers\.(\d+)\.ffn_norm\.", r"blk.\1.ffn_norm."),
)
_RENAMED: Step = step("rename_file", _CONSOLIDATED, FILE)
#: Hugging Face's names with attention and feed_forward in them, and without model.; the rows are Hugging Face's.
_TO_INFERNO: Step = step(
    "respell",
    (r"^model\.", ""),
    (r"\.self_attn\.", ".attention."),
    (r"\.mlp\.", ".feed_forward."),
)
_ONE_KEY = {**EIGHT_HEADS, "num_key_value_heads": 1}
_NO_GROUPS = {**EIGHT_HEADS, "num_key_value_heads": 8}
_TWELVE = {**EIGHT_HEADS, "num_hidden_layers": 12}
#: As many query heads for each key-value head as there are key-value heads: the two numbers cannot be told apart.
_FOUR = {"head_dim": 12, "hidden_size": 56, "num_attention_heads": 4, "num_key_value_heads": 2}

_META = tuple(
    of_weights(
        f"meta-names-{slug}",
        "dialects",
        f"Only consolidated.safetensors, with Meta's names and order of rows, and {what}.",
        small(config=config, dialect="meta", dtype=dtype),
        may(*_REFUSED),
        source,
        sibling="foreign-prefix",
        requires=F16 if dtype == "F16" else BF16,
        flags=("MetaNames", "RowOrder"),
    )
    for slug, what, config, source, dtype in (
        ("of-one-key", "one key-value head for all eight heads", _ONE_KEY, _META_ROWS, "BF16"),
        ("without-groups", "as many key-value heads as heads", _NO_GROUPS, _META_ROWS, "BF16"),
        ("of-twelve-layers", "twelve layers", _TWELVE, _GROUPS_OF_RULES, "BF16"),
        ("in-f16", "F16", EIGHT_HEADS, _NAME_SPACES, "F16"),
    )
)
_GGUF = tuple(
    of_weights(
        f"gguf-names-{slug}",
        "gguf-names",
        f"A model.safetensors with the names of GGUF and its order of rows, and {what}.",
        small(_TO_GGUF, _RENAMED, *steps, config=config, dialect="meta"),
        may(*_REFUSED),
        source,
        sibling="foreign-prefix",
        flags=("GgufNames", "RowOrder"),
    )
    for slug, what, config, source, steps in (
        ("of-grouped-queries", "four heads for each of two key-value heads", EIGHT_HEADS, _GGUF_ROWS, ()),
        ("of-one-key", "one key-value head for all eight heads", _ONE_KEY, _GGUF_ROWS, ()),
        ("of-four-heads", "two heads for each of two key-value heads", _FOUR, _GGUF_ROWS, ()),
        ("of-twelve-layers", "twelve layers", _TWELVE, _GROUPS_OF_RULES, ()),
        (
            "with-factors",
            "the divisors of llama3 scaling, which the configuration tells as well",
            EIGHT_HEADS,
            _FACTORS,
            (step("add_tensor", "rope_freqs.weight", "F32", (6,)),),
        ),
    )
)

CASES: tuple[Case, ...] = (
    *_META,
    of_weights(
        "meta-names-in-the-usual-file",
        "dialects",
        "A model.safetensors with Meta's names and order of rows: its own name says nothing of theirs.",
        small(_RENAMED, config=EIGHT_HEADS, dialect="meta"),
        may(*_REFUSED),
        Source(
            "A conversion that took the layout from something else than the names gave gibberish.",
            "https://github.com/ggml-org/llama.cpp/issues/2376",
            ("C05",),
        ),
        sibling="foreign-prefix",
        flags=("MetaNames", "RowOrder"),
    ),
    *_GGUF,
    of_weights(
        "names-of-inferno",
        "prefixes",
        "The names have no model., and attention and feed_forward for self_attn and mlp; no row is moved.",
        small(_TO_INFERNO, config=EIGHT_HEADS),
        may(*_REFUSED),
        _NAME_SPACES,
        sibling="prefix-of-nothing",
        flags=("WrappedNames", "Filled"),
    ),
    of_weights(
        "names-of-inferno-in-shards",
        "prefixes",
        "Three shards, and no model. in any name, and attention and feed_forward for self_attn and mlp.",
        small(_TO_INFERNO, config=EIGHT_HEADS, layout=Layout("shuffled", 3)),
        may(*_REFUSED),
        _NAME_SPACES,
        sibling="prefix-of-nothing",
        requires=needs(BF16, "sharded"),
        flags=("WrappedNames", "Filled"),
    ),
)
