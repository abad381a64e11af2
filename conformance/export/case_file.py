"""What the file of a case says: the case, its requests as the protocol has them, and everything that is expected."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conformance.corpus.clauses import CLAUSES, NUMBERS
from conformance.corpus.flags import FLAGS
from conformance.engine.claims import Level
from conformance.engine.requests import request
from conformance.tools.truth import Logits, Tensors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.engine.case import Answer, Call, Case, Expect
    from conformance.engine.store import Store
    from conformance.tools.truth import Truth

#: How deep an object is spread over lines: a call, an answer and a tensor have one each.
_SPREAD = 6


def checkpoint(case: Case) -> str:
    """Where the checkpoint of a case lies in an export. Cases with the same recipe share one."""
    return f"checkpoints/{case.recipe.key()}/checkpoint"


def path_of(case: Case) -> Path:
    """Where the file of a case lies in an export."""
    return Path("cases", f"{case.id}.json")


def write(case: Case, store: Store, root: Path, *, bound: bool) -> None:
    """Writes the file of a case, and the logits that it names beside it.

    Args:
        case: The case.
        store: Where what is true is known.
        root: The export.
        bound: Whether the checkpoint names the place in which it lies.
    """
    path = root / path_of(case)
    path.parent.mkdir(parents=True, exist_ok=True)
    calls = [_call(case, store, root, number) for number in range(len(case.calls))]
    path.write_text(spelled({**_head(case), "bound_to_place": bound, "calls": calls}) + "\n", encoding="utf-8")


def _head(case: Case) -> dict[str, Any]:
    """What a case is, but for its calls."""
    clause, limits, source = CLAUSES[case.clause], case.limits, case.source
    return {
        "id": case.id,
        "level": case.level.value,
        "title": case.title,
        "clause": {
            "id": clause.id,
            "number": NUMBERS[clause.id],
            "force": clause.force,
            "text": clause.text,
            "source": clause.source,
        },
        "severity": case.severity.value,
        "flags": [{"name": name, "kind": FLAGS[name].kind, "meaning": FLAGS[name].meaning} for name in case.flags],
        "requires": sorted(case.requires),
        "source": {"text": source.text, "url": source.url, "rows": list(source.rows)},
        "sibling": case.sibling,
        "dispute": case.dispute,
        "limits": {
            "seconds": limits.seconds,
            "anonymous_bytes": limits.anonymous_bytes,
            "descriptors": limits.descriptors,
        },
        "hash_seeds": list(case.hash_seeds),
        "checkpoint": checkpoint(case),
    }


def _call(case: Case, store: Store, root: Path, number: int) -> dict[str, Any]:
    call = case.calls[number]
    recipe: Any = call.recipe or case.recipe
    ids = recipe.input_ids(call.tokens).tolist() if case.level is Level.MODEL else None
    asked = {"id": number + 1, **request(case.level, call, Path(checkpoint(case)), ids)}
    if not call.judged:
        return {"request": asked, "judged": False}
    expect = case.expected(call)
    answers = list(_answers(case, store, root, number, expect))
    reasons = [reason.value for reason in expect.reasons]
    return {
        "request": asked,
        "judged": True,
        "expected": {"kind": expect.kind, "reasons": reasons, "answers": answers},
    }


def _answers(case: Case, store: Store, root: Path, number: int, expect: Expect) -> Iterator[dict[str, Any]]:
    for place, answer in enumerate(expect.answers, 1):
        truth = _truth(case, store, case.calls[number], answer)
        reported = [{"list": category, "name": name} for category, name in answer.reported]
        file = path_of(case).with_suffix(f".{number + 1}-{place}.f64")
        yield {"reported": reported, **_wanted(truth, root, file)}


def _truth(case: Case, store: Store, call: Call, answer: Answer) -> Truth:
    return store.truth(case.level, call, case.wanted_recipe(call, answer), answer)


def _wanted(truth: Truth, root: Path, file: Path) -> dict[str, Any]:
    """What an answer must equal. Logits are written to a file of their own."""
    if isinstance(truth, Tensors):
        return {"tensors": [_tensor(truth, name) for name in sorted(truth.wanted)]}
    if isinstance(truth, Logits):
        (root / file).write_bytes(truth.values.astype("<f8").tobytes())
        shape = list(truth.values.shape)
        return {"logits": {"file": file.as_posix(), "dtype": "F64", "shape": shape, "bound": truth.bound}}
    return {"facts": dict(truth.values)}


def _tensor(truth: Tensors, name: str) -> dict[str, Any]:
    alternatives = [
        {"dtype": each.dtype, "shape": list(each.shape), "sha256": each.sha256} for each in truth.wanted[name]
    ]
    return {"name": name, "optional": name in truth.optional, "alternatives": alternatives}


def spelled(value: Any, depth: int = _SPREAD, indent: str = "") -> str:
    """JSON whose outer levels have a line for each member, and whose inner ones have none: short, and to be read."""
    if depth == 0 or not value or not isinstance(value, dict | list):
        return json.dumps(value)
    inner, (opening, closing) = f"{indent} ", "{}" if isinstance(value, dict) else "[]"
    if isinstance(value, dict):
        parts = [f"{json.dumps(name)}: {spelled(each, depth - 1, inner)}" for name, each in value.items()]
    else:
        parts = [spelled(each, depth - 1, inner) for each in value]
    return f"{opening}\n" + ",\n".join(inner + part for part in parts) + f"\n{indent}{closing}"
