"""The clauses of the chapter "Rotary embeddings"."""

from __future__ import annotations

from conformance.corpus.clauses.clause import Chapter, Clause

_UTILS = "https://github.com/huggingface/transformers/blob/main/src/transformers/modeling_rope_utils.py"

CHAPTER = Chapter(
    "Rotary embeddings",
    "By what angles queries and keys are turned, at every position.",
    (
        Clause(
            "model.rope",
            "MUST",
            "Queries and keys are turned by the type of scaling that the configuration names; one that is not known, "
            "or is no name, is refused, and the plain frequencies do not stand for it.",
            _UTILS,
        ),
        Clause(
            "model.rope-base",
            "MUST",
            "The base is the one that the configuration tells, 10,000 where it tells none; it is a number above zero.",
            "https://arxiv.org/abs/2104.09864",
        ),
        Clause(
            "model.rope-spelling",
            "MUST",
            "The old spelling (rope_theta, and rope_scaling with type or rope_type) and the new one (rope_parameters) "
            "say the same, and a file may have both.",
            _UTILS,
        ),
        Clause(
            "model.rope-conflict",
            "MUST",
            "Where two places contradict each other the checkpoint is refused, or one of the two counts whole.",
            _UTILS,
        ),
        Clause(
            "model.rope-linear",
            "MUST",
            "Linear scaling divides every frequency by the factor, which need not be whole.",
            "https://arxiv.org/abs/2306.15595",
        ),
        Clause(
            "model.rope-dynamic",
            "MUST",
            "Dynamic scaling raises the base by the length of the text at hand beyond max_position_embeddings, and not "
            "by that of a text before it; up to that length it changes nothing.",
            "https://arxiv.org/abs/2309.00071",
        ),
        Clause(
            "model.rope-llama3",
            "MUST",
            "The scaling of Llama 3.1 keeps what turns more often than high_freq_factor within the original length, "
            "divides what turns less often than low_freq_factor by the factor, and blends between the two.",
            "https://github.com/meta-llama/llama-models/blob/main/models/llama3/model.py",
        ),
        Clause(
            "model.rope-yarn",
            "MUST",
            "YaRN keeps the pairs that turn more often than beta_fast within the original length, divides by the "
            "factor those that turn less often than beta_slow, and goes over from pair to pair between the two.",
            "https://arxiv.org/abs/2309.00071",
        ),
        Clause(
            "model.rope-attention",
            "MUST",
            "Cosine and sine of YaRN and LongRoPE are multiplied by the attention factor: the one that is told, else "
            "the one that follows from mscale, mscale_all_dim, the factor and the lengths.",
            "https://github.com/sgl-project/sglang/pull/22711",
        ),
        Clause(
            "model.rope-longrope",
            "MUST",
            "LongRoPE divides each frequency by a number of its own: by the short list up to the original length of "
            "the text at hand, that length included, and by the long list beyond.",
            "https://arxiv.org/abs/2402.13753",
        ),
        Clause(
            "model.rope-original",
            "MUST",
            "The original length is the one that is told, among the settings or beside them, and never "
            "max_position_embeddings in its place; where none is told that one stands for it, or the checkpoint is "
            "refused.",
            _UTILS,
        ),
        Clause(
            "model.rope-values",
            "MUST",
            "A type of scaling has the settings that it cannot do without; each is a finite number above zero, and a "
            "list has one number for each pair. What is absent or something else is refused.",
            _UTILS,
        ),
        Clause(
            "model.rope-partial",
            "MUST",
            "Where only a part of each head is to be rotated, that part is, with pairs and frequencies of its own "
            "width; or the whole head is, as in the class of Llama, or the checkpoint is refused.",
            "https://github.com/labscommunity/cascadia/pull/69",
        ),
        Clause(
            "model.rope-computed",
            "MUST",
            "Frequencies follow from the configuration, and not from a buffer that is stored; they and the positions "
            "are computed in numbers that can tell 8,192 positions apart.",
            "https://github.com/huggingface/candle/pull/3520",
        ),
    ),
)
