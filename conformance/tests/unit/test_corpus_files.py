"""The cases of files and directories: they build, they keep the rules of a corpus, and another reader agrees."""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any

import pytest
import safetensors

from conformance.corpus.clauses import CLAUSES
from conformance.corpus.flags import FLAGS
from conformance.corpus.flags_files import FLAGS_OF_FILES
from conformance.engine.claims import CONTAINER_DTYPES, Level
from conformance.tests.corpus_of_files import (
    AREAS,
    CASES,
    FILE,
    INDEX,
    LARGE,
    built,
    exactly,
    header_of,
    read,
    read_by_index,
    truths,
)
from conformance.tools.scenario import Scenario
from conformance.tools.tensor_file import TensorFile
from conformance.tools.truth import tensor_digest

if TYPE_CHECKING:
    from pathlib import Path

    from conformance.engine.case import Call, Case

#: What another reader may read, and Python's does not: it is too deep; or only one that joins the slices of ranks.
_NOT_READ = {"container/deep-json", "checkpoint/index-with-deep-metadata", "checkpoint/slices-of-ranks"}
_CLAUSES = tuple(clause for clause in CLAUSES.values() if clause.id.partition(".")[0] in AREAS)


def _base_of(case: Case) -> TensorFile:
    """The file that a case builds, before any step."""
    assert isinstance(case.recipe, Scenario)
    assert isinstance(case.recipe.base, TensorFile)
    return case.recipe.base


def _calls(level: Level) -> list[Any]:
    """Every call of a level that may be answered, once, with its case."""
    calls = {
        (case.id, call.at): (case, call)
        for case in CASES.values()
        for call in case.calls
        if case.level is level and call.judged and case.expected(call).answers and case.id not in LARGE
    }
    return [pytest.param(*pair, id="-".join(key)) for key, pair in calls.items()]


def test_a_sibling_has_the_opposite_verdict() -> None:
    """Of a case and its sibling one must be refused, or one leaves a choice that the other does not."""
    kinds = {case_id: (case.expect.kind, CASES[case.sibling].expect.kind) for case_id, case in CASES.items()}
    assert [case_id for case_id, (kind, other) in kinds.items() if kind == other] == []


def test_every_clause_is_tested_from_both_sides() -> None:
    """Each clause has, among its cases and their siblings, one to be read and one to be refused."""
    for clause in _CLAUSES:
        own = [case for case in CASES.values() if case.clause == clause.id]
        kinds = {case.expect.kind for case in [*own, *(CASES[case.sibling] for case in own)]}
        assert "reject" in kinds, clause.id
        assert kinds & {"accept", "may"}, clause.id


def test_every_word_is_defined_and_used() -> None:
    """The cases have the clauses and flags of these areas, and no others but the shared ones."""
    assert {case.clause for case in CASES.values()} == {clause.id for clause in _CLAUSES}
    used = {flag for case in CASES.values() for flag in case.flags}
    assert used - FLAGS.keys() <= FLAGS_OF_FILES.keys() <= used


def test_a_choice_has_its_flag() -> None:
    """A case that leaves a choice has a flag that names it, and no other case has such a flag."""
    for case in CASES.values():
        named = any(FLAGS[flag].kind == "choice" for flag in case.flags)
        assert named == (case.expect.kind == "may"), case.id


def _dtypes_in(path: Path) -> set[str]:
    """The dtypes in the header of a file; none where it is no JSON object in UTF-8."""
    try:
        header = json.loads(header_of(path)[0].decode())
    except (ValueError, RecursionError, struct.error):
        return set()
    entries = header.items() if isinstance(header, dict) else ()
    found = [entry.get("dtype") for name, entry in entries if name != "__metadata__" and isinstance(entry, dict)]
    return {dtype for dtype in found if isinstance(dtype, str)}


@pytest.mark.parametrize("case_id", [case_id for case_id in CASES if case_id not in _NOT_READ])
def test_a_case_requires_the_dtypes_of_its_files(case_id: str, tmp_path: Path) -> None:
    """The dtypes that a case requires are those of the headers in it that can be read, and no others."""
    stored: set[str] = set()
    for path in built(case_id, tmp_path).parent.rglob("*"):
        if path.suffix.lower() == ".safetensors" and path.is_file():
            stored |= _dtypes_in(path)
    required = {feature.removeprefix("dtype:") for feature in CASES[case_id].requires if feature.startswith("dtype:")}
    assert required == stored & set(CONTAINER_DTYPES)


@pytest.mark.parametrize(("case", "call"), _calls(Level.CONTAINER))
def test_another_reader_reads_the_truth_from_a_file(case: Case, call: Call, tmp_path: Path) -> None:
    """Where a file may be read, safetensors reads what the closed form says, or refuses where that is allowed."""
    place = built(case.id, tmp_path)
    try:
        found = exactly(read([place / call.at / call.file]))
    except safetensors.SafetensorError:
        assert case.expected(call).reasons
    else:
        assert found in truths(case, call)


@pytest.mark.parametrize(
    "case_id",
    [
        case_id
        for case_id, case in CASES.items()
        if case.level is Level.CONTAINER and not case.expect.answers and case_id not in LARGE
    ],
)
def test_the_reference_refuses_what_is_not_in_dispute(case_id: str, tmp_path: Path) -> None:
    """A file that must be refused is refused by safetensors, but where the case says why it is not."""
    case, place = CASES[case_id], built(case_id, tmp_path)
    path = place / case.calls[-1].at / case.calls[-1].file
    if case.dispute:
        assert read([path])
    else:
        with pytest.raises(safetensors.SafetensorError):
            read([path])


def test_a_file_beyond_2_gib_is_read_behind_the_border(tmp_path: Path) -> None:
    """The tensors across and behind the border are in the file what the closed form says, and it is sparse."""
    case = CASES["container/beyond-2-gib"]
    path = built(case.id, tmp_path) / FILE
    assert path.stat().st_size > 2**31
    assert path.stat().st_blocks * 512 < 2**20
    small = TensorFile(tuple(spec for spec in _base_of(case).specs if "filler" not in spec.name), sparse=True)
    with safetensors.safe_open(path, "np") as file:
        for spec in small.specs:
            found = tensor_digest(spec.dtype, spec.shape, file.get_tensor(spec.name).tobytes())
            assert found == small.digests()[spec.name]


@pytest.mark.parametrize(("case_id", "size"), [(LARGE[1], 2**32), (LARGE[2], 2**33)])
def test_a_large_file_of_another_size_is_refused(case_id: str, size: int, tmp_path: Path) -> None:
    """The file ends behind the border, and safetensors refuses it for its size."""
    path = built(case_id, tmp_path) / FILE
    assert path.stat().st_size > size
    with pytest.raises(safetensors.SafetensorError, match="not fully covered"), safetensors.safe_open(path, "np"):
        pass


@pytest.mark.parametrize(
    ("case", "call"), [each for each in _calls(Level.CHECKPOINT) if each.values[0].id not in _NOT_READ]
)
def test_another_reader_reads_the_truth_from_a_directory(case: Case, call: Call, tmp_path: Path) -> None:
    """Where a checkpoint may be read, safetensors by the index, or else from the files, reads what the truth says."""
    place = built(case.id, tmp_path) / call.at
    if case.id == "checkpoint/index-of-shards-that-are-gone":
        (place / INDEX).unlink()
    assert exactly(read_by_index(place)) == truths(case, call)[0]
