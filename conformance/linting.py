"""The linter: holds the corpus against its own rules. It builds every recipe, and judges no loader but one.

The one is the container reader of ``safetensors``, the reference of the format: where it contradicts what a case
expects of a file, the case must say why (`Case.dispute`).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from conformance import recorded
from conformance.corpus.clauses import CLAUSES
from conformance.corpus.flags import FLAGS
from conformance.engine.claims import FEATURES, Level
from conformance.engine.store import Store, prepare_case
from conformance.tools.digest import manifest
from conformance.tools.gguf_recipe import GgufRecipe
from conformance.tools.misreadings import movements
from conformance.tools.scenario import Scenario
from conformance.tools.truth import LOGIT_BOUND, Logits, Tensors, tensor_digest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from conformance.engine.case import Call, Case
    from conformance.tools.truth import Truth

#: Bytes of the largest file that is held against the reference: beyond, the time is not worth it.
_LARGEST = 64 << 20
#: How many times the bound a bug must move the logits.
_SEEN = 100
_ID = re.compile(r"[a-z]+/[a-z0-9]+(-[a-z0-9]+)*")


def lint(cases: Sequence[Case], store: Store) -> list[str]:
    """Everything that is wrong with the corpus, a sentence each."""
    findings = [*_ids(cases), *_words(cases), *_clauses(cases), *_siblings(cases)]
    sound = []
    for case in cases:
        unbuilt = list(_build(case, store))
        problems = [*_fields(case), *unbuilt]
        if not unbuilt:
            sound.append(case)
            problems += [*_dispute(case, store), *_blind(case)]
        findings += [f"{case.id}: {problem}" for problem in problems]
    return [*findings, *_manifest(sound, {case.id for case in cases}, store)]


def _ids(cases: Sequence[Case]) -> Iterator[str]:
    for name, count in Counter(case.id for case in cases).items():
        if count > 1:
            yield f"{name}: the id is used {count} times"
        if not _ID.fullmatch(name):
            yield f"{name}: an id is area/words-with-hyphens"


def _words(cases: Sequence[Case]) -> Iterator[str]:
    used = {flag for case in cases for flag in case.flags}
    yield from (f"flag {flag}: no case has it" for flag in FLAGS if flag not in used)
    yield from (f"flag {flag}: the glossary lacks it" for flag in sorted(used - FLAGS.keys()))
    yield from (f"clause {clause}: no case tests it" for clause in CLAUSES if clause not in {c.clause for c in cases})


def _clauses(cases: Sequence[Case]) -> Iterator[str]:
    """Each clause has something to accept and something to reject: a loader that does only one gets nowhere."""
    by_id = {case.id: case for case in cases}
    for clause in sorted({case.clause for case in cases}):
        own = [case for case in cases if case.clause == clause]
        around = [*own, *(by_id[case.sibling] for case in own if case.sibling in by_id)]
        kinds = {case.expect.kind for case in around}
        if "reject" not in kinds:
            yield f"clause {clause}: nothing is to be rejected, in its cases and their siblings"
        if not kinds & {"accept", "may"}:
            yield f"clause {clause}: nothing may be accepted, in its cases and their siblings"


def _siblings(cases: Sequence[Case]) -> Iterator[str]:
    by_id = {case.id: case for case in cases}
    for case in cases:
        sibling = by_id.get(case.sibling)
        if sibling is None:
            yield f"{case.id}: its sibling {case.sibling!r} is no case"
        elif sibling.expect.kind == case.expect.kind:
            yield f"{case.id}: its sibling {case.sibling} has the same verdict, {case.expect.kind}"
        elif sibling.level is not case.level:
            yield f"{case.id}: its sibling {case.sibling} is of another level, {sibling.level}"


def _fields(case: Case) -> Iterator[str]:
    if case.clause not in CLAUSES:
        yield f"no clause is called {case.clause!r}"
    if not case.title.endswith("."):
        yield "the title is no sentence"
    if not (case.source.text and case.source.url.startswith("http")):
        yield "the source has no text or no URL"
    if unknown := sorted(case.requires - FEATURES.keys()):
        yield f"requires what is no feature: {', '.join(unknown)}"
    if case.expect.kind == "may" and not any(FLAGS[flag].kind == "choice" for flag in case.flags if flag in FLAGS):
        yield "it leaves a choice, and no flag names the choice"
    if not (case.expect.answers or case.expect.reasons):
        yield "it expects nothing"
    if not any(call.judged for call in case.calls):
        yield "no call is judged"
    if len(case.hash_seeds) > 1 and "Nondeterministic" not in case.flags:
        yield "it runs under several seeds, and lacks the flag Nondeterministic"


def _build(case: Case, store: Store) -> Iterator[str]:
    """A recipe builds, and gives the bytes that the store has of it: built in another place, often by another process.

    Raises:
        StoreError: The store cannot be written.
    """
    with tempfile.TemporaryDirectory() as place:
        checkpoint = Path(place) / "checkpoint"
        checkpoint.mkdir()
        try:
            case.recipe.build(checkpoint)
        except Exception as error:  # noqa: BLE001 - whatever it is, the recipe is at fault
            yield f"the recipe does not build: {type(error).__qualname__}: {error}"
            return
        again = _placeless(Path(place))
    if again != _built(case, store):
        yield "the recipe is not deterministic"


def _built(case: Case, store: Store) -> dict[str, str]:
    """The manifest of what the store has of a case, without what is beside it: what is true."""
    files = _placeless(store.prepare(case.recipe).parent)
    return {name: sha for name, sha in files.items() if name.startswith("checkpoint")}


def _placeless(place: Path) -> dict[str, str]:
    """The manifest of a directory, wherever it lies: JSON that names the place is digested without it."""
    found = manifest(place)
    for name in found:
        if name.endswith(".json") and (text := (place / name).read_bytes()) and (where := os.fsencode(place)) in text:
            found[name] = hashlib.sha256(text.replace(where, b"<place>")).hexdigest()
    return found


def digests(case: Case, store: Store) -> dict[str, str]:
    """The digests of a case: of its recipe, of all files that it builds, and of what is true of them."""
    prepare_case(store, case)
    truths = [
        _essence(store.truth(case.level, call, case.wanted_recipe(call, answer), answer))
        for call in case.calls
        for answer in (case.expected(call).answers if call.judged else ())
    ]
    return {"recipe": case.recipe.key(), "files": _sha(_built(case, store)), "truth": _sha(truths)}


def _essence(truth: Truth) -> Any:
    """What is digested of a truth. Of logits, figures in few digits: the last bits depend on the processor."""
    if isinstance(truth, Logits):
        sizes = (np.abs(truth.values).max(), np.abs(truth.values).mean())
        return [list(truth.values.shape), *(f"{size:.6g}" for size in sizes)]
    return truth.to_json() if isinstance(truth, Tensors) else dict(truth.values)


def _sha(facts: Any) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]


def _manifest(cases: Sequence[Case], names: set[str], store: Store) -> Iterator[str]:
    """What differs from the manifest, of cases that build; `names` are the ids of all."""
    known = recorded.read(recorded.CORPUS)
    for case in cases:
        if (found := digests(case, store)) != known.get(case.id):
            changed = [key for key, value in found.items() if known.get(case.id, {}).get(key) != value]
            yield f"{case.id}: other digests than in the manifest, for {', '.join(changed)} (see --write-manifest)"
    yield from (f"{name}: in the manifest, and no case" for name in sorted(known.keys() - names))


def _blind(case: Case) -> Iterator[str]:
    """Each bug of rotation, norms and row order moves the logits of a case a hundred times as far as is allowed."""
    if case.level is not Level.MODEL or not case.expect.answers:
        return
    for call in case.calls:
        recipe = call.recipe or case.recipe
        if not isinstance(recipe, (Scenario, GgufRecipe)):
            yield "logits are computed of a checkpoint whose weights are known"
            continue
        for name, how_far in movements(recipe, call.tokens).items():
            if how_far < _SEEN * LOGIT_BOUND:
                yield f"it is nearly blind where {name}: the logits move by {how_far:.1e} of the largest"


def _dispute(case: Case, store: Store) -> Iterator[str]:
    """Whether safetensors' own reader says of the files of a container case what the case says."""
    if case.level is not Level.CONTAINER:
        if case.dispute:
            yield "only a container case can be in dispute with the container reader"
        return
    directory = store.prepare(case.recipe)
    says = {problem for call in case.calls if call.judged and (problem := _reference(case, call, directory, store))}
    if says and not case.dispute:
        yield f"safetensors {'; '.join(sorted(says))}, and the case does not say why it may be wrong"
    if case.dispute and not says:
        yield "the case is in dispute with safetensors, which agrees with it"


def _reference(case: Case, call: Call, directory: Path, store: Store) -> str:
    """How safetensors contradicts a call; empty if it does not."""
    import safetensors  # noqa: PLC0415 - of this function alone

    expect = case.expected(call)
    path = (directory / call.at if call.at else directory) / call.file
    if not path.is_file() or path.stat().st_size > _LARGEST:  # a pipe would be waited for
        return ""
    try:
        read = safetensors.deserialize(path.read_bytes())  # type: ignore[no-untyped-call]
    except Exception as error:  # noqa: BLE001 - its errors are of several kinds
        return "" if expect.reasons else f"refuses it ({error})"
    if not expect.answers:
        return "reads it"
    found = {name: tensor_digest(each["dtype"], each["shape"], bytes(each["data"])) for name, each in read}
    for answer in expect.answers:
        truth = store.truth(case.level, call, case.wanted_recipe(call, answer), answer)
        if isinstance(truth, Tensors) and _same(truth, found):
            return ""
    return "reads other tensors"


def _same(truth: Tensors, found: dict[str, Any]) -> bool:
    return found.keys() == truth.wanted.keys() and all(
        any(each.admits(digest) for each in truth.wanted[name]) for name, digest in found.items()
    )
