"""Cases of the weights: each parameter of the model is there once, in its shape, and nothing else passes for one."""

from __future__ import annotations

from conformance.corpus.model_parts import (
    ATTENTION,
    BF16,
    EIGHT_HEADS,
    F16,
    LLAMA,
    LLAMA_CONFIG,
    QUERY,
    SINGLE,
    TWELVE,
    reject_or_told,
    small,
)
from conformance.engine.case import Answer, Case, Expect, Severity, Source, accept, may, needs, reject
from conformance.engine.claims import Level
from conformance.engine.reasons import Reason
from conformance.tools.steps import step

_RANDOM = "https://github.com/huggingface/transformers/issues/48722"
_MISSING = Source(
    "A model whose weights were nowhere in the file got random ones, and a warning.",
    _RANDOM,
    ("C17", "L01"),
)
_BIASED = {"attention_bias": True}
_BIASES = tuple(f"model.layers.{layer}.self_attn.{part}.bias" for layer in (0, 1) for part in ATTENTION)
_COMPLETE: tuple[Case, ...] = (
    Case(
        id="weights/single-bf16",
        level=Level.WEIGHTS,
        clause="weights.complete",
        severity=Severity.SILENT,
        title="Two layers in one BF16 file, with grouped queries, and heads wider than hidden size over heads.",
        recipe=SINGLE,
        expect=accept(),
        source=Source("The parameters of a Llama, by their names.", LLAMA),
        sibling="weights/missing-matrix",
        requires=BF16,
    ),
    Case(
        id="weights/twelve-layers-in-shards",
        level=Level.WEIGHTS,
        clause="weights.layer-order",
        severity=Severity.SILENT,
        title="Twelve layers in shards, so that layer 10 comes before layer 2 where names are sorted as text.",
        recipe=TWELVE,
        expect=accept(),
        source=Source(
            "A conversion that read a part of the shards lost forty tensors.",
            "https://github.com/ggml-org/llama.cpp/issues/6490",
            ("B17",),
        ),
        sibling="weights/layer-in-the-middle-missing",
        requires=needs(BF16, "sharded"),
        flags=("StringOrder",),
    ),
    Case(
        id="weights/heads-of-their-own",
        level=Level.WEIGHTS,
        clause="weights.heads",
        severity=Severity.CRASH,
        title="As many key-value heads as heads, and a configuration without num_key_value_heads, as before 2023.",
        recipe=small(config={"num_key_value_heads": 6}, omit=("num_key_value_heads",)),
        expect=accept(),
        source=Source("A configuration that is silent on key-value heads has one for each head.", LLAMA_CONFIG),
        sibling="weights/key-value-heads-do-not-divide",
        requires=BF16,
    ),
    Case(
        id="weights/missing-matrix",
        level=Level.WEIGHTS,
        clause="weights.missing",
        severity=Severity.SILENT,
        title="The query projection of the second layer is nowhere.",
        recipe=small(step("remove_tensor", f"{QUERY}.weight")),
        expect=reject(Reason.MISSING_TENSOR),
        source=_MISSING,
        sibling="weights/single-bf16",
        requires=BF16,
        flags=("Filled",),
    ),
    Case(
        id="weights/missing-norm",
        level=Level.WEIGHTS,
        clause="weights.missing",
        severity=Severity.SILENT,
        title="The last norm is nowhere: a new one is all ones, and a model with it still speaks.",
        recipe=small(step("remove_tensor", "model.norm.weight")),
        expect=reject(Reason.MISSING_TENSOR),
        source=_MISSING,
        sibling="weights/single-bf16",
        requires=BF16,
        flags=("Filled",),
    ),
    Case(
        id="weights/layer-in-the-middle-missing",
        level=Level.WEIGHTS,
        clause="weights.missing",
        severity=Severity.SILENT,
        title="Of twelve layers in shards the sixth is nowhere, and the index does not name it.",
        recipe=TWELVE.then(step("layer_missing")),
        expect=reject(Reason.MISSING_TENSOR),
        source=Source(
            "A server started with what an incomplete set of shards left uninitialised.",
            "https://github.com/sgl-project/sglang/pull/32279",
            ("B01",),
        ),
        sibling="weights/twelve-layers-in-shards",
        requires=needs(BF16, "sharded"),
        flags=("Filled",),
    ),
    Case(
        id="weights/foreign-prefix",
        level=Level.WEIGHTS,
        clause="weights.missing",
        severity=Severity.SILENT,
        title="All names but that of the head begin with transformer. in place of model.",
        recipe=small(step("rename_tensors", "model.", "transformer.")),
        expect=reject(Reason.MISSING_TENSOR, Reason.UNEXPECTED_TENSOR),
        source=Source(
            "Keys that matched nothing were passed over, and the parameters stayed random, without a report.",
            "https://github.com/oxiglade/mlx-rs/issues/304",
            ("C02",),
        ),
        sibling="weights/single-bf16",
        requires=BF16,
        flags=("Filled",),
    ),
    Case(
        id="weights/meta-names",
        level=Level.WEIGHTS,
        clause="weights.dialects",
        severity=Severity.SILENT,
        title="Only consolidated.safetensors, with Meta's names and the rows of q and k in Meta's order.",
        recipe=small(config=EIGHT_HEADS, dialect="meta"),
        expect=may(Reason.NO_WEIGHTS, Reason.MISSING_FILE, Reason.MISSING_TENSOR, Reason.UNEXPECTED_TENSOR),
        source=Source(
            "The rows of k were put in order by the wrong number of heads, which shows only with grouped queries.",
            "https://github.com/ggml-org/llama.cpp/pull/3364",
            ("C03", "C05", "C06", "B18"),
        ),
        sibling="weights/foreign-prefix",
        requires=BF16,
        flags=("MetaNames", "RowOrder"),
    ),
)

_BIAS: tuple[Case, ...] = (
    Case(
        id="weights/biases",
        level=Level.WEIGHTS,
        clause="weights.biases",
        severity=Severity.SILENT,
        title="F16, and a bias beside each of the seven projections of a layer, as the configuration says.",
        recipe=small(dtype="F16", config={"attention_bias": True, "mlp_bias": True}),
        expect=accept(),
        source=Source(
            "Stored biases were dropped: a Llama was thought to have none.",
            "https://github.com/mlc-ai/mlc-llm/pull/3494",
            ("G09",),
        ),
        sibling="weights/bias-declared-and-absent",
        requires=needs(F16, "bias"),
    ),
    Case(
        id="weights/bias-declared-and-absent",
        level=Level.WEIGHTS,
        clause="weights.biases",
        severity=Severity.SILENT,
        title="The configuration says attention_bias, and no bias is stored.",
        recipe=small(step("set_config", "attention_bias", "true")),
        expect=reject(Reason.MISSING_TENSOR),
        source=_MISSING,
        sibling="weights/biases",
        requires=needs(BF16, "bias"),
        flags=("Filled",),
    ),
    Case(
        id="weights/bias-stored-and-not-declared",
        level=Level.WEIGHTS,
        clause="weights.undeclared-biases",
        severity=Severity.SILENT,
        title="Biases of the attention are stored, and the configuration says nothing of them.",
        recipe=small(config=_BIASED, omit=("attention_bias",)),
        expect=Expect(
            answers=(Answer(), *reject_or_told(names=_BIASES, of=SINGLE).answers),
            reasons=(Reason.UNEXPECTED_TENSOR,),
        ),
        source=Source(
            "Stored biases were dropped without a word: 420 of them in a model that people use.",
            "https://github.com/mlc-ai/mlc-llm/pull/3494",
            ("G09", "C23"),
        ),
        sibling="weights/bias-declared-and-absent",
        requires=BF16,
        flags=("UndeclaredBias",),
    ),
)

CASES: tuple[Case, ...] = (*_COMPLETE, *_BIAS)
