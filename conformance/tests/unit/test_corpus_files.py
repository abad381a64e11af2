"""The cases of files and directories: they build, they keep the rules of a corpus, and another reader agrees."""

from __future__ import annotations

import json
import shutil
import struct
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
import safetensors

from conformance.corpus.clauses_files import CLAUSES_OF_FILES
from conformance.corpus.flags import FLAGS
from conformance.corpus.flags_files import FLAGS_OF_FILES
from conformance.engine.claims import CONTAINER_DTYPES, Level
from conformance.tests.corpus_of_files import CASES, INDEX, built, exactly, header_of, read, read_by_index, truths
from conformance.tools.digest import manifest

if TYPE_CHECKING:
    from pathlib import Path

    from conformance.engine.case import Call, Case

#: Headers that no reader may read, but Python's JSON does or the other way round: a mark, and depth.
_NOT_READ = {"container/byte-order-mark", "container/deep-json"}


def _calls(level: Level) -> list[Any]:
    """Every call of a level that may be answered, once, with its case."""
    calls = {
        (case.id, call.at): (case, call)
        for case in CASES.values()
        for call in case.calls
        if case.level is level and call.judged and case.expected(call).answers
    }
    return [pytest.param(*pair, id="-".join(key)) for key, pair in calls.items()]


@pytest.mark.parametrize("case_id", CASES)
def test_a_recipe_gives_the_same_bytes_twice(case_id: str, tmp_path: Path) -> None:
    """The recipe of every case builds, and gives the same files when it is built again."""
    first = manifest(built(case_id, tmp_path).parent)
    for path in tmp_path.iterdir():
        shutil.rmtree(path)
    assert manifest(built(case_id, tmp_path).parent) == first


def test_a_sibling_has_the_opposite_verdict() -> None:
    """Of a case and its sibling one must be refused, or one leaves a choice that the other does not."""
    kinds = {case_id: (case.expect.kind, CASES[case.sibling].expect.kind) for case_id, case in CASES.items()}
    assert [case_id for case_id, (kind, other) in kinds.items() if kind == other] == []


def test_every_clause_is_tested_from_both_sides() -> None:
    """Each clause has, among its cases and their siblings, one to be read and one to be refused."""
    for clause in CLAUSES_OF_FILES:
        own = [case for case in CASES.values() if case.clause == clause.id]
        kinds = {case.expect.kind for case in [*own, *(CASES[case.sibling] for case in own)]}
        assert "reject" in kinds, clause.id
        assert kinds & {"accept", "may"}, clause.id


def test_every_word_is_defined_and_used() -> None:
    """The cases have the clauses and flags of these areas, and no others but the shared ones."""
    assert {case.clause for case in CASES.values()} == {clause.id for clause in CLAUSES_OF_FILES}
    used = {flag for case in CASES.values() for flag in case.flags}
    assert used - FLAGS.keys() <= FLAGS_OF_FILES.keys() <= used


def test_a_choice_has_its_flag() -> None:
    """A case that leaves a choice has a flag that names it, and no other case has such a flag."""
    for case in CASES.values():
        named = any(FLAGS_OF_FILES[flag].kind == "choice" for flag in case.flags if flag in FLAGS_OF_FILES)
        assert named == (case.expect.kind == "may"), case.id


@pytest.mark.parametrize("case_id", [case_id for case_id in CASES if case_id not in _NOT_READ])
def test_a_case_requires_the_dtypes_of_its_files(case_id: str, tmp_path: Path) -> None:
    """The dtypes that a case requires are those of the headers in it that can be read, and no others."""
    stored: set[str] = set()
    for path in built(case_id, tmp_path).parent.rglob("*.safetensors"):
        with suppress(ValueError, struct.error):
            entries = json.loads(header_of(path)[0])
            stored |= {entry["dtype"] for entry in dict(entries).values() if "dtype" in (entry or ())}
    required = {feature.removeprefix("dtype:") for feature in CASES[case_id].requires if ":" in feature}
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
    [case_id for case_id, case in CASES.items() if case.level is Level.CONTAINER and not case.expect.answers],
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


@pytest.mark.parametrize(("case", "call"), _calls(Level.CHECKPOINT))
def test_another_reader_reads_the_truth_from_a_directory(case: Case, call: Call, tmp_path: Path) -> None:
    """Where a checkpoint may be read, safetensors by the index, or else from the files, reads what the truth says."""
    place = built(case.id, tmp_path) / call.at
    if case.id == "checkpoint/index-of-shards-that-are-gone":
        (place / INDEX).unlink()
    assert exactly(read_by_index(place)) == truths(case, call)[0]
