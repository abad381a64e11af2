"""The search finds planted bugs, sees what kills or hangs a process, and the three real readers agree on a slice."""

from __future__ import annotations

import os
import time
from contextlib import closing
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import Phase, find, settings

from conformance.search.answers import Subject
from conformance.search.printing import case_of
from conformance.search.scenarios import Drawn, drawn
from conformance.search.searching import Search
from conformance.search.trying import attempt
from conformance.search.worker import PATIENCE, Worker
from conformance.tools.scenario import Scenario
from conformance.tools.steps import WAYS
from conformance.tools.tensor_file import TensorFile

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_EMPTY = Drawn(Scenario(TensorFile(())), sound=True)


@pytest.mark.parametrize(
    ("planted", "ways", "kind"),
    [
        ("StaleCopyLast", ("stale_copy", "link_to_blobs"), "accept"),
        ("RoundedStart", None, "accept"),
        ("LastTwinWins", ("duplicate_name_in_header", "indent_header"), "reject"),
    ],
)
def test_a_planted_bug_is_found_and_minimised(planted: str, ways: tuple[str, ...] | None, kind: str) -> None:
    """Within 300 examples of a fixed seed it is found; the recipe is small, and the case expects the right verdict."""
    tally = Search(1, planted, ways=ways, most=1).run(300)
    (finding,) = tally.findings
    assert len(finding.drawn.scenario.steps) <= 1
    assert finding.comparison.answers[planted].kind == "loads"
    assert case_of(finding).expect.kind == kind


class _Trap:
    """Calls a function in the process that receives it."""

    def __init__(self, function: Callable[..., object], argument: int) -> None:
        self._call = (function, (argument,))

    def __reduce__(self) -> tuple[Callable[..., object], tuple[int]]:
        return self._call


@pytest.mark.parametrize(
    ("trap", "how", "text"),
    [(_Trap(os._exit, 139), "dies", "exit status 139"), (_Trap(time.sleep, 60), "hangs", "no answer within 2 seconds")],
)
def test_a_process_that_ends_or_hangs_is_a_finding(trap: Any, how: str, text: str) -> None:
    """Whatever takes the process down is told, and the next recipe has a process of its own."""
    with closing(Worker("inferno")) as worker:
        assert worker.attempt(_EMPTY).disagreements == []
        worker.patience = 2
        (told,) = worker.attempt(trap).disagreements
        assert (told.problem, told.answers["inferno"].text) == (f"the process {how}", text)
        worker.patience = PATIENCE
        assert worker.attempt(_EMPTY).disagreements == []


def test_the_three_readers_agree_on_a_slice() -> None:
    """Of a small slice of a fixed seed, sound and edited, nothing disagrees, and much was loaded and refused."""
    tally = Search(5).run(150)
    assert [finding.comparison.signature for finding in tally.findings] == []
    assert (tally.alike > 100, tally.refused > 20, tally.sound > 10) == (True, True, True)


@pytest.fixture(scope="module")
def readers() -> Subject:
    """The three readers, in this process."""
    return Subject()


@pytest.mark.parametrize("way", sorted(WAYS))
def test_every_way_can_be_searched(way: str, readers: Subject, tmp_path: Path) -> None:
    """With arguments drawn for it, each way edits a checkpoint, and the readers agree on what comes of it."""
    built: list[str] = []

    def applied(one: Drawn) -> bool:
        """Whether the steps could be applied at all: what comes of them is kept."""
        outcome = attempt(one, readers, tmp_path)
        built.extend(each.signature for each in outcome.disagreements)
        return not outcome.unbuilt

    quick = settings(max_examples=60, database=None, deadline=None, phases=[Phase.generate])
    one = find(drawn([way]), applied, settings=quick, random=Random(3))
    assert way in {each.way for each in one.scenario.steps}
    assert built == []
