"""The clauses of the chapter "Names and layouts"."""

from __future__ import annotations

from conformance.corpus.clauses.clause import Chapter, Clause

CHAPTER = Chapter(
    "Names and layouts",
    "Which stored tensor is which parameter, and in which order its rows lie.",
    (
        Clause(
            "weights.complete",
            "MUST",
            "Every parameter that the configuration asks for is handed out, with the values that are stored under its "
            "name.",
            "https://github.com/huggingface/transformers/blob/main/src/transformers/models/llama/modeling_llama.py",
        ),
        Clause(
            "weights.unexpected",
            "MUST",
            "A stored tensor for which the model has no place is refused or reported, and never becomes the value "
            "of another; buffers of the rotary embedding are no offence.",
            "https://github.com/huggingface/accelerate/pull/2588",
        ),
        Clause(
            "weights.shape",
            "MUST",
            "Each parameter has the shape that the configuration asks for: none is reshaped, spread, padded or cut.",
            "https://github.com/huggingface/accelerate/pull/1731",
        ),
        Clause(
            "weights.biases",
            "MUST",
            "A bias that the configuration declares is there and handed out; one that is stored nowhere is an error.",
            "https://github.com/huggingface/transformers/blob/main/src/transformers/models/llama/configuration_llama.py",
        ),
        Clause(
            "weights.dialects",
            "MAY",
            "Weights in Meta's names are loaded with the rows of q and k in the order of Hugging Face, or refused.",
            "https://github.com/meta-llama/llama-models/blob/main/models/llama3/model.py",
        ),
        Clause(
            "weights.missing",
            "MUST",
            "A parameter that is stored nowhere is an error, whichever it is: it is never filled with random "
            "numbers, zeros, ones, or the values of another.",
            "https://github.com/huggingface/transformers/issues/48722",
        ),
        Clause(
            "weights.no-match",
            "MUST",
            "A checkpoint none of whose names are those of the model is refused: a load of nothing is no load.",
            "https://github.com/facebookresearch/sam3/issues/606",
        ),
        Clause(
            "weights.layer-order",
            "MUST",
            "A layer is found by the number in its name, and by no order of names, entries or files.",
            "https://github.com/ggml-org/llama.cpp/issues/6490",
        ),
        Clause(
            "weights.layer-numbers",
            "MUST",
            "The number of a layer is written in the ten ASCII digits, without sign, point or leading zero: any "
            "other spelling is another name, and never stands for the layer.",
            "https://github.com/huggingface/transformers/blob/main/src/transformers/models/llama/modeling_llama.py",
        ),
        Clause(
            "weights.whole-names",
            "MUST",
            "A name counts as it stands, to the letter: where a name that is nearly right stands beside the right "
            "one, or in its place, it is not taken for it in silence.",
            "https://github.com/huggingface/transformers/pull/48075",
        ),
        Clause(
            "weights.prefixes",
            "MAY",
            "Names that all stand behind the prefix of a wrapper are loaded, every one of them, or refused.",
            "https://github.com/huggingface/transformers/issues/48722",
        ),
        Clause(
            "weights.fused",
            "MUST",
            "Projections that are stored as one tensor, and whose order of rows nothing declares, are refused, "
            "not guessed.",
            "https://github.com/vllm-project/vllm/issues/42803",
        ),
        Clause(
            "weights.adapters",
            "MUST",
            "Tensors of an adapter are applied by none who was not asked to, and never passed over in silence.",
            "https://github.com/ml-explore/mlx-lm/pull/1727",
        ),
        Clause(
            "weights.experts",
            "MUST",
            "An expert, or the gate of experts, is no feed-forward block of a dense model, and is refused or reported.",
            "https://github.com/magicnight/Mac-MLX/pull/78",
        ),
        Clause(
            "weights.undeclared-biases",
            "MUST",
            "A bias that is stored and not declared is used, reported or refused, and never dropped in silence.",
            "https://github.com/mlc-ai/mlc-llm/pull/3494",
        ),
        Clause(
            "weights.elements",
            "MUST",
            "A tensor with as many elements as its parameter and another shape is refused: it is neither "
            "flattened, folded, turned nor squeezed.",
            "https://github.com/huggingface/accelerate/issues/2374",
        ),
        Clause(
            "weights.vocabulary",
            "MUST",
            "Embedding and head have a row for each token of the configuration: rows are neither cut nor made up.",
            "https://github.com/unslothai/unsloth/issues/237",
        ),
        Clause(
            "weights.gguf-names",
            "MAY",
            "Weights in the names of GGUF are loaded with the rows of q and k, each by its own number of heads, "
            "in the order of Hugging Face, or refused.",
            "https://github.com/huggingface/transformers/issues/31766",
        ),
        Clause(
            "weights.layouts",
            "MUST",
            "How a checkpoint is cut into files, how these are called, and in which order the tensors lie in them says "
            "nothing of the parameters: all layouts give the same ones.",
            "https://github.com/huggingface/transformers/pull/16343",
        ),
    ),
)
