"""Cases of the checkpoint: which files of a directory are the weights, without an index or beside one."""

from __future__ import annotations

from conformance.corpus.checkpoint_parts import (
    BF16,
    BF16_INDEXLESS,
    BF16_SHARDED,
    INDEXLESS,
    OTHER_SINGLE,
    SHARDED,
    SINGLE,
    SMALL,
)
from conformance.engine.case import Answer, Call, Case, Severity, Source, accept, reject
from conformance.engine.claims import Level
from conformance.engine.reasons import Reason
from conformance.tools.recipe import Recipe
from conformance.tools.scenario import Scenario, Several
from conformance.tools.steps import step

_MERGED_FILES = "https://github.com/huggingface/candle/blob/main/candle-core/src/safetensors.rs"
_TWO = Several((("first", SINGLE), ("second", OTHER_SINGLE)))

CASES: tuple[Case, ...] = (
    Case(
        id="checkpoint/single",
        level=Level.CHECKPOINT,
        clause="checkpoint.whole",
        severity=Severity.SILENT,
        title="One file, model.safetensors, and no index.",
        recipe=SINGLE,
        expect=accept(),
        source=Source(
            "A model of one file has no index: loaders that always asked for it failed.",
            "https://github.com/huggingface/candle/pull/3457",
            ("B13",),
        ),
        sibling="checkpoint/only-an-unfinished-download",
        requires=BF16,
    ),
    Case(
        id="checkpoint/only-an-unfinished-download",
        level=Level.CHECKPOINT,
        clause="checkpoint.whole",
        severity=Severity.CRASH,
        title="The only file of weights has the name of a download that is not finished.",
        recipe=SINGLE.then(step("incomplete_file")),
        expect=reject(Reason.NO_WEIGHTS, Reason.MISSING_FILE),
        source=Source(
            "A model in the middle of its download was taken for complete.",
            "https://github.com/exo-explore/exo/pull/1956",
            ("I11",),
        ),
        sibling="checkpoint/single",
    ),
    Case(
        id="checkpoint/links-of-the-cache",
        level=Level.CHECKPOINT,
        clause="checkpoint.links",
        severity=Severity.CRASH,
        title="Every file is a link to a blob outside the directory, whose name is a hash without a suffix.",
        recipe=SHARDED.then(step("link_to_blobs")),
        expect=accept(),
        source=Source(
            "So the cache of the hub keeps its files: a check that resolved links refused every cached model.",
            "https://github.com/NVIDIA/TensorRT-Edge-LLM/issues/184",
            ("J02", "J11"),
        ),
        sibling="checkpoint/shard-in-the-parent",
        requires=BF16_SHARDED,
    ),
    Case(
        id="checkpoint/consolidated-beside-shards",
        level=Level.CHECKPOINT,
        clause="checkpoint.one-set",
        severity=Severity.SILENT,
        title="Beside three shards and their index there is consolidated.safetensors, with Meta's names.",
        recipe=SHARDED.then(step("consolidated_beside", 1)),
        expect=accept(Answer(), Answer(of=Scenario(Recipe(config=SMALL, dialect="meta", seed=1)))),
        source=Source(
            "Mistral's repositories hold both; a loader read all of it.",
            "https://github.com/vllm-project/vllm/issues/40765",
            ("B04",),
        ),
        sibling="checkpoint/missing-shard",
        requires=BF16_SHARDED,
        flags=("Nondeterministic",),
        hash_seeds=(0, 1, 2),
    ),
    Case(
        id="checkpoint/shards-without-an-index",
        level=Level.CHECKPOINT,
        clause="checkpoint.without-index",
        severity=Severity.CRASH,
        title="Three shards, numbered without a gap, and no index.",
        recipe=INDEXLESS,
        expect=accept(),
        source=Source(
            "The headers say what an index would; some writers and mirrors leave it out.",
            "https://github.com/FlashML-org/FreeToken/issues/124",
        ),
        sibling="checkpoint/gap-in-the-numbers",
        requires=BF16_INDEXLESS,
    ),
    Case(
        id="checkpoint/gap-in-the-numbers",
        level=Level.CHECKPOINT,
        clause="checkpoint.without-index",
        severity=Severity.SILENT,
        title="Of three shards without an index the second is not there.",
        recipe=INDEXLESS.then(step("shard_gap")),
        expect=reject(Reason.SHARD_GAP, Reason.MISSING_SHARD, Reason.MISSING_TENSOR),
        source=Source(
            "A conversion read a part of the shards, and the gap showed only when the result was loaded.",
            "https://github.com/ggml-org/llama.cpp/issues/6490",
            ("B17",),
        ),
        sibling="checkpoint/shards-without-an-index",
        requires=BF16_INDEXLESS,
    ),
    Case(
        id="checkpoint/twins-without-an-index",
        level=Level.CHECKPOINT,
        clause="checkpoint.twins",
        severity=Severity.SILENT,
        title="Two of three shards without an index hold a tensor of the same name, with other values.",
        recipe=INDEXLESS.then(step("duplicate_across_shards")),
        expect=reject(Reason.DUPLICATE_TENSOR),
        source=Source(
            "Nothing says which one counts: a reader documents that the last file wins.", _MERGED_FILES, ("B08",)
        ),
        sibling="checkpoint/shards-without-an-index",
        requires=BF16_INDEXLESS,
    ),
    Case(
        id="checkpoint/only-a-pickle",
        level=Level.CHECKPOINT,
        clause="checkpoint.no-code",
        severity=Severity.SECURITY,
        title="The weights are in pytorch_model.bin only, whose pickle ends the process that executes it.",
        recipe=SINGLE.then(step("armed_pickle")),
        expect=reject(Reason.PICKLE, Reason.NO_WEIGHTS, Reason.MISSING_FILE),
        source=Source(
            "A loader opened pickles without a guard; the guard has been got round since.",
            "https://github.com/vllm-project/vllm/pull/12366",
            ("J03",),
        ),
        sibling="checkpoint/single",
        flags=("CodeExecution",),
    ),
    Case(
        id="checkpoint/same-file-names-elsewhere",
        level=Level.CHECKPOINT,
        clause="checkpoint.calls",
        severity=Severity.SILENT,
        title="Two directories with files of the same names and other values are read one after the other, and again.",
        recipe=_TWO,
        expect=accept(),
        source=Source(
            "A mapping that was kept by its name was handed out for another file.",
            "https://github.com/tinygrad/tinygrad/issues/6294",
            ("I10",),
        ),
        sibling="checkpoint/only-an-unfinished-download",
        requires=BF16,
        flags=("CachedByName",),
        calls=(
            Call(at="first", recipe=SINGLE),
            Call(at="second", recipe=OTHER_SINGLE),
            Call(at="first", recipe=SINGLE),
        ),
    ),
    Case(
        id="checkpoint/read-twice",
        level=Level.CHECKPOINT,
        clause="checkpoint.calls",
        severity=Severity.SILENT,
        title="Three shards and their index are read twice in one process.",
        recipe=SHARDED,
        expect=accept(),
        source=Source(
            "Buffers of one file were released while another was still read.",
            "https://github.com/foundation-model-stack/fastsafetensors/pull/84",
            ("H01", "I08"),
        ),
        sibling="checkpoint/missing-shard",
        requires=BF16_SHARDED,
        flags=("Nondeterministic",),
        calls=(Call(), Call()),
        hash_seeds=(0, 1, 2),
    ),
)
