"""Cases of what a load may use: memory, and descriptors. They are measured from the outside."""

from __future__ import annotations

from conformance.corpus.container_parts import ALPHA, F32, FILE, PLAIN
from conformance.engine.case import MIB, Call, Case, Limits, Severity, Source, accept, reject
from conformance.engine.claims import Level
from conformance.engine.reasons import Reason
from conformance.tools.container import Spec
from conformance.tools.scenario import Scenario, Several
from conformance.tools.steps import step
from conformance.tools.tensor_file import TensorFile

#: Sixteen matrices of 16 MiB: what the suite itself needs to take the digest of one is small beside the file.
LARGE = Scenario(
    TensorFile(tuple(Spec(f"layers.{layer}.weight", "F32", (1024, 4096)) for layer in range(16)), sparse=True),
)
_LARGE_BYTES = 256 * MIB
#: Beside one copy of the file: the digest of one tensor, and what an interpreter takes and gives back.
SLACK = 64 * MIB
#: A first call brings in what a library loads late, so that the second one shows the load alone.
WARM_UP = Call(at="small", recipe=PLAIN, judged=False)
_TEBIBYTE = 2**40


def after_warm_up(scenario: Scenario) -> Several:
    """A scenario in ``judged``, and a small file in ``small``, which is read first."""
    return Several((("small", PLAIN), ("judged", scenario)))


_HUGE_SHAPE = Scenario(
    TensorFile((Spec(ALPHA, "F32", (4,)),)),
    (
        step("set_entry", FILE, ALPHA, "shape", f"[{_TEBIBYTE // 4096},1024]"),
        step("set_entry", FILE, ALPHA, "data_offsets", f"[0,{_TEBIBYTE}]"),
    ),
)

CASES: tuple[Case, ...] = (
    Case(
        id="limits/one-copy-of-the-file",
        level=Level.CONTAINER,
        clause="limits.memory",
        severity=Severity.RESOURCE,
        title="A file of 256 MiB is read after a small one; it may be in anonymous memory once, but not twice.",
        recipe=after_warm_up(LARGE),
        expect=accept(),
        source=Source(
            "A checkpoint was held twice while it was loaded.",
            "https://github.com/huggingface/transformers/pull/13466",
            ("H02", "I13"),
        ),
        sibling="limits/header-length-of-a-tebibyte",
        requires=F32,
        calls=(WARM_UP, Call(at="judged", recipe=LARGE)),
        limits=Limits(anonymous_bytes=_LARGE_BYTES + SLACK),
    ),
    Case(
        id="limits/header-length-of-a-tebibyte",
        level=Level.CONTAINER,
        clause="limits.allocation",
        severity=Severity.SECURITY,
        title="The length word of a small file says 2^40 bytes.",
        recipe=after_warm_up(PLAIN.then(step("length_word", FILE, _TEBIBYTE))),
        expect=reject(Reason.HEADER_LENGTH, Reason.NOT_SAFETENSORS, Reason.TRUNCATED),
        source=Source(
            "A server allocated what the length word said, and died of an upload.",
            "https://github.com/ollama/ollama/issues/16190",
            ("J07", "A18"),
        ),
        sibling="limits/one-copy-of-the-file",
        requires=F32,
        flags=("Allocation",),
        calls=(WARM_UP, Call(at="judged")),
        limits=Limits(anonymous_bytes=SLACK),
    ),
    Case(
        id="limits/tensor-of-a-tebibyte",
        level=Level.CONTAINER,
        clause="limits.allocation",
        severity=Severity.SECURITY,
        title="Shape and offsets of a tensor agree on 2^40 bytes, and the file has sixteen.",
        recipe=after_warm_up(_HUGE_SHAPE),
        expect=reject(Reason.TRUNCATED, Reason.SIZE_MISMATCH),
        source=Source(
            "Lengths of a file were passed on to the allocation as they were.",
            "https://github.com/huggingface/candle/pull/3556",
            ("A04", "J05", "J08"),
        ),
        sibling="limits/one-copy-of-the-file",
        requires=F32,
        flags=("Allocation",),
        calls=(WARM_UP, Call(at="judged")),
        limits=Limits(anonymous_bytes=SLACK),
    ),
    Case(
        id="limits/descriptors-of-refused-files",
        level=Level.CONTAINER,
        clause="limits.descriptors",
        severity=Severity.RESOURCE,
        title="A file with a hole is refused fifty times; no more than a handful of descriptors stay open.",
        recipe=PLAIN.then(step("hole")),
        expect=reject(Reason.HOLE, Reason.OVERLAP),
        source=Source(
            "A descriptor leaked with each failure; another loader kept every shard open.",
            "https://github.com/sgl-project/sglang/pull/7684",
            ("A37", "I12"),
        ),
        sibling="limits/one-copy-of-the-file",
        requires=F32,
        calls=(Call(),) * 50,
        limits=Limits(descriptors=8),
    ),
)
