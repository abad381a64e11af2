"""What was found, as a case that can be pasted, or saved in ``conformance/corpus/found.py``."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conformance.corpus import found
from conformance.engine.case import Call, Case, Severity, Source, accept, needs, reject
from conformance.engine.claims import Level
from conformance.engine.errors import UsageError
from conformance.engine.reasons import Reason
from conformance.search.answers import REFERENCE, RIGHT
from conformance.search.places import place_of
from conformance.search.source_text import source_of
from conformance.tools.recipe import Recipe
from conformance.tools.steps import WAYS

if TYPE_CHECKING:
    from conformance.engine.case import Expect
    from conformance.search.answers import Answer
    from conformance.search.searching import Finding

_FORMAT = "https://github.com/safetensors/safetensors#format"
_SHARDS = "https://huggingface.co/docs/transformers/big_models#shard-metadata"
#: What is called, in the words of the search, and the level, the clause where it must be loaded, a sound case and a
#: broken one of that level, and where the rule stands.
_LEVELS = {
    "read_file": (Level.CONTAINER, "container.values", "container/plain", "container/hole-in-the-middle", _FORMAT),
    "read_checkpoint": (
        Level.CHECKPOINT,
        "checkpoint.whole",
        "checkpoint/sharded",
        "checkpoint/missing-shard",
        _SHARDS,
    ),
    "load_weights": (Level.WEIGHTS, "weights.complete", "weights/single-bf16", "weights/missing-matrix", _SHARDS),
}
#: The clause of a defect.
_CLAUSES = {
    Reason.HEADER_LENGTH: "container.header-length", Reason.HEADER_JSON: "container.header-json",
    Reason.HEADER_ENTRY: "container.header-entry", Reason.DUPLICATE_KEY: "container.unique-names",
    Reason.METADATA: "container.metadata", Reason.UNKNOWN_DTYPE: "container.dtype",
    Reason.SIZE_MISMATCH: "container.size", Reason.OVERFLOW: "container.size", Reason.HOLE: "container.tiling",
    Reason.OVERLAP: "container.tiling", Reason.TRAILING_BYTES: "container.tiling",
    Reason.TRUNCATED: "container.whole-file", Reason.INDEX_INVALID: "checkpoint.index-form",
    Reason.PATH_ESCAPE: "checkpoint.contained",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Words:
    """What a case says of a finding beyond its recipe."""

    level: Level
    clause: str
    expect: Expect
    sibling: str
    url: str


def case_of(finding: Finding, day: str = "") -> Case:
    """The case that demands what the right loader says of a finding, or its truth where it was loaded at all.

    Args:
        finding: What was found.
        day: The date of the provenance; today's if empty.
    """
    words = _words(finding)
    scenario, comparison = finding.drawn.scenario, finding.comparison
    told = ", ".join(f"{name} {answer.short}" for name, answer in comparison.answers.items())
    day = day or datetime.now(UTC).date().isoformat()
    specs = [spec for specs in place_of(scenario.base).files.values() for spec in specs]
    features = {f"dtype:{spec.dtype}" for spec in specs} | (set() if specs else {"dtype:F32"})
    if isinstance(scenario.base, Recipe) and words.level is not Level.CONTAINER:
        features |= {"indexless" if scenario.base.layout.kind == "indexless" else "sharded"}
    file = comparison.what.partition(" ")[2]
    return Case(
        id=f"{words.level.value}/found-{hashlib.sha256(comparison.signature.encode()).hexdigest()[:8]}",
        level=words.level,
        clause=words.clause,
        severity=Severity.SILENT if words.expect.kind == "accept" else Severity.CRASH,
        title=" ".join(_line(each.way) for each in scenario.steps) or "A sound checkpoint.",
        recipe=scenario,
        expect=words.expect,
        source=Source(f"Found by search, seed {finding.seed}, {day}: {comparison.problem} ({told}).", words.url),
        sibling=words.sibling,
        requires=needs(*features),
        calls=(Call(file=file),) if file and file != Call().file else (Call(),),
        dispute=_dispute(words.expect, comparison.answers.get(REFERENCE)) if words.level is Level.CONTAINER else "",
    )


def _line(way: str) -> str:
    return (WAYS[way].apply.__doc__ or way).strip().partition("\n")[0]


def _words(finding: Finding) -> _Words:
    level, clause, sound, broken, url = _LEVELS[
        finding.comparison.what.partition(" ")[0].replace("process", "read_file")
    ]
    answer: Any = finding.comparison.answers.get(RIGHT)
    if finding.drawn.sound or answer is None or answer.kind != "refuses":
        return _Words(level, clause, accept(), broken, url)
    reason = Reason(answer.why)
    return _Words(level, _CLAUSES.get(reason, clause), reject(reason), sound, url)


def _dispute(expect: Expect, answer: Answer | None) -> str:
    """What safetensors says, where it is not what is expected."""
    if answer is None or (answer.kind == "loads") == bool(expect.answers):
        return ""
    return "safetensors loads it." if answer.kind == "loads" else "safetensors refuses it."


def printed(case: Case) -> str:
    """A case as the Python that makes it, with an indent of four spaces, and a comma behind it."""
    return f"    {source_of(case, 4)},\n"


def save(cases: list[Case], path: Path | None = None) -> Path:
    """Writes cases behind those that were found before, but for those whose id is there already.

    Args:
        cases: What is to be saved.
        path: The module; that of the corpus if None.

    Raises:
        UsageError: The module cannot be written, or does not end with the tuple of its cases.
    """
    target = path or Path(found.__file__)
    try:
        content = target.read_text(encoding="utf-8")
        head, end, rest = content.rpartition("\n)\n")
        if not end or rest:
            raise UsageError("the module does not end with its cases", subject=target, expected=")")
        new = [printed(case) for case in cases if f'id="{case.id}"' not in content]
        target.write_text(f"{head}\n{''.join(new)})\n", encoding="utf-8")
    except OSError as error:
        raise UsageError("what was found cannot be saved", subject=target, actual=error.strerror) from error
    return target
