"""What the cases of the container share: one plain file, and the words for where their rules come from."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from conformance.corpus.placing import placed
from conformance.engine.case import Case, Severity, Source, needs, reject
from conformance.engine.claims import Level
from conformance.engine.reasons import Reason
from conformance.tools.container import Spec
from conformance.tools.scenario import Scenario
from conformance.tools.tensor_file import TensorFile

if TYPE_CHECKING:
    from conformance.engine.case import Buildable, Expect
    from conformance.tools.steps import Step

#: The format in prose.
FORMAT = "https://github.com/safetensors/safetensors#format"
#: The reference reader, with its tests.
READER = "https://github.com/safetensors/safetensors/blob/main/safetensors/src/tensor.rs"
#: The format as a JSON schema.
SCHEMA = "https://github.com/safetensors/safetensors/blob/main/docs/safetensors.schema.json"
#: JSON, and UTF-8.
RFC_JSON = "https://www.rfc-editor.org/rfc/rfc8259"
RFC_UTF8 = "https://www.rfc-editor.org/rfc/rfc3629"

#: The file of every case here.
FILE = "model.safetensors"
ALPHA, BETA, GAMMA = "alpha.weight", "beta.bias", "gamma.weight"
#: ``alpha.weight`` lies at [0, 60), ``beta.bias`` at [60, 88), ``gamma.weight`` at [88, 184).
SPECS = (Spec(ALPHA, "F32", (3, 5)), Spec(BETA, "F32", (7,)), Spec(GAMMA, "F32", (2, 4, 3)))
PLAIN = Scenario(TensorFile(SPECS))
F32 = needs("dtype:F32")
#: Why an entry or a value in it may be refused that is of the wrong kind: by the parser, or by who reads its result.
TYPED = (Reason.HEADER_ENTRY, Reason.HEADER_JSON)


class Row(NamedTuple):
    """One line of a table of cases that differ in one step.

    Attributes:
        slug: The id, without the area.
        title: What the file is, in one sentence.
        steps: What is done to the plain file.
    """

    slug: str
    title: str
    steps: tuple[Step, ...]


def source(text: str, url: str, *rows: str) -> Source:
    """A source, with the rows of the catalogue of defects."""
    return Source(text, url, rows)


def case_of(
    slug: str,
    clause: str,
    title: str,
    recipe: Buildable,
    expect: Expect,
    why: Source,
    *,
    severity: Severity = Severity.SECURITY,
    sibling: str = "plain",
    requires: frozenset[str] = F32,
    flags: tuple[str, ...] = (),
    dispute: str = "",
) -> Case:
    """A case of the container: ids and clauses without their area, everything else as `Case` has it."""
    return placed(
        Level.CONTAINER,
        slug,
        clause,
        title,
        recipe,
        expect,
        why,
        sibling,
        severity=severity,
        requires=requires,
        flags=flags,
        dispute=dispute,
    )


def refused(
    rows: tuple[Row, ...],
    clause: str,
    why: Source,
    *reasons: Reason,
    severity: Severity = Severity.SECURITY,
    sibling: str = "plain",
    requires: frozenset[str] = F32,
    flags: tuple[str, ...] = (),
    base: Scenario = PLAIN,
) -> tuple[Case, ...]:
    """A case for each row, all of which must be refused, for the same reasons."""
    return tuple(
        case_of(
            row.slug,
            clause,
            row.title,
            base.then(*row.steps),
            reject(*reasons),
            why,
            severity=severity,
            sibling=sibling,
            requires=requires,
            flags=flags,
        )
        for row in rows
    )
