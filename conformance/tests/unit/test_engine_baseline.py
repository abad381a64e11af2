"""Known failures: strict in every direction."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from conformance.engine import baseline
from conformance.engine.errors import BaselineError
from conformance.engine.verdict import Verdict
from conformance.tests.engine_support import result

if TYPE_CHECKING:
    from pathlib import Path

_WHY = "reported upstream"


def written(path: Path, entries: dict[str, Any]) -> Path:
    """A baseline of these entries."""
    path.write_text(json.dumps({"loader": "x", "known_failures": entries}), encoding="utf-8")
    return path


def test_what_fails_as_known_is_excused() -> None:
    """The verdict becomes known_failure; what it was, and why, stays."""
    failed = result("container/a", Verdict.HANG)
    known = {"container/a": baseline.Known(Verdict.HANG, _WHY)}
    assert baseline.apply(known, [failed], {"container/a"}) == []
    assert (failed.verdict, failed.failed_as, failed.known) == (Verdict.KNOWN_FAILURE, Verdict.HANG, _WHY)


@pytest.mark.parametrize("verdict", [Verdict.PASS, Verdict.CRASH, Verdict.NOT_CLAIMED, Verdict.ADAPTER_ERROR])
def test_what_does_not_fail_as_known_is_stale(verdict: Verdict) -> None:
    """A known failure that passes, or fails in another way, is told and not excused."""
    found = result("container/a", verdict)
    stale = baseline.apply({"container/a": baseline.Known(Verdict.HANG, _WHY)}, [found], {"container/a"})
    assert (len(stale), found.verdict) == (1, verdict)
    assert f"the baseline says hang, it is {verdict}" in stale[0]


def test_an_unknown_case_is_stale() -> None:
    """An entry for no case is told; one for a case that was not selected is left alone."""
    known = {name: baseline.Known(Verdict.HANG, _WHY) for name in ("container/gone", "container/other")}
    assert baseline.apply(known, [], {"container/other"}) == ["container/gone: there is no such case"]


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ({"verdict": "hang", "reason": ""}, "has no reason"),
        ({"verdict": "hang", "reason": baseline.NO_REASON}, "has no reason"),
        ({"verdict": "hang"}, "has no reason"),
        ({"verdict": "pass", "reason": _WHY}, "no verdict"),
        ({"verdict": "adapter_error", "reason": _WHY}, "no verdict"),
        ({"verdict": "odd", "reason": _WHY}, "no verdict"),
        ({"reason": _WHY}, "no verdict"),
        ("text", "no verdict"),
    ],
)
def test_an_entry_needs_a_verdict_and_a_reason(entry: Any, says: str, tmp_path: Path) -> None:
    """A known failure is a failure, and somebody has said why it is left."""
    with pytest.raises(BaselineError, match=says):
        baseline.read(written(tmp_path / "known.json", {"container/a": entry}))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"known_failures": 5}', "\xff"])
def test_what_is_no_baseline_is_refused(text: str, tmp_path: Path) -> None:
    """A file of another form is refused by name."""
    path = tmp_path / "known.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(BaselineError) as caught:
        baseline.read(path)
    assert caught.value.subject == str(path)


def test_a_baseline_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """No baseline is not an empty one."""
    with pytest.raises(BaselineError, match="cannot be read"):
        baseline.read(tmp_path / "nowhere.json")


def test_a_written_baseline_asks_for_reasons(tmp_path: Path) -> None:
    """The failures of a run are written, and not accepted until each has a reason; old reasons stay."""
    path = tmp_path / "known.json"
    excused = result("container/c", Verdict.KNOWN_FAILURE)
    excused.failed_as, excused.known = Verdict.CRASH, _WHY
    results = [result("container/a", Verdict.HANG), result("container/b", Verdict.PASS), excused]
    assert baseline.write(path, "x", results) == 2
    with pytest.raises(BaselineError, match="container/a has no reason"):
        baseline.read(path)
    path.write_text(path.read_text(encoding="utf-8").replace(baseline.NO_REASON, "because"), encoding="utf-8")
    assert baseline.read(path) == {
        "container/a": baseline.Known(Verdict.HANG, "because"),
        "container/c": baseline.Known(Verdict.CRASH, _WHY),
    }
