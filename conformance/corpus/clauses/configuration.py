"""The clauses of the chapter "Configuration"."""

from __future__ import annotations

from conformance.corpus.clauses.clause import Chapter, Clause

CHAPTER = Chapter(
    "Configuration",
    "What config.json says, and what it may not say.",
    (
        Clause(
            "weights.configuration",
            "MUST",
            "What the parameters are follows from a configuration that is there; keys that say nothing of the "
            "parameters do no harm.",
            "https://github.com/huggingface/transformers/blob/main/src/transformers/models/llama/configuration_llama.py",
        ),
        Clause(
            "weights.config-json",
            "MUST",
            "The configuration is one JSON object in UTF-8, by the grammar of RFC 8259: half of one, none, "
            "another value or NaN is an error, not an empty configuration.",
            "https://www.rfc-editor.org/rfc/rfc8259",
        ),
        Clause(
            "weights.figures",
            "MUST",
            "A figure that fixes shapes is a whole number of at least one: nothing, a string, a fraction, a "
            "boolean, zero, or a number that no model has is refused, and no default stands for it.",
            "https://github.com/huggingface/transformers/blob/main/src/transformers/models/llama/configuration_llama.py",
        ),
        Clause(
            "weights.figures-agree",
            "MUST",
            "The figures and the stored tensors say the same: where they do not, neither is bent to fit the other.",
            "https://github.com/ServiceNow/Fast-LLM/issues/102",
        ),
        Clause(
            "weights.heads",
            "MUST",
            "Key-value heads divide the heads, and are as many where nothing is said of them; a head is as wide "
            "as head_dim says, and only without it hidden size over heads, which must divide.",
            "https://github.com/huggingface/transformers/issues/48643",
        ),
        Clause(
            "weights.family",
            "MUST",
            "A family is known by its name, and one that is not known is refused, whatever its tensors are "
            "called; weights of one that is known are handed out as they are stored.",
            "https://github.com/huggingface/candle/pull/3411",
        ),
        Clause(
            "weights.nested-config",
            "MAY",
            "A configuration that stands under text_config is read there, whole, or refused.",
            "https://github.com/huggingface/transformers/pull/43429",
        ),
    ),
)
