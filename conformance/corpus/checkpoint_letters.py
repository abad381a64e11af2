"""Cases of the checkpoint: names letter by letter, of files and of tensors, and whether the files keep its promises."""

from __future__ import annotations

from conformance.corpus.checkpoint_parts import (
    FIRST,
    LAST,
    MIDDLE,
    NO_SUCH_NAME,
    SHARDED,
    SHARDING,
    of_checkpoint,
)
from conformance.engine.case import Case, Severity, Source, accept, may, reject
from conformance.engine.reasons import Reason
from conformance.tools.recipe import Layout, Recipe
from conformance.tools.scenario import Scenario
from conformance.tools.steps import step

_NORM = "model.norm.weight"
_LETTERS = Source(
    "Files and tensors are found by the names that the index has: another spelling is another name.", SHARDING
)
_PICKLE_BY_NAME = Source(
    "A shard that had lost its ending on the way was handed to the reader of pickles.",
    "https://github.com/ModelTC/Minimax-H3-Turbo/issues/12",
    ("J02",),
)
_NORMAL_FORMS = Source(
    "The same letters can be spelled with other code points, and file systems and editors change them.",
    "https://www.unicode.org/reports/tr15/",
)
_PROMISE = Source(
    "A published repository had such an entry, and a helper of the hub returned success.",
    "https://github.com/huggingface/huggingface_hub/pull/4728",
    ("B02",),
)
_DESCRIPTORS = Source(
    "A loader kept every shard open until the last one was read.",
    "https://github.com/sgl-project/sglang/pull/7684",
    ("I12",),
)
#: An e with an acute accent, as one code point and as two.
_COMPOSED, _DECOMPOSED = "caf\u00e9.weight", "cafe\u0301.weight"


_LETTER_BY_LETTER: tuple[Case, ...] = (
    *(
        of_checkpoint(
            f"shards-{slug}",
            "letters",
            title,
            SHARDED.then(step("number_shards", pattern)),
            accept(),
            _LETTERS,
            sibling="shard-in-other-case",
        )
        for slug, title, pattern in (
            ("with-spaces", "The names of the shards have spaces.", "my model {n} of {of}.safetensors"),
            (
                "in-unicode",
                "The names of the shards have letters beyond ASCII.",
                "Gewichte \u2116{n} \u2013 \u6a21\u578b.safetensors",
            ),
            (
                "with-signs",
                "The names of the shards have brackets, stars, quotes and a percent.",
                "[{n}] *'?%20&#.safetensors",
            ),
            ("with-a-line-feed", "The names of the shards have a line feed.", "model\n{n}.safetensors"),
            ("with-leading-dashes", "The names of the shards begin like an option.", "--model={n}.safetensors"),
        )
    ),
    of_checkpoint(
        "shard-in-other-case",
        "letters",
        "The index names a shard in capitals, and the file has small letters.",
        SHARDED.then(step("point_index", MIDDLE, MIDDLE.upper())),
        reject(*NO_SUCH_NAME),
        _LETTERS,
        sibling="shards-with-spaces",
    ),
    of_checkpoint(
        "shards-that-differ-by-case",
        "letters",
        "The names of two shards differ in nothing but capitals.",
        SHARDED.then(step("rename_shard", FIRST, MIDDLE.replace("model", "Model"))),
        accept(),
        _LETTERS,
        sibling="shard-in-other-case",
        severity=Severity.SILENT,
    ),
    of_checkpoint(
        "shard-with-space-behind-its-name",
        "letters",
        "The index names a shard with a space behind, and the file has none.",
        SHARDED.then(step("point_index", MIDDLE, f"{MIDDLE} ")),
        reject(*NO_SUCH_NAME),
        _LETTERS,
        sibling="shards-with-spaces",
    ),
    of_checkpoint(
        "tensors-that-differ-by-normal-form",
        "letters",
        "Two tensors have the same name to the eye, an accent as part of its letter and by itself.",
        SHARDED.then(step("add_tensor", _COMPOSED, "BF16", (3, 5)), step("add_tensor", _DECOMPOSED, "BF16", (3, 5))),
        accept(),
        _NORMAL_FORMS,
        sibling="tensor-in-another-normal-form",
        severity=Severity.SILENT,
    ),
    of_checkpoint(
        "tensor-in-another-normal-form",
        "letters",
        "The index has the accent of a name by itself, and the shard as part of its letter.",
        SHARDED.then(step("add_unindexed", LAST, _COMPOSED, "BF16", (3, 5)), step("set_index", _DECOMPOSED, LAST)),
        reject(Reason.BROKEN_PROMISE, Reason.INDEX_INVALID),
        _NORMAL_FORMS,
        sibling="tensors-that-differ-by-normal-form",
    ),
    of_checkpoint(
        "tensors-that-differ-by-case",
        "letters",
        "The names of two tensors differ in nothing but capitals.",
        SHARDED.then(step("add_tensor", _NORM.upper(), "BF16", (54,))),
        accept(),
        _LETTERS,
        sibling="shard-in-other-case",
        severity=Severity.SILENT,
    ),
    of_checkpoint(
        "tensor-without-a-name",
        "letters",
        "The name of a tensor is empty, in its shard and in the index.",
        SHARDED.then(step("add_tensor", "", "BF16", (3, 5))),
        accept(),
        Source(
            "An empty name is a name, and the reference reads it.", "https://github.com/safetensors/safetensors#format"
        ),
        sibling="index-promises-a-tensor-without-a-name",
    ),
)

_PROMISES: tuple[Case, ...] = (
    *(
        of_checkpoint(
            f"index-promises-{slug}",
            "index-promise",
            title,
            SHARDED.then(step("set_index", name, MIDDLE)),
            reject(Reason.BROKEN_PROMISE, Reason.INDEX_INVALID, Reason.MISSING_TENSOR),
            _PROMISE,
            sibling="tensor-without-a-name",
            severity=Severity.SILENT,
        )
        for slug, title, name in (
            (
                "a-tensor-that-is-nowhere",
                "The index places a tensor in a shard, and no file holds it.",
                "model.layers.1.mlp.up_proj.bias",
            ),
            ("a-tensor-without-a-name", "The index places a tensor with an empty name, and no file holds it.", ""),
            ("the-metadata", "The index places a tensor called like the metadata of a header.", "__metadata__"),
        )
    ),
    of_checkpoint(
        "index-larger-than-the-set",
        "index-promise",
        "The index also names a fourth shard, which is not there.",
        SHARDED.then(step("set_index", "model.layers.2.input_layernorm.weight", "model-00004-of-00004.safetensors")),
        reject(Reason.MISSING_SHARD, Reason.MISSING_FILE, Reason.BROKEN_PROMISE, Reason.INDEX_INVALID),
        Source(
            "A repository had the index of thirty shards and fifteen files.",
            "https://github.com/Neph0s/CoSER/issues/3",
            ("B12",),
        ),
        sibling="sharded",
    ),
)

_ENDINGS: tuple[Case, ...] = (
    *(
        of_checkpoint(
            f"shard-called-{ending}",
            "index-form",
            f"The index names a sound safetensors file whose name ends with .{ending}.",
            SHARDED.then(step("rename_shard", MIDDLE, f"weights.{ending}")),
            may(Reason.INDEX_INVALID, Reason.PICKLE, Reason.NOT_SAFETENSORS, Reason.MISSING_SHARD, Reason.NO_WEIGHTS),
            _PICKLE_BY_NAME,
            sibling="shard-is-a-pickle",
            flags=("OtherFileName",),
        )
        for ending in ("bin", "txt")
    ),
)

_TINY = {
    "head_dim": 2,
    "hidden_size": 6,
    "intermediate_size": 5,
    "num_attention_heads": 2,
    "num_hidden_layers": 126,
    "num_key_value_heads": 1,
    "vocab_size": 7,
}
_MANY = of_checkpoint(
    "shards-beyond-a-thousand",
    "whole",
    "The index names 1,100 shards, more than a process may hold open where nobody has changed the limit.",
    Scenario(Recipe(config=_TINY, layout=Layout("by_count", 1100))),
    accept(),
    _DESCRIPTORS,
    sibling="missing-shard",
)

CASES: tuple[Case, ...] = (*_LETTER_BY_LETTER, *_PROMISES, *_ENDINGS, _MANY)
