"""Cases of the model: logits, which show what names, shapes and values do not: heads, their order, norms, the head."""

from __future__ import annotations

from conformance.corpus.logits_parts import DEFAULT_ROPE, logits_case
from conformance.corpus.model_parts import EIGHT_HEADS, F32, LLAMA_CONFIG, TIED, small
from conformance.engine.case import Call, Case, Source, Tokens, may, reject
from conformance.engine.reasons import Reason
from conformance.tools.recipe import Quantization
from conformance.tools.steps import step

_LAYERS: tuple[Case, ...] = (
    logits_case(
        "grouped-queries",
        "attention",
        "Eight heads, two key-value heads: four neighbours share one, and heads over key-value heads is not two.",
        small(config=EIGHT_HEADS),
        DEFAULT_ROPE,
        source=Source(
            "Heads and groups were taken for each other: with one head, or as many heads as groups, it does not show.",
            "https://github.com/nntile/nntile/pull/347",
            ("C08",),
        ),
        sibling="missing-matrix",
        flags=("RowOrder",),
    ),
    logits_case(
        "wide-heads",
        "attention",
        "Heads of sixteen where hidden size over heads is nine.",
        small(config={"head_dim": 16}),
        DEFAULT_ROPE,
        source=Source(
            "The width of a head was computed, and not read.",
            "https://github.com/foundation-model-stack/foundation-model-stack/pull/527",
            ("C21",),
        ),
        sibling="missing-matrix",
        flags=("RowOrder",),
    ),
    logits_case(
        "biases",
        "attention",
        "A bias beside each projection of attention and feed-forward.",
        small(config={"attention_bias": True, "mlp_bias": True}),
        DEFAULT_ROPE,
        "bias",
        source=Source(
            "Stored biases were dropped: a Llama was thought to have none.",
            "https://github.com/mlc-ai/mlc-llm/pull/3494",
            ("G09",),
        ),
        sibling="missing-matrix",
    ),
    logits_case(
        "sliding-window",
        "attention",
        "The family mistral, and a window of 24 positions before 100.",
        small(
            config={"architectures": ["MistralForCausalLM"], "model_type": "mistral", "sliding_window": 24},
        ),
        "family:mistral",
        DEFAULT_ROPE,
        source=Source(
            "Each position attends to the window before it, itself among them.", "https://arxiv.org/abs/2310.06825"
        ),
        sibling="missing-matrix",
        calls=(Call(tokens=Tokens(100)),),
    ),
    logits_case(
        "meta-names",
        "attention",
        "Only consolidated.safetensors, with Meta's names and the rows of q and k in Meta's order.",
        small(config=EIGHT_HEADS, dialect="meta"),
        DEFAULT_ROPE,
        source=Source(
            "The rows of q and k were not put in the order of the engine: twenty tokens look fine.",
            "https://github.com/karpathy/llama2.c/pull/286",
            ("C03", "C05", "C06"),
        ),
        sibling="missing-matrix",
        expect=may(Reason.NO_WEIGHTS, Reason.MISSING_FILE, Reason.MISSING_TENSOR, Reason.UNEXPECTED_TENSOR),
        flags=("MetaNames", "RowOrder"),
    ),
    logits_case(
        "missing-matrix",
        "attention",
        "The query projection of the second layer is nowhere.",
        small(step("missing_tensor")),
        source=Source(
            "A model with random weights in it speaks, and is not noticed.",
            "https://github.com/huggingface/transformers/issues/48722",
            ("C17", "L01"),
        ),
        sibling="grouped-queries",
        expect=reject(Reason.MISSING_TENSOR),
        flags=("Filled",),
    ),
    logits_case(
        "large-epsilon",
        "norm",
        "The norms add a quarter to the mean square, as the configuration says.",
        small(config={"rms_norm_eps": 0.25}),
        DEFAULT_ROPE,
        source=Source(
            "The epsilon is a figure of the configuration: the first Llama has 1e-6, the second 1e-5.", LLAMA_CONFIG
        ),
        sibling="missing-norm",
    ),
    logits_case(
        "missing-norm",
        "norm",
        "The last norm is nowhere: a new one is all ones.",
        small(step("remove_tensor", "model.norm.weight")),
        source=Source(
            "A model with new weights in it speaks, and is not noticed.",
            "https://github.com/huggingface/transformers/issues/48722",
            ("C17", "L01"),
        ),
        sibling="large-epsilon",
        expect=reject(Reason.MISSING_TENSOR),
        flags=("Filled",),
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
        source=Source(
            "The head stayed at random numbers: all output was garbage.",
            "https://github.com/vllm-project/vllm/pull/53020",
            ("E01",),
        ),
        sibling="missing-head-and-embedding",
        flags=("Filled",),
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

_QUANTIZED: tuple[Case, ...] = (
    logits_case(
        "int8",
        "quantized",
        "Int8 with a scale for each row, in F32: the logits of the dequantized weights.",
        small(quantization=Quantization("int8"), dtype="F32"),
        DEFAULT_ROPE,
        "quant:ct-int",
        *F32,
        source=Source(
            "Scales that were dropped made weights up to a hundred times too large.",
            "https://github.com/vllm-project/vllm/issues/54623",
            ("F10",),
        ),
        sibling="int8-without-a-scale",
    ),
    logits_case(
        "int8-without-a-scale",
        "quantized",
        "Int8, and one of the weights has no scale.",
        small(step("missing_scale"), quantization=Quantization("int8"), dtype="F32"),
        "quant:ct-int",
        *F32,
        source=Source(
            "Scales that were dropped made weights up to a hundred times too large.",
            "https://github.com/vllm-project/vllm/issues/54623",
            ("F10",),
        ),
        sibling="int8",
        expect=reject(Reason.MISSING_SCALE, Reason.MISSING_TENSOR),
        flags=("BareCodes",),
    ),
)

CASES: tuple[Case, ...] = (*_LAYERS, *_HEADS, *_QUANTIZED)
