"""Cases that the search found (``python -m conformance search``), each with the seed and what did not agree.

Two are of a choice that two right loaders make otherwise. The others are the smallest recipes that told a planted
loader from the right one, and that no case had. The search writes more behind the last one.
"""

from __future__ import annotations

from conformance.engine.case import Call, Case, Severity, Source, accept, may, needs, reject
from conformance.engine.claims import Level
from conformance.engine.reasons import Reason
from conformance.tools.container import Spec
from conformance.tools.recipe import Layout, Quantization, Recipe
from conformance.tools.scenario import Scenario
from conformance.tools.steps import step
from conformance.tools.tensor_file import TensorFile

_FORMAT = "https://github.com/safetensors/safetensors#format"
_SHARDS = "https://huggingface.co/docs/transformers/big_models#shard-metadata"
_META = "https://github.com/meta-llama/llama-models/blob/main/models/llama3/model.py"
_LLAMA = "https://github.com/huggingface/transformers/blob/main/src/transformers/models/llama/modeling_llama.py"
_CODES = "https://github.com/vllm-project/compressed-tensors"
#: The smallest model that is drawn: one layer, one head of two, no size of which another is a multiple.
_TINY = {
    "head_dim": 2,
    "hidden_size": 3,
    "intermediate_size": 2,
    "num_attention_heads": 1,
    "num_hidden_layers": 1,
    "num_key_value_heads": 1,
    "vocab_size": 5,
}
_TWO_HEADS = {**_TINY, "hidden_size": 4, "num_attention_heads": 2, "num_key_value_heads": 2}
_FIRST = "model-00001-of-00002.safetensors"
_TWO = Scenario(Recipe(config=_TINY, layout=Layout("by_count", 2)))
_NAMED_SINGLE = _TWO.then(step("rename_shard", _FIRST, "model.safetensors"))
_BF16, _SHARDED = needs("dtype:BF16"), needs("dtype:BF16", "sharded")

CASES: tuple[Case, ...] = (
    Case(
        id="checkpoint/found-shard-of-the-name-of-a-single-file",
        level=Level.CHECKPOINT,
        clause="checkpoint.one-set",
        severity=Severity.CRASH,
        title="One of the two shards that the index names is called model.safetensors.",
        recipe=_NAMED_SINGLE,
        expect=may(Reason.AMBIGUOUS_WEIGHTS),
        source=Source(
            "Found by search, seed 32, 2026-11-25: inferno_loader refused it as ambiguous, the right one loaded it. The"
            " index says which files are the shards; a file of that name may also be what an older set has left.",
            _SHARDS,
        ),
        sibling="checkpoint/missing-shard",
        requires=_SHARDED,
        flags=("SeveralSets",),
    ),
    Case(
        id="weights/found-shard-of-the-name-of-a-single-file",
        level=Level.WEIGHTS,
        clause="weights.files",
        severity=Severity.CRASH,
        title="The parameters lie in two shards, of which the index calls one model.safetensors.",
        recipe=_NAMED_SINGLE,
        expect=may(Reason.AMBIGUOUS_WEIGHTS),
        source=Source(
            "Found by search, seed 32, 2026-11-25: inferno_loader refused it as ambiguous, the right one loaded it. To"
            " load the one file alone, and to make up the rest, is wrong.",
            _SHARDS,
        ),
        sibling="weights/missing-matrix",
        requires=_SHARDED,
        flags=("SeveralSets",),
    ),
    Case(
        id="checkpoint/found-other-shards-under-the-same-names",
        level=Level.CHECKPOINT,
        clause="checkpoint.index-promise",
        severity=Severity.SILENT,
        title="The shards have been replaced by as many of the same names, to which the tensors are dealt otherwise.",
        recipe=_TWO.then(step("shards_beside", 2, 0)),
        expect=reject(Reason.BROKEN_PROMISE, Reason.MISSING_TENSOR),
        source=Source(
            "Found by search, seed 1, 2026-11-25: a planted loader that reads whole files loaded it; the right one"
            " refused it, for no shard holds what the index says.",
            _SHARDS,
        ),
        sibling="checkpoint/sharded",
        requires=_SHARDED,
    ),
    Case(
        id="checkpoint/found-trailing-byte-of-a-single-file",
        level=Level.CHECKPOINT,
        clause="checkpoint.whole",
        severity=Severity.SECURITY,
        title="One byte follows the last tensor of the only file of a checkpoint of two layers.",
        recipe=Scenario(Recipe(config={**_TINY, "num_hidden_layers": 2})).then(step("trailing_byte")),
        expect=reject(Reason.TRAILING_BYTES, Reason.SIZE_MISMATCH),
        source=Source(
            "Found by search, seed 41, 2026-11-25: the planted TrailingAccepted loaded it, the right one refused it.",
            _FORMAT,
        ),
        sibling="checkpoint/index-of-a-single-file",
        requires=_BF16,
    ),
    Case(
        id="checkpoint/found-unpadded-single-file",
        level=Level.CHECKPOINT,
        clause="checkpoint.whole",
        severity=Severity.SILENT,
        title="The only file of a checkpoint is sorted by name, with a header of any length, as in spring 2023.",
        recipe=Scenario(Recipe(config=_TINY, rule="name-unpadded")),
        expect=accept(),
        source=Source(
            "Found by search, seed 1, 2026-11-25: the planted RoundedStart loaded other bytes than the closed form.",
            _FORMAT,
        ),
        sibling="checkpoint/missing-shard",
        requires=_BF16,
    ),
    Case(
        id="container/found-header-without-padding",
        level=Level.CONTAINER,
        clause="container.values",
        severity=Severity.SILENT,
        title="The header of a file of one byte of data is stripped of its padding.",
        recipe=Scenario(TensorFile((Spec("w", "U8", (1,)),))).then(step("pad_header", "model.safetensors", "", "")),
        expect=accept(),
        source=Source(
            "Found by search, seed 1, 2026-11-25: the planted RoundedStart read behind the end of the data.", _FORMAT
        ),
        sibling="container/hole-in-the-middle",
        requires=needs("dtype:U8"),
    ),
    Case(
        id="container/found-buffers-of-another-dtype",
        level=Level.CONTAINER,
        clause="container.values",
        severity=Severity.SILENT,
        title="A Llama is stored with its F32 buffer, which its writer lays before the BF16 weights.",
        recipe=Scenario(Recipe(config=_TINY, inv_freq="F32")),
        expect=accept(),
        source=Source(
            "Found by search, seed 41, 2026-11-25: the planted SortedValues gave tensors each other's bytes, for they"
            " do not lie in the order of their names.",
            _FORMAT,
        ),
        sibling="container/hole-in-the-middle",
        requires=needs("dtype:BF16", "dtype:F32"),
        calls=(Call(file="model.safetensors"),),
    ),
    Case(
        id="weights/found-layer-across-two-shards",
        level=Level.WEIGHTS,
        clause="weights.complete",
        severity=Severity.SILENT,
        title="The only layer of a model lies in two shards.",
        recipe=_TWO,
        expect=accept(),
        source=Source(
            "Found by search, seed 41, 2026-11-25: the planted LayerInOneShard missed the half in the other shard.",
            _SHARDS,
        ),
        sibling="weights/missing-matrix",
        requires=_SHARDED,
    ),
    Case(
        id="weights/found-biases-of-the-mlp-alone",
        level=Level.WEIGHTS,
        clause="weights.biases",
        severity=Severity.SILENT,
        title="The projections of the MLP have biases, those of the attention have none.",
        recipe=Scenario(Recipe(config={**_TINY, "mlp_bias": True})),
        expect=accept(),
        source=Source(
            "Found by search, seed 41, 2026-11-25: the planted BiasesDropped gave parameters without their biases.",
            _LLAMA,
        ),
        sibling="weights/missing-matrix",
        requires=needs("dtype:BF16", "bias"),
    ),
    Case(
        id="weights/found-two-heads-of-two-in-meta-rows",
        level=Level.WEIGHTS,
        clause="weights.dialects",
        severity=Severity.SILENT,
        title="A Meta checkpoint has two heads of two rows, with as many heads of keys and values.",
        recipe=Scenario(Recipe(config=_TWO_HEADS, dialect="meta")),
        expect=accept(),
        source=Source(
            "Found by search, seed 41, 2026-11-25: the planted MetaRowsOfOtherHeads mixed the rows of the two heads."
            " With one head of two its rows are in either order the same.",
            _META,
        ),
        sibling="weights/missing-matrix",
        requires=_BF16,
    ),
    Case(
        id="weights/found-codes-of-an-indexed-single-file",
        level=Level.WEIGHTS,
        clause="weights.dequantized",
        severity=Severity.SILENT,
        title="An index names model.safetensors for every code and scale of a W8A8 model, and it is the only file.",
        recipe=Scenario(Recipe(config=_TINY, quantization=Quantization("int8"))).then(step("index_single")),
        expect=accept(),
        source=Source(
            "Found by search, seed 41, 2026-11-25: the planted ScaleDropped and ScaleDivides loaded other values than"
            " the closed form.",
            _CODES,
        ),
        sibling="weights/missing-scale",
        requires=needs("dtype:BF16", "quant:ct-int"),
    ),
)
