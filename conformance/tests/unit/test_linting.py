"""The linter finds what it is for: each rule is broken once in a corpus of two cases, and the finding names it."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from conformance import linting, recorded
from conformance.corpus import corpus
from conformance.corpus.clauses import CLAUSES
from conformance.corpus.flags import FLAGS
from conformance.engine.case import Call, Expect, Source, Tokens, may, reject
from conformance.engine.claims import Level
from conformance.engine.reasons import Reason
from conformance.engine.store import Store
from conformance.tests.engine_support import FILE, HOLE, make_case
from conformance.tools.container import Spec
from conformance.tools.gguf_recipe import SMALL, GgufRecipe
from conformance.tools.recipe import Recipe
from conformance.tools.scenario import Scenario
from conformance.tools.steps import step
from conformance.tools.tensor_file import TensorFile

if TYPE_CHECKING:
    from pathlib import Path

    from conformance.engine.case import Case

_CLAUSE = "container.tiling"
_PLAIN = make_case("container/plain", clause=_CLAUSE)
_HOLE = make_case("container/hole", HOLE, reject(Reason.HOLE), clause=_CLAUSE, sibling="container/plain")
_MODEL = Scenario(Recipe(config={"num_hidden_layers": 2, "vocab_size": 37}))


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A store of this test, for a corpus of one clause, no flags, and a manifest that fits."""
    store = Store(tmp_path)
    monkeypatch.setattr(linting, "CLAUSES", {_CLAUSE: CLAUSES[_CLAUSE]})
    monkeypatch.setattr(linting, "FLAGS", {})
    return store


def findings(store: Store, monkeypatch: pytest.MonkeyPatch, *cases: Case) -> list[str]:
    """What the linter finds, the manifest apart."""
    monkeypatch.setattr(linting, "_manifest", lambda *_: [])
    return linting.lint(cases, store)


def test_a_clean_corpus_has_no_findings(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two cases that are each other's siblings are clean."""
    assert findings(store, monkeypatch, _PLAIN, _HOLE) == []


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"id": "container/Plain"}, "an id is area/words"),
        ({"id": "container/hole"}, "is used 2 times"),
        ({"sibling": "container/gone"}, "is no case"),
        ({"sibling": "container/plain"}, "has the same verdict"),
        ({"level": Level.CHECKPOINT}, "is of another level, container"),
        ({"clause": "container.gone"}, "no clause is called"),
        ({"title": "No sentence"}, "the title is no sentence"),
        ({"source": Source("", "https://example.org")}, "the source has no text"),
        ({"source": Source("It says so.", "somewhere")}, "no text or no URL"),
        ({"requires": frozenset({"colour"})}, "requires what is no feature: colour"),
        ({"flags": ("Odd",)}, "the glossary lacks it"),
        ({"expect": may(Reason.HOLE)}, "no flag names the choice"),
        ({"expect": Expect()}, "it expects nothing"),
        ({"calls": ()}, "no call is judged"),
        ({"hash_seeds": (0, 1)}, "lacks the flag Nondeterministic"),
        ({"recipe": FILE.then(step("replace_text", "model.safetensors", "gone", "x"))}, "the recipe does not build"),
        ({"recipe": HOLE}, "safetensors refuses it"),
        ({"expect": reject(Reason.HOLE)}, "safetensors reads it"),
        ({"dispute": "It is mistaken."}, "which agrees with it"),
        ({"level": Level.CHECKPOINT, "dispute": "It is mistaken."}, "only a container case"),
    ],
)
def test_each_rule_has_its_finding(
    changes: dict[str, Any], says: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One change, and the finding that tells it."""
    found = findings(store, monkeypatch, replace(_PLAIN, **changes), _HOLE)
    assert [finding for finding in found if says in finding], found


def test_words_that_nobody_uses_are_told(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flag and a clause without a case are findings."""
    monkeypatch.setattr(linting, "FLAGS", {"Nondeterministic": FLAGS["Nondeterministic"]})
    monkeypatch.setattr(linting, "CLAUSES", {name: CLAUSES[name] for name in (_CLAUSE, "container.dtype")})
    found = findings(store, monkeypatch, _PLAIN, _HOLE)
    assert found == [
        "flag Nondeterministic: no case has it",
        "clause container.dtype: no case tests it",
    ]


def test_a_clause_of_one_side_is_told(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clause whose cases and siblings are all to be accepted, or all to be rejected."""
    assert "nothing is to be rejected" in " ".join(findings(store, monkeypatch, replace(_PLAIN, sibling=_PLAIN.id)))
    assert "nothing may be accepted" in " ".join(findings(store, monkeypatch, replace(_HOLE, sibling=_HOLE.id)))


def test_a_recipe_that_differs_is_told(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two builds that give other bytes are a finding."""
    numbers = count()
    build = TensorFile.build

    def drifting(self: TensorFile, directory: Path) -> None:
        build(self, directory)
        (directory / "notes.txt").write_text(str(next(numbers)), encoding="utf-8")

    monkeypatch.setattr(TensorFile, "build", drifting)
    assert "container/plain: the recipe is not deterministic" in findings(store, monkeypatch, _PLAIN, _HOLE)


def test_a_case_that_is_blind_is_told(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A case of the model whose logits a bug hardly moves."""
    case = replace(_PLAIN, level=Level.MODEL, recipe=_MODEL)
    monkeypatch.setattr(linting, "movements", lambda *_: {"the norms are exchanged": 0.02})
    assert "nearly blind where the norms are exchanged" in " ".join(findings(store, monkeypatch, case, _HOLE))
    monkeypatch.setattr(linting, "movements", lambda *_: {"the norms are exchanged": 0.2})
    assert "nearly blind" not in " ".join(findings(store, monkeypatch, case, _HOLE))


def test_logits_are_judged_of_any_recipe_that_knows_its_weights() -> None:
    """A recipe of GGUF is looked at like a scenario; of one file of any tensors there are no logits."""
    of_gguf = replace(_PLAIN, level=Level.MODEL, recipe=GgufRecipe(), calls=(Call(tokens=Tokens(1)),))
    assert not any("norms" in problem for problem in linting._blind(of_gguf))
    rough = replace(of_gguf, recipe=GgufRecipe(config={**SMALL, "rms_norm_eps": 1e-3}))
    assert "epsilon is taken for 1e-6" in " ".join(linting._blind(rough))
    of_a_file = replace(_PLAIN, level=Level.MODEL, recipe=TensorFile((Spec("a", "F32", (3, 4)),)))
    assert list(linting._blind(of_a_file)) == ["logits are computed of a checkpoint whose weights are known"]


def test_a_change_of_a_generator_shows(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other files, another truth, a case that is gone: each differs from the manifest."""
    known = {_PLAIN.id: linting.digests(_PLAIN, store), "container/gone": {}}
    known[_PLAIN.id]["files"] = "0" * 32
    monkeypatch.setattr(recorded, "read", {recorded.CORPUS: known}.__getitem__)
    assert list(linting._manifest([_PLAIN], {_PLAIN.id}, store)) == [
        "container/plain: other digests than in the manifest, for files (see --write-manifest)",
        "container/gone: in the manifest, and no case",
    ]


def test_the_corpus_is_large_and_spread() -> None:
    """More than the sixty cases that an engine needs to be proved on, of each level some."""
    levels = [case.level for case in corpus()]
    assert len(levels) > 200
    assert min(levels.count(level) for level in Level) >= 10
