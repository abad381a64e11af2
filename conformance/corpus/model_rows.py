"""Cases of the model: logits that tell in what order the rows of q and k are, and how far a query sees."""

from __future__ import annotations

from conformance.corpus.logits_parts import DEFAULT_ROPE, logits_case, texts
from conformance.corpus.model_parts import EIGHT_HEADS, FILE, LLAMA_CONFIG, small
from conformance.engine.case import Answer, Case, Source, may
from conformance.engine.reasons import Reason
from conformance.tools.steps import Step, step

_UNTURNED = Source(
    "The rows of q and k were not put in the order of the engine: twenty tokens look fine.",
    "https://github.com/karpathy/llama2.c/pull/286",
    ("C03", "C05", "C06"),
)
_OF_GROUPS = Source(
    "The rows of a grouped k went wrong on their way from Meta's names.",
    "https://github.com/Dao-AILab/flash-attention/pull/546",
    ("C07", "C03"),
)
_WINDOW = Source(
    "Each position attends to the window before it, itself among them.", "https://arxiv.org/abs/2310.06825"
)
_VALUE = (Reason.CONFIG_VALUE, Reason.CONFIG_INVALID)
_FOREIGN = (Reason.NO_WEIGHTS, Reason.MISSING_FILE, Reason.MISSING_TENSOR, Reason.UNEXPECTED_TENSOR)
_MISTRAL = {"architectures": ["MistralForCausalLM"], "model_type": "mistral"}
#: Meta's names as GGUF spells them, in the usual file.
_TO_GGUF: tuple[Step, ...] = (
    step(
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
    ),
    step("rename_file", "consolidated.safetensors", FILE),
)

_ROWS: tuple[Case, ...] = (
    *(
        logits_case(
            slug,
            "row-order",
            f"Only consolidated.safetensors, with Meta's names and the rows of q and k in Meta's order{what}.",
            small(config=config, dialect="meta"),
            DEFAULT_ROPE,
            source=source,
            sibling="missing-matrix",
            expect=may(*_FOREIGN),
            flags=("MetaNames", "RowOrder"),
        )
        for slug, what, config, source in (
            ("meta-names", "", EIGHT_HEADS, _UNTURNED),
            (
                "meta-names-of-one-key",
                ", and one key-value head for all",
                {**EIGHT_HEADS, "num_key_value_heads": 1},
                _OF_GROUPS,
            ),
            ("meta-names-without-groups", ", and no groups", {**EIGHT_HEADS, "num_key_value_heads": 8}, _OF_GROUPS),
        )
    ),
    logits_case(
        "gguf-names",
        "row-order",
        "A model.safetensors with the names of GGUF and its order of rows, and four heads for each key-value head.",
        small(*_TO_GGUF, config=EIGHT_HEADS, dialect="meta"),
        DEFAULT_ROPE,
        source=Source(
            "The rows of k were moved back by the number of query heads: no shape was wrong.",
            "https://github.com/huggingface/transformers/issues/31766",
            ("C04", "C03"),
        ),
        sibling="missing-matrix",
        expect=may(*_FOREIGN),
        flags=("GgufNames", "RowOrder"),
    ),
    logits_case(
        "rows-of-hugging-face",
        "row-order",
        "Four heads for each of two key-value heads, and a long text: pairs are half a head apart.",
        small(config=EIGHT_HEADS),
        DEFAULT_ROPE,
        source=Source(
            "Neighbours were turned in a model whose pairs are half a head apart: it began to repeat itself.",
            "https://github.com/huggingface/candle/pull/3411",
            ("C09", "C05", "C06"),
        ),
        sibling="missing-matrix",
        calls=texts(300),
        flags=("RowOrder",),
    ),
)
_WINDOWS: tuple[Case, ...] = (
    *(
        logits_case(
            slug,
            "window",
            title,
            small(config={**_MISTRAL, "sliding_window": window}),
            "family:mistral",
            DEFAULT_ROPE,
            source=_WINDOW,
            sibling="missing-matrix",
            calls=texts(positions),
        )
        for slug, title, window, positions in (
            ("sliding-window", "The family mistral, and a window of 24 positions before 100.", 24, 100),
            ("window-as-long-as-the-text", "The family mistral, and a window of 100 before 100 positions.", 100, 100),
            ("window-of-a-few", "The family mistral, and a window of three positions before 700.", 3, 700),
            ("no-window", "The family mistral, and a window that is null.", None, 100),
        )
    ),
    logits_case(
        "window-of-a-llama",
        "window",
        "The family llama, whose class has no window, and a sliding_window of 24 before 100 positions.",
        small(config={"sliding_window": 24}),
        DEFAULT_ROPE,
        source=Source("The class of Llama has no window, and passes over keys that it does not know.", LLAMA_CONFIG),
        sibling="missing-matrix",
        calls=texts(100),
        expect=may(*_VALUE, answers=(Answer(), Answer(of=small()))),
        flags=("WindowOfLlama",),
    ),
)

CASES: tuple[Case, ...] = (*_ROWS, *_WINDOWS)
