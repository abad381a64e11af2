"""Judges a program by an export and by nothing else: the loop of its README, on the standard library alone."""

from __future__ import annotations

import array
import base64
import json
import math
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from conformance.tests.talking import Talk

#: Verdicts that a call can get here, worst first.
_ORDER = ("wrong_values", "over_limit", "accepts_invalid", "rejects_valid", "wrong_reason", "pass")


def cases(root: Path) -> Iterator[dict[str, Any]]:
    """Every case of an export."""
    for path in sorted((root / "cases").rglob("*.json")):
        yield json.loads(path.read_text(encoding="utf-8"))


def verdicts(root: Path, talk: Talk) -> dict[str, str]:
    """The verdict of each case that a program claims, in a process that serves all of them."""
    hello = talk.hello()["hello"]
    asked = [
        case for case in cases(root) if case["level"] in hello["levels"] and set(case["requires"]) <= {*hello["claims"]}
    ]
    return {case["id"]: min((_verdict(root, talk, call) for call in case["calls"]), key=_ORDER.index) for case in asked}


def _verdict(root: Path, talk: Talk, call: dict[str, Any]) -> str:
    places = {name: str(root / call["request"][name]) for name in ("path", "directory") if name in call["request"]}
    answer = talk.ask(**{**call["request"], **places})
    assert "broken" not in answer, answer
    if not call["judged"]:
        return "pass"
    want = call["expected"]
    if "error" in answer:
        return _refused(want, answer["error"])
    if not want["answers"]:
        return "accepts_invalid"
    equal = [allowed for allowed in want["answers"] if _equal(root, allowed, answer)]
    if any(_told(allowed, answer.get("report", {})) for allowed in equal):
        return "pass"
    return "accepts_invalid" if equal and want["kind"] == "reject" else "wrong_values"


def _refused(want: dict[str, Any], error: dict[str, Any]) -> str:
    if error.get("memory"):
        return "over_limit"
    if not want["reasons"]:
        return "rejects_valid"
    allowed = {None, *want["reasons"]}
    return "wrong_reason" if error.get("unsupported") or error.get("reason") not in allowed else "pass"


def _told(allowed: dict[str, Any], report: dict[str, list[str]]) -> bool:
    return all(any(each["name"] in said for said in report.get(each["list"], [])) for each in allowed["reported"])


def _equal(root: Path, allowed: dict[str, Any], answer: dict[str, Any]) -> bool:
    if "tensors" in allowed:
        return _equal_tensors(allowed["tensors"], answer["tensors"])
    if "facts" in allowed:
        wanted = allowed["facts"]
        return all(json.dumps(wanted[name], sort_keys=True) == json.dumps(told, sort_keys=True)
                   for name, told in answer["facts"].items())  # fmt: skip
    return _equal_logits(root, allowed["logits"], answer["logits"])


def _equal_tensors(wanted: list[dict[str, Any]], found: dict[str, Any]) -> bool:
    missing = [each for each in wanted if not each["optional"] and each["name"] not in found]
    if missing or found.keys() - {each["name"] for each in wanted}:
        return False
    return all(
        any(_same(one, found[each["name"]]) for one in each["alternatives"]) for each in wanted if each["name"] in found
    )


def _same(wanted: dict[str, Any], found: dict[str, Any]) -> bool:
    if wanted["dtype"] in {"F4", "F6_E2M3", "F6_E3M2"} and found["dtype"] == "U8":
        return bool(wanted["sha256"] == found["sha256"])
    return all(wanted[part] == found[part] for part in ("dtype", "shape", "sha256"))


def _equal_logits(root: Path, wanted: dict[str, Any], found: dict[str, Any]) -> bool:
    truth, values = array.array("d"), array.array("f")
    truth.frombytes((root / wanted["file"]).read_bytes())
    values.frombytes(base64.b64decode(found["data"]))
    if sys.byteorder == "big":
        truth.byteswap()
        values.byteswap()
    if wanted["shape"] != found["shape"] or not all(map(math.isfinite, values)):
        return False
    furthest = max(abs(one - other) for one, other in zip(truth, values, strict=True))
    return furthest < float(wanted["bound"]) * max(map(abs, truth))
