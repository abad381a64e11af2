"""Mutation testing itself: what a mutant is called, what is left out, how survivors are held against the list."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from conformance.mutation import trying
from conformance.mutation.judging import Judged, read_judged, write_judged
from conformance.mutation.mutant import Mutant, mutants_of
from conformance.mutation.sampling import drawn
from conformance.mutation.scope import PARTS, mutated, part_of, tried_by
from conformance.mutation.table import rows, score

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.torch_free

_UNIT = Path(__file__).parent
_PACKAGE = _UNIT.parents[2] / "inferno_loader"

#: As mutmut lays a module out: a trampoline, the original, and the mutants.
_CODE = """
def x_size__mutmut_orig(a, b):
    if a < b:
        raise ValueError("a is too small", a)
    return a + a
def x_size__mutmut_1(a, b):
    if a <= b:
        raise ValueError("a is too small", a)
    return a + a
def x_size__mutmut_2(a, b):
    if a < b:
        raise ValueError("XXa is too smallXX", a)
    return a + a
def x_size__mutmut_3(a, b):
    if a < b:
        raise ValueError(None, a)
    return a + a
class File:
    def xǁFileǁ_open__mutmut_orig(self):
        x = ["mode", "mode"]
    def xǁFileǁ_open__mutmut_1(self):
        x = ["MODE", "mode"]
    def xǁFileǁ_open__mutmut_2(self):
        x = ["mode", "MODE"]
"""


def _mutant(name: str = "x_a__mutmut_1", nth: int = 1) -> Mutant:
    return Mutant(f"inferno_loader.header.{name}", "inferno_loader.header.a", "x", "y", nth)


def test_a_mutant_is_called_by_what_it_changes() -> None:
    """Its function, a class before a method; the words as they were and as they are, without lines that stay."""
    first, *_, method, _ = mutants_of("inferno_loader.header", _CODE)
    assert first.key == ("inferno_loader.header.size", "if a < b:", "if a <= b:", 1)
    assert first.name == "inferno_loader.header.x_size__mutmut_1"
    assert (first.module, first.mangled) == ("inferno_loader.header", "inferno_loader.header.x_size")
    assert method.function == "inferno_loader.header.File._open"
    assert method.module == "inferno_loader.header"


def test_only_how_a_sentence_is_spelled_is_wording() -> None:
    """A text with blanks that is spelled otherwise; not one that is gone, nor a word that a program may ask for."""
    assert [mutant.wording for mutant in mutants_of("inferno_loader.header", _CODE)] == [
        False,
        True,
        False,
        False,
        False,
    ]


def test_changes_that_read_the_same_are_counted() -> None:
    """Two equal changes of one function are the first and the second of their kind."""
    code = "def x_f__mutmut_orig():\n a = 1\n a = 1\n"
    code += "def x_f__mutmut_1():\n a = 2\n a = 1\ndef x_f__mutmut_2():\n a = 1\n a = 2\n"
    assert [mutant.key[1:] for mutant in mutants_of("m", code)] == [("a = 1", "a = 2", 1), ("a = 1", "a = 2", 2)]


def test_every_file_of_a_part_is_there() -> None:
    """No pattern leads nowhere, no file belongs to two parts, and each knows its part again."""
    for part, patterns in PARTS.items():
        assert all(list(_PACKAGE.glob(pattern)) for pattern in patterns)
        for path in mutated(_PACKAGE, [part]):
            name = ".".join(path.relative_to(_PACKAGE.parent).with_suffix("").parts)
            assert part_of(name) == part
    with pytest.raises(LookupError):
        part_of("inferno_loader.reader")


@pytest.mark.parametrize("part", PARTS)
def test_every_part_has_tests_without_torch(part: str) -> None:
    """Each of the files of tests that a part names says that it needs no torch, and there is at least one."""
    found = tried_by(_UNIT, part)
    assert found
    assert all("mark.torch_free" in path.read_text(encoding="utf-8") for path in found)


def test_the_score_counts_what_was_noticed() -> None:
    """Three of four are 75 percent: a mutant that hangs is noticed, one that survives is not."""
    assert score({"killed": 2, "timeout": 1, "survived": 1}) == 75.0
    assert score({}) == 100.0


def test_the_table_has_modules_parts_and_all() -> None:
    """A line for a module with its counts, one for its part, one for all."""
    results = [(_mutant(), "killed"), (_mutant(nth=2), "survived")]
    told = [line.split() for line in rows(results)]
    assert told[1:] == [
        ["header", "2", "1", "1", "0", "50.0", "%"],
        ["=", "header", "2", "1", "1", "0", "50.0", "%"],
        ["=", "all", "2", "1", "1", "0", "50.0", "%"],
    ]


def test_a_survivor_must_be_judged() -> None:
    """One that is not in the list is a complaint, one that is in it with a reason is none."""
    mutant = _mutant()
    assert Judged({}, {}).complaints([mutant], [], [mutant.key])[0].startswith("not judged: inferno_loader.header.a\n")
    assert Judged({"same": "."}, {mutant.key: "same"}).complaints([mutant], [], [mutant.key]) == []


@pytest.mark.parametrize(
    ("reasons", "killed", "there", "words"),
    [
        ({"same": "."}, [_mutant()], [_mutant()], "killed now"),
        ({"same": "."}, [], [_mutant(nth=2)], "no longer there"),
        ({}, [], [_mutant()], "no reason 'same'"),
    ],
)
def test_a_judgement_must_still_hold(
    reasons: dict[str, str], killed: list[Mutant], there: list[Mutant], words: str
) -> None:
    """What is killed now, is gone from a module that was looked at, or has no reason that is told is a complaint."""
    judged = Judged(reasons, {_mutant().key: "same"})
    (complaint,) = judged.complaints([], killed, [mutant.key for mutant in there])
    assert words in complaint


def test_a_judgement_of_another_module_is_left_alone() -> None:
    """A run of one part complains of nothing that it did not look at."""
    judged = Judged({"same": "."}, {("inferno_loader.index.a", "x", "y", 1): "same"})
    assert judged.complaints([], [], [_mutant().key]) == []


def test_a_sample_begins_with_the_smaller_one() -> None:
    """It is drawn by what the mutants change: their order and the seed of another draw make no difference to it."""
    mutants = [_mutant(nth=number) for number in range(1, 30)]
    ten = drawn(mutants, 10, 0)
    assert drawn(reversed(mutants), 20, 0)[:10] == ten
    assert drawn(mutants[:15], 29, 0) == [mutant for mutant in drawn(mutants, 29, 0) if mutant in mutants[:15]]
    assert ten != mutants[:10] != drawn(mutants, 10, 1) != ten


def test_the_list_comes_back_as_written(tmp_path: Path) -> None:
    """Reasons and survivors, by function, with whatever characters the code has."""
    path = tmp_path / "mutation.json"
    judged = Judged({"same": "It is “equal”."}, {("m.f", 'a "b" \\n', "ä", 2): "same", ("m.f", "c", "d", 1): "same"})
    write_judged(judged, path)
    assert read_judged(path) == judged
    assert read_judged(tmp_path / "nothing.json") == Judged({}, {})


def test_every_judgement_on_record_has_a_reason() -> None:
    """The list under version control names no reason that it does not tell, and tells none that it does not use."""
    judged = read_judged()
    assert judged.survivors
    assert set(judged.survivors.values()) == set(judged.reasons)


def _fail(number: int) -> object:
    return None if os.environ["MUTANT_UNDER_TEST"] == "m.x_f__mutmut_1" and number < 2 else "a failure"


def _raise(_: int) -> object:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("test", "outcome"),
    [
        (_fail, ("killed", 2)),
        (lambda _: None, ("survived", None)),
        (lambda _: time.sleep(60), ("timeout", None)),
        (_raise, ("killed", None)),
        (lambda _: os.kill(os.getpid(), signal.SIGKILL), ("killed", None)),
    ],
    ids=["a test fails", "all pass", "endless", "the way out", "a crash"],
)
def test_a_mutant_is_tried_in_a_fork(
    monkeypatch: pytest.MonkeyPatch, test: Callable[[int], Any], outcome: tuple[str, int | None]
) -> None:
    """The mutant is switched on, and dies by a failure, by an exception, by a crash or by the clock, there alone."""
    monkeypatch.setattr(trying, "_run", lambda item, _following: test(item))
    monkeypatch.setattr(trying, "_SECONDS_MORE", 0.5)
    items: Any = [0, 1, 2, 3]
    assert trying._try("m.x_f__mutmut_1", items, 0.0) == outcome
    assert "MUTANT_UNDER_TEST" not in os.environ


def test_a_mutant_that_no_test_reaches_has_survived() -> None:
    """Nothing is run where there is nothing to run."""
    assert trying._try("m.x_f__mutmut_1", [], 0.0) == ("survived", None)


@pytest.mark.parametrize("fails", [False, True])
def test_a_test_that_fails_without_a_mutant_is_no_killer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, fails: bool
) -> None:
    """In the end every test that killed is run by itself and without a mutant: results are void where one fails."""
    results = tmp_path / "results.jsonl"
    results.touch()
    trial = trying.Trial([], results)
    trial.killers.add(1)
    monkeypatch.setattr(trying, "_run", lambda _item, _following: "a failure" if fails else None)
    items: Any = [SimpleNamespace(nodeid="test_a"), SimpleNamespace(nodeid="test_b")]
    if fails:
        with pytest.raises(pytest.UsageError, match="test_b"):
            trial._control(items)
    else:
        trial._control(items)
    assert results.is_file() is not fails
