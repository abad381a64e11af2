"""One loader, two ways: in forks of a zygote, and as a program behind the protocol. The reports are the same."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from conformance.corpus import corpus
from conformance.engine import report
from conformance.engine.selection import select
from conformance.engine.verdict import Verdict
from conformance.judging import Loader, judge_loader

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from conformance.engine.case import Case

#: A loader that passes everything, and one that fails in many ways, where it claims anything.
_LOADERS: tuple[tuple[str, tuple[str, ...]], ...] = (("inferno", ()), ("naive", ("checkpoint/*",)))
#: One case in sixteen: what a way changes, it changes everywhere.
_STEP = 16
_NODE = "node {}/reader.mjs"


def _lines(loader: Loader, cases: Sequence[Case]) -> list[dict[str, Any]]:
    """The report, without what belongs to the way and to the moment."""
    judged = judge_loader(loader, cases=cases)
    apart = {"seconds", "started", "reproduce"}
    lines = judged.lines(report.exit_status(judged.run))
    return [{key: value for key, value in line.items() if key not in apart} for line in lines]


@pytest.mark.parametrize(("name", "globs"), _LOADERS)
def test_both_ways_give_the_same_report(name: str, globs: tuple[str, ...]) -> None:
    """One case in sixteen: verdict, detail, what was observed, and what was printed."""
    cases = select(corpus(), globs)[::_STEP]
    forked = _lines(Loader(name), cases)
    behind = _lines(Loader(command=f"{sys.executable} -m conformance.shim {name}"), cases)
    assert len(forked) == len(cases) + 2
    assert [line for line in forked if line not in behind] == []
    assert forked == behind


def test_a_loader_in_another_language_is_judged(node_reader: str) -> None:
    """The reader in JavaScript, which shares no line with any other, passes what it claims."""
    judged = judge_loader(Loader(command=node_reader), globs=("container/*", "checkpoint/*"))
    found = {result.case.id: result for result in judged.run.results}
    assert judged.hello["language"] == "JavaScript"
    assert {name: f"{result.verdict}: {result.detail}" for name, result in found.items() if _failed(found, name)} == {}
    assert sum(result.verdict is Verdict.PASS for result in found.values()) > 90


def _failed(found: Mapping[str, Any], name: str) -> bool:
    return found[name].verdict not in {Verdict.PASS, Verdict.NOT_CLAIMED}


@pytest.fixture
def node_reader() -> str:
    """The command that runs it, from wherever the suite is installed."""
    from importlib import resources  # noqa: PLC0415 - of this fixture alone

    return _NODE.format(resources.files("conformance") / "adapters" / "node")
