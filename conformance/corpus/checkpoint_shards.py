"""Cases of the checkpoint: shards and their index, whole and broken, inside the directory and outside."""

from __future__ import annotations

from conformance.corpus.checkpoint_parts import BF16_SHARDED, FIRST, LAST, MIDDLE, SHARDED, SINGLE
from conformance.engine.case import Case, Severity, Source, accept, reject
from conformance.engine.claims import Level
from conformance.engine.reasons import Reason
from conformance.tools.recipe import Layout, Recipe
from conformance.tools.scenario import Scenario
from conformance.tools.steps import step

_SHARDING = "https://github.com/huggingface/transformers/pull/16343"
_TRAVERSAL = Source(
    "Several loaders opened, and loaded, files outside the checkpoint.",
    "https://github.com/huggingface/transformers/issues/47176",
    ("J01",),
)


def _outside(slug: str, spelling: str, title: str) -> Case:
    """The case of a sound shard beside the directory, which the index names there."""
    return Case(
        id=f"checkpoint/{slug}",
        level=Level.CHECKPOINT,
        clause="checkpoint.contained",
        severity=Severity.SECURITY,
        title=title,
        recipe=SHARDED.then(step("move_outside", MIDDLE, spelling)),
        expect=reject(Reason.PATH_ESCAPE, Reason.INDEX_INVALID, Reason.MISSING_SHARD),
        source=_TRAVERSAL,
        sibling="checkpoint/links-of-the-cache",
        requires=BF16_SHARDED,
        flags=("Traversal",),
    )


_SOUND: tuple[Case, ...] = (
    Case(
        id="checkpoint/sharded",
        level=Level.CHECKPOINT,
        clause="checkpoint.whole",
        severity=Severity.SILENT,
        title="Three shards and their index.",
        recipe=SHARDED,
        expect=accept(),
        source=Source("Sharded checkpoints, as transformers writes them.", _SHARDING),
        sibling="checkpoint/missing-shard",
        requires=BF16_SHARDED,
    ),
    Case(
        id="checkpoint/shuffled-shards",
        level=Level.CHECKPOINT,
        clause="checkpoint.whole",
        severity=Severity.SILENT,
        title="The tensors of twelve layers are dealt out to three shards in no order.",
        recipe=Scenario(Recipe(layout=Layout("shuffled", 3))),
        expect=accept(),
        source=Source("The index places each tensor by itself: no order of layers is promised.", _SHARDING),
        sibling="checkpoint/missing-shard",
        requires=BF16_SHARDED,
        flags=("StringOrder",),
    ),
    Case(
        id="checkpoint/index-without-metadata",
        level=Level.CHECKPOINT,
        clause="checkpoint.index-metadata",
        severity=Severity.CRASH,
        title="The index has no metadata.",
        recipe=SHARDED.then(step("set_index_metadata", None)),
        expect=accept(),
        source=Source(
            "Sizes stand in the headers; a schema that asked for total_size took a checkpoint for incomplete.",
            "https://github.com/exo-explore/exo/pull/1956",
            ("B14",),
        ),
        sibling="checkpoint/index-without-weight-map",
        requires=BF16_SHARDED,
    ),
    Case(
        id="checkpoint/index-of-a-single-file",
        level=Level.CHECKPOINT,
        clause="checkpoint.index-form",
        severity=Severity.CRASH,
        title="An index names model.safetensors for every tensor, and it is the only file.",
        recipe=SINGLE.then(step("index_single")),
        expect=accept(),
        source=Source("Index and file are one set: there is nothing to choose.", _SHARDING),
        sibling="checkpoint/index-is-cut-off",
        requires=BF16_SHARDED,
    ),
)

_REFUSED: tuple[Case, ...] = (
    _outside("shard-in-the-parent", "parent", "The index names a sound shard with ../, outside the directory."),
    _outside(
        "shard-behind-a-directory",
        "inner",
        "The index names a sound shard outside the directory by way of a directory inside.",
    ),
    _outside("shard-by-absolute-path", "absolute", "The index names a sound shard outside by its absolute path."),
    Case(
        id="checkpoint/missing-shard",
        level=Level.CHECKPOINT,
        clause="checkpoint.whole",
        severity=Severity.SILENT,
        title="The middle one of three shards is not there.",
        recipe=SHARDED.then(step("missing_shard")),
        expect=reject(Reason.MISSING_SHARD, Reason.MISSING_FILE, Reason.MISSING_TENSOR),
        source=Source(
            "A server held files against the index in one direction only, and served weights that were never written.",
            "https://github.com/sgl-project/sglang/pull/32279",
            ("B01",),
        ),
        sibling="checkpoint/sharded",
        requires=BF16_SHARDED,
    ),
    Case(
        id="checkpoint/stale-index",
        level=Level.CHECKPOINT,
        clause="checkpoint.whole",
        severity=Severity.CRASH,
        title="The index names shards of a split into four, and the files are those of a split into three.",
        recipe=SHARDED.then(step("renumber_index", 4)),
        expect=reject(Reason.MISSING_SHARD, Reason.MISSING_FILE, Reason.INDEX_INVALID, Reason.MISSING_TENSOR),
        source=Source(
            "A loader dropped the names that were not there, and went on with what was left.",
            "https://github.com/Blaizzy/mlx-vlm/pull/1827",
            ("B12", "L11"),
        ),
        sibling="checkpoint/sharded",
        requires=BF16_SHARDED,
    ),
    Case(
        id="checkpoint/truncated-shard",
        level=Level.CHECKPOINT,
        clause="checkpoint.shard-sound",
        severity=Severity.SILENT,
        title="The middle one of three shards is shorter than its header says.",
        recipe=SHARDED.then(step("cut", MIDDLE, 100)),
        expect=reject(Reason.TRUNCATED, Reason.SIZE_MISMATCH),
        source=Source(
            "Eight of 102 shards were short: one start in five read gibberish, which was hunted as a race.",
            "https://github.com/osaurus-ai/vmlx-swift/pull/217",
            ("B07", "L03"),
        ),
        sibling="checkpoint/sharded",
        requires=BF16_SHARDED,
        flags=("ZeroFilled",),
    ),
    Case(
        id="checkpoint/index-is-cut-off",
        level=Level.CHECKPOINT,
        clause="checkpoint.index-text",
        severity=Severity.MESSAGE,
        title="The text of the index ends half-way.",
        recipe=SHARDED.then(step("bad_json_index")),
        expect=reject(Reason.INDEX_INVALID),
        source=Source("An index is a JSON object.", _SHARDING),
        sibling="checkpoint/sharded",
        requires=BF16_SHARDED,
    ),
    Case(
        id="checkpoint/index-without-weight-map",
        level=Level.CHECKPOINT,
        clause="checkpoint.index-form",
        severity=Severity.MESSAGE,
        title="The index has metadata and no weight_map.",
        recipe=SHARDED.then(step("set_index_key", "weight_map", None)),
        expect=reject(Reason.INDEX_INVALID),
        source=Source("The weight_map is what an index is for.", _SHARDING),
        sibling="checkpoint/index-without-metadata",
        requires=BF16_SHARDED,
    ),
    Case(
        id="checkpoint/weight-map-is-a-list",
        level=Level.CHECKPOINT,
        clause="checkpoint.index-form",
        severity=Severity.MESSAGE,
        title="The weight_map of the index is a list of the shards.",
        recipe=SHARDED.then(step("set_index_key", "weight_map", f'["{FIRST}","{MIDDLE}","{LAST}"]')),
        expect=reject(Reason.INDEX_INVALID),
        source=Source("The weight_map is an object from names to files.", _SHARDING),
        sibling="checkpoint/index-without-metadata",
        requires=BF16_SHARDED,
    ),
)

CASES: tuple[Case, ...] = (*_SOUND, *_REFUSED)
