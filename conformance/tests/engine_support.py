"""What the tests of the engine share: a small corpus of their own, and results without a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conformance.engine.case import Case, Limits, Severity, Source, accept, needs, reject
from conformance.engine.claims import Level
from conformance.engine.reasons import Reason
from conformance.engine.result import Result
from conformance.engine.runner import Run
from conformance.engine.verdict import Verdict
from conformance.tools.container import Spec
from conformance.tools.scenario import Scenario
from conformance.tools.steps import step
from conformance.tools.tensor_file import TensorFile

if TYPE_CHECKING:
    from conformance.engine.case import Expect

MIB = 1 << 20
#: One small file, sound.
FILE = Scenario(TensorFile((Spec("a", "F32", (3, 4)), Spec("b", "F32", (5,)), Spec("c", "F32", ()))))
#: The same with a hole in it.
HOLE = FILE.then(step("hole"))
#: Long enough for a busy machine, short enough for a test that waits for it.
LIMITS = Limits(seconds=10, anonymous_bytes=256 * MIB)


def make_case(name: str, recipe: Scenario = FILE, expect: Expect | None = None, **more: Any) -> Case:
    """A case of the container level."""
    facts: dict[str, Any] = {
        "level": Level.CONTAINER,
        "clause": "container.plain",
        "severity": Severity.SILENT,
        "title": "A file.",
        "source": Source("The format.", "https://github.com/safetensors/safetensors"),
        "sibling": "container/hole",
        "requires": needs("dtype:F32"),
        "limits": LIMITS,
        **more,
    }
    return Case(id=name, recipe=recipe, expect=expect or accept(), **facts)


PLAIN = make_case("container/plain")
REJECT = make_case("container/hole", HOLE, reject(Reason.HOLE), sibling="container/plain")


def result(name: str, verdict: Verdict, clause: str = "container.plain") -> Result:
    """A result without a run."""
    return Result(make_case(name, clause=clause), verdict, "" if verdict is Verdict.PASS else "a detail")


def run_of(*verdicts: Verdict | tuple[Verdict, str], interrupted: bool = False) -> Run:
    """A run with these verdicts, each alone or with the clause of its case."""
    pairs = [each if isinstance(each, tuple) else (each, "container.plain") for each in verdicts]
    results = [result(f"container/case-{n}", verdict, clause) for n, (verdict, clause) in enumerate(pairs)]
    return Run(len(results) + interrupted, results, interrupted)
