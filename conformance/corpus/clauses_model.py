"""The clauses of the areas weights, parallel, model and analysis: what the parameters of a Llama owe."""

from __future__ import annotations

from conformance.corpus.clause import Clause

_LLAMA = "https://github.com/huggingface/transformers/blob/main/src/transformers/models/llama/modeling_llama.py"
_CONFIG = "https://github.com/huggingface/transformers/blob/main/src/transformers/models/llama/configuration_llama.py"
_COMPRESSED = "https://github.com/vllm-project/compressed-tensors"
_MEGATRON = "https://arxiv.org/abs/1909.08053"
_LLAMA_PAPER = "https://arxiv.org/abs/2302.13971"

CLAUSES_OF_MODELS: tuple[Clause, ...] = (
    Clause(
        "weights.complete",
        "MUST",
        "Every parameter that the configuration asks for is handed out, with the values that are stored for it; one"
        " that is stored nowhere is an error, and is never filled with other values.",
        _LLAMA,
    ),
    Clause(
        "weights.dialects",
        "MAY",
        "Weights in Meta's names are loaded with the rows of q and k in the order of Hugging Face, or refused.",
        "https://github.com/meta-llama/llama-models/blob/main/models/llama3/model.py",
    ),
    Clause(
        "weights.biases",
        "MUST",
        "A bias that the configuration declares is there; one that is stored is never dropped in silence.",
        _CONFIG,
    ),
    Clause(
        "weights.unexpected",
        "MUST",
        "A stored tensor for which the model has no place is refused or reported, and never becomes the value of"
        " another; buffers of the rotary embedding are no offence.",
        "https://github.com/huggingface/accelerate/pull/2588",
    ),
    Clause(
        "weights.shape",
        "MUST",
        "Each parameter has the shape that the configuration asks for: none is reshaped, spread, padded or cut.",
        "https://github.com/huggingface/accelerate/pull/1731",
    ),
    Clause(
        "weights.configuration",
        "MUST",
        "What the parameters are follows from a configuration that is there, can be read, and contradicts neither"
        " itself nor the tensors.",
        _CONFIG,
    ),
    Clause(
        "weights.dtype",
        "MUST",
        "Without a dtype asked for, a dense parameter keeps the one that it is stored in, or its cast is reported;"
        " integers and FP8 codes are no dense parameters.",
        "https://github.com/NVIDIA-NeMo/Automodel/pull/2419",
    ),
    Clause(
        "weights.cast",
        "MUST",
        "A dtype that is asked for is the dtype of every parameter, each value rounded once, to the nearest, ties to"
        " even.",
        "https://github.com/huggingface/transformers/issues/46459",
    ),
    Clause(
        "weights.tied",
        "MUST",
        "Of a tied embedding and head the one that is stored serves for both, wherever the flag stands; a head is never"
        " made up, and a stored one is not replaced in silence.",
        "https://github.com/vllm-project/vllm/pull/53020",
    ),
    Clause(
        "weights.dequantized",
        "MUST",
        "A quantized weight is handed out as code less zero point times scale, rounded once; the configuration says"
        " what one scale covers and which modules are dense.",
        _COMPRESSED,
    ),
    Clause(
        "weights.scales",
        "MUST",
        "Every code has its scale, every scale its codes, and all of them are finite numbers on the grid that the"
        " configuration tells.",
        _COMPRESSED,
    ),
    Clause(
        "weights.scheme",
        "MUST",
        "Codes are read by the scheme that the configuration names; under a name that is not known they are refused.",
        "https://github.com/vllm-project/vllm/pull/38966",
    ),
    Clause(
        "parallel.slices",
        "MUST",
        "A rank has its own slice of each parameter: rows of what makes features, columns of what takes them, in blocks"
        " of ceil(size / ranks); norms whole; a bias behind a sum on one rank alone.",
        _MEGATRON,
    ),
    Clause(
        "parallel.heads",
        "MUST",
        "Attention is cut in whole heads; with fewer key-value heads than ranks, rank r has head"
        " floor(r * heads / ranks); what does not divide is refused.",
        "https://github.com/huggingface/transformers/issues/48307",
    ),
    Clause(
        "parallel.quantized",
        "SHOULD",
        "Slices of quantized weights are slices of the dense ones, whatever groups or blocks a boundary cuts.",
        "https://github.com/intel/auto-round/issues/643",
    ),
    Clause(
        "model.rope",
        "MUST",
        "Queries and keys are turned by the base and the scaling that the configuration tells, in its old spelling and"
        " in its new one; a scaling that is not known is refused.",
        "https://github.com/huggingface/transformers/blob/main/src/transformers/modeling_rope_utils.py",
    ),
    Clause(
        "model.attention",
        "MUST",
        "Heads are as wide as the configuration says, neighbouring query heads share a key-value head, and the rows of"
        " q and k are in the order of the rotation.",
        "https://arxiv.org/abs/2305.13245",
    ),
    Clause(
        "model.norm",
        "MUST",
        "Each norm has its own weight, and the epsilon of the configuration.",
        "https://arxiv.org/abs/1910.07467",
    ),
    Clause(
        "model.head", "MUST", "The head is the one that is stored, or the embedding where it is tied.", _LLAMA_PAPER
    ),
    Clause("model.quantized", "MUST", "The logits are those of the dequantized weights.", _COMPRESSED),
    Clause(
        "analysis.facts",
        "SHOULD",
        "Counts follow from the headers: parameters are logical elements, each once; bytes are spans of offsets.",
        "https://github.com/huggingface/hub-docs/issues/2704",
    ),
    Clause(
        "analysis.sound",
        "SHOULD",
        "No facts are told of a checkpoint whose files are shorter than their headers say.",
        "https://github.com/exo-explore/exo/pull/1956",
    ),
)
