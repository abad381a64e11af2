"""Cases of what a load of a whole checkpoint may use: memory once, descriptors that are closed, no number believed."""

from __future__ import annotations

from conformance.corpus.container_parts import ALPHA, F32, FILE
from conformance.corpus.limits import LARGE, SLACK, WARM_UP, after_warm_up
from conformance.corpus.model_parts import BF16, small
from conformance.engine.case import MIB, Call, Case, Limits, Severity, Source, accept, needs, reject
from conformance.engine.claims import Level
from conformance.engine.reasons import Reason
from conformance.tools.container import Spec
from conformance.tools.recipe import Layout
from conformance.tools.scenario import Scenario
from conformance.tools.steps import step
from conformance.tools.tensor_file import TensorFile

_EXBIBYTE = 2**60
#: An index of a hundred thousand names, all of them in a shard that is not there: four megabytes of text.
_MANY_NAMES = 100_000
_SHARDED = small(layout=Layout("by_count", 3))
_TWENTY = small(layout=Layout("by_count", 20))
_KEPT_OPEN = Source(
    "Hundreds of shards were opened one after another, and none was closed.",
    "https://github.com/sgl-project/sglang/pull/7684",
    ("I12",),
)
_HUGE_OFFSETS = Scenario(
    TensorFile((Spec(ALPHA, "F32", (4,)),)),
    (step("set_entry", FILE, ALPHA, "data_offsets", f"[{_EXBIBYTE},{_EXBIBYTE + 16}]"),),
)
_EMPTY_ROWS = Scenario(TensorFile((Spec(ALPHA, "F32", (0, 2**40)), Spec("beta.bias", "F32", (7,)))))

CASES: tuple[Case, ...] = (
    Case(
        id="limits/one-copy-of-a-checkpoint",
        level=Level.CHECKPOINT,
        clause="limits.memory",
        severity=Severity.RESOURCE,
        title="A checkpoint of one file of 256 MiB is read after a small one: in memory once, and not twice.",
        recipe=after_warm_up(LARGE),
        expect=accept(),
        source=Source(
            "The peak of a load was the checkpoint and every shard once more.",
            "https://github.com/huggingface/transformers/pull/13466",
            ("H02",),
        ),
        sibling="limits/offsets-of-an-exbibyte",
        requires=F32,
        calls=(WARM_UP, Call(at="judged", recipe=LARGE)),
        limits=Limits(anonymous_bytes=256 * MIB + SLACK),
    ),
    Case(
        id="limits/offsets-of-an-exbibyte",
        level=Level.CHECKPOINT,
        clause="limits.allocation",
        severity=Severity.SECURITY,
        title="The offsets of a tensor of 16 bytes begin at 2^60, and the file has sixteen bytes of data.",
        recipe=after_warm_up(_HUGE_OFFSETS),
        expect=reject(Reason.HOLE, Reason.TRUNCATED, Reason.SIZE_MISMATCH),
        source=Source(
            "Lengths of a file were passed on to the allocation as they were.",
            "https://github.com/huggingface/candle/pull/3585",
            ("J05",),
        ),
        sibling="limits/one-copy-of-a-checkpoint",
        requires=F32,
        flags=("Allocation",),
        calls=(WARM_UP, Call(at="judged")),
        limits=Limits(anonymous_bytes=SLACK),
    ),
    Case(
        id="limits/empty-rows-of-a-tebibyte",
        level=Level.CONTAINER,
        clause="limits.allocation",
        severity=Severity.RESOURCE,
        title="A tensor has no rows of 2^40 columns: it has no elements, and needs no memory.",
        recipe=after_warm_up(_EMPTY_ROWS),
        expect=accept(),
        source=Source(
            "An empty tensor is one of the format, whatever its other sizes are.",
            "https://github.com/safetensors/safetensors/pull/208",
        ),
        sibling="limits/tensor-of-a-tebibyte",
        requires=F32,
        flags=("Allocation",),
        calls=(WARM_UP, Call(at="judged", recipe=_EMPTY_ROWS)),
        limits=Limits(anonymous_bytes=SLACK),
    ),
    Case(
        id="limits/descriptors-of-many-shards",
        level=Level.CHECKPOINT,
        clause="limits.descriptors",
        severity=Severity.RESOURCE,
        title="A checkpoint of twenty shards is read ten times; no more than one set of descriptors stays open.",
        recipe=_TWENTY,
        expect=accept(),
        source=_KEPT_OPEN,
        sibling="limits/descriptors-of-refused-shards",
        requires=needs(BF16, "sharded"),
        calls=(Call(),) * 10,
        limits=Limits(descriptors=24),
    ),
    Case(
        id="limits/descriptors-of-refused-shards",
        level=Level.CHECKPOINT,
        clause="limits.descriptors",
        severity=Severity.RESOURCE,
        title="A checkpoint whose last shard is short is refused thirty times; the sound shards are closed each time.",
        recipe=_TWENTY.then(step("cut", "model-00020-of-00020.safetensors", 1)),
        expect=reject(Reason.TRUNCATED, Reason.SIZE_MISMATCH),
        source=_KEPT_OPEN,
        sibling="limits/descriptors-of-many-shards",
        requires=needs(BF16, "sharded"),
        calls=(Call(),) * 30,
        limits=Limits(descriptors=24),
    ),
    Case(
        id="limits/index-of-a-hundred-thousand-names",
        level=Level.CHECKPOINT,
        clause="limits.allocation",
        severity=Severity.RESOURCE,
        title="The index names a hundred thousand tensors in a shard that is not there: refused in seconds.",
        recipe=_SHARDED.then(step("crowd_index", _MANY_NAMES, "model-00004-of-00003.safetensors")),
        expect=reject(Reason.MISSING_SHARD, Reason.MISSING_FILE, Reason.INDEX_INVALID, Reason.BROKEN_PROMISE),
        source=Source(
            "A header that nothing bounds brought the parser of a server down.",
            "https://github.com/huggingface/huggingface.js/pull/254",
            ("J10",),
        ),
        sibling="limits/descriptors-of-many-shards",
        requires=needs(BF16, "sharded"),
        flags=("Allocation",),
        limits=Limits(seconds=20, anonymous_bytes=512 * MIB),
    ),
)
