"""The cases of weights, slices, logits and facts: they build, keep the rules of a corpus, and see what they are for."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from conformance.corpus import corpus
from conformance.corpus.clauses import CLAUSES
from conformance.corpus.flags import FLAGS
from conformance.corpus.flags_model import FLAGS_OF_MODELS
from conformance.engine.claims import FEATURES, Level
from conformance.engine.judge import judge
from conformance.engine.verdict import Verdict
from conformance.tools.edits import read_tensors, split, weight_files
from conformance.tools.misreadings import movements
from conformance.tools.recipe import Recipe
from conformance.tools.scenario import Scenario
from conformance.tools.stored import decode, parameters

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from conformance.engine.case import Answer, Case
    from conformance.tools.truth import TensorDigest, Tensors

_AREAS = {level.value: level for level in (Level.WEIGHTS, Level.PARALLEL, Level.MODEL, Level.ANALYSIS)}


def _of_models(case: Case) -> bool:
    """Whether a case is of these areas; the twins of cases of the checkpoint are tested with those."""
    return case.area in _AREAS and case.clause != "weights.files"


CASES: dict[str, Case] = {case.id: case for case in corpus() if _of_models(case)}
_RECIPES = {case.recipe.key(): case.id for case in CASES.values() if isinstance(case.recipe, Scenario)}
_SCENARIOS = [case_id for case_id, case in CASES.items() if isinstance(case.recipe, Scenario)]
_CLAUSES = sorted({case.clause for case in CASES.values()})
_LOGITS = [case_id for case_id, case in CASES.items() if case.level is Level.MODEL and case.expect.answers]
#: A hundred times the bound within which logits are right.
_SEEN = 0.1
#: What a loader gets that should have reported something.
_SILENT = (Verdict.WRONG_VALUES, Verdict.ACCEPTS_INVALID)
_EMBEDDING, _HEAD = "model.embed_tokens.weight", "lm_head.weight"


def _scenario(case_id: str) -> Scenario:
    recipe = CASES[case_id].recipe
    assert isinstance(recipe, Scenario)
    return recipe


def _recipe(case_id: str) -> Recipe:
    base = _scenario(case_id).base
    assert isinstance(base, Recipe)
    return base


def _answer(tensors: Mapping[str, TensorDigest], **report: list[str]) -> dict[str, Any]:
    """An answer in the form of the protocol."""
    told = {
        name: {"dtype": each.dtype, "shape": list(each.shape), "sha256": each.sha256} for name, each in tensors.items()
    }
    return {"id": 1, "tensors": told, "report": report}


def _verdict(case_id: str, answer: dict[str, Any]) -> Verdict:
    case = CASES[case_id]
    call = case.calls[-1]

    def truth(allowed: Answer) -> Tensors:
        return case.wanted_recipe(call, allowed).dense(allowed.dtype or call.dtype)

    return judge(case.expected(call), truth, answer).verdict


def _right(scenario: Scenario, dtype: str | None = None) -> dict[str, TensorDigest]:
    """What a right loader hands out."""
    return {name: allowed[0] for name, allowed in scenario.dense(dtype).wanted.items()}


def test_ids_are_used_once_and_begin_with_their_level() -> None:
    """An id is its area and words; the area of each of these cases is a level."""
    ids = [case.id for case in corpus() if _of_models(case)]
    assert len(ids) == len(set(ids)) == len(CASES)
    assert [case.id for case in CASES.values() if _AREAS[case.area] is not case.level] == []


@pytest.mark.parametrize(("level", "least"), [("weights", 30), ("parallel", 8), ("model", 60), ("analysis", 8)])
def test_every_level_has_its_cases(level: str, least: int) -> None:
    """So many at least."""
    assert sum(case.level.value == level for case in CASES.values()) >= least


def test_a_sibling_has_the_opposite_verdict() -> None:
    """Of a case and its sibling one must be refused, or one leaves a choice that the other does not."""
    every = {case.id: case.expect.kind for case in corpus()}
    kinds = {case_id: (case.expect.kind, every[case.sibling]) for case_id, case in CASES.items()}
    assert [case_id for case_id, (kind, other) in kinds.items() if kind == other] == []


@pytest.mark.parametrize("clause", _CLAUSES)
def test_every_clause_is_tested_from_both_sides(clause: str) -> None:
    """Each clause has, among its cases and their siblings, one to be loaded and one to be refused."""
    every = {case.id: case for case in corpus()}
    own = [case for case in every.values() if case.clause == clause]
    kinds = {case.expect.kind for case in [*own, *(every[case.sibling] for case in own)]}
    assert "reject" in kinds
    assert kinds & {"accept", "may"}


def test_every_word_is_defined_and_used() -> None:
    """The cases have clauses and flags that there are; all flags of models are used."""
    assert set(_CLAUSES) <= CLAUSES.keys()
    used = {flag for case in CASES.values() for flag in case.flags}
    assert FLAGS_OF_MODELS.keys() <= used <= FLAGS.keys()
    assert {word for case in CASES.values() for word in case.requires} <= FEATURES.keys()


def test_a_choice_has_its_flag() -> None:
    """A case that leaves a choice has a flag that names it, and no other case has such a flag."""
    for case in CASES.values():
        calls = {case.expected(call).kind for call in case.calls if call.judged}
        named = any(FLAGS[flag].kind == "choice" for flag in case.flags)
        assert named == ("may" in calls), case.id


def test_titles_and_sources_can_be_read() -> None:
    """A title is a sentence, a source has a text and a URL, a row of the catalogue a letter and two digits."""
    for case in CASES.values():
        assert case.title.endswith("."), case.id
        assert case.source.text.endswith("."), case.id
        assert case.source.url.startswith("https://"), case.id
        assert all(len(row) == 3 and row[0].isalpha() and row[1:].isdigit() for row in case.source.rows), case.id


@pytest.mark.parametrize("case_id", sorted(_RECIPES.values()))
def test_a_case_requires_the_dtypes_that_its_dense_tensors_are_stored_in(case_id: str) -> None:
    """F64, F32, F16 and BF16 of dense tensors are required; of other dtypes only those that scales are stored in."""
    case, floats = CASES[case_id], {"F64", "F32", "F16", "BF16"}
    held = [[tensor.spec.dtype for tensor in each.stored] for each in parameters(_recipe(case_id))]
    dense = {dtypes[0] for dtypes in held if len(dtypes) == 1}
    required = {word.removeprefix("dtype:") for word in case.requires if word.startswith("dtype:")}
    assert dense & floats <= required <= {dtype for dtypes in held for dtype in dtypes} & floats


@pytest.mark.parametrize("case_id", _SCENARIOS)
def test_a_case_requires_what_its_configuration_asks_for(case_id: str) -> None:
    """Shards, ties, casts, the family and the scaling are claims, where a loader must have them to be right."""
    case, figures = CASES[case_id], _scenario(case_id).figures
    assert ("sharded" in case.requires) == (_recipe(case_id).layout.kind != "single")
    assert ("cast" in case.requires) == any(call.dtype for call in case.calls)
    assert ("tied" in case.requires) == bool(figures["tie_word_embeddings"])
    assert ("family:mistral" in case.requires) == (figures["model_type"] == "mistral")
    if case.level is Level.MODEL and case.expect.answers:
        rope = {**(figures["rope_scaling"] or {}), **(figures.get("rope_parameters") or {})}
        kind = rope.get("rope_type") or rope.get("type") or "default"
        assert {word for word in case.requires if word.startswith("rope:")} == {f"rope:{kind}"}
    if case.level is Level.WEIGHTS:
        assert not [word for word in case.requires if word.startswith("rope:")]


@pytest.mark.parametrize(
    ("case_id", "misreading"),
    [
        ("model/base-of-500000", "theta is taken for 10,000"),
        ("model/base-in-rope-parameters", "theta is taken for 10,000"),
        ("model/linear", "the scaling is ignored"),
        ("model/dynamic", "the scaling is ignored"),
        ("model/llama3", "the scaling is ignored"),
        ("model/llama3", "theta is taken for 10,000"),
        ("model/yarn-in-rope-parameters", "the scaling is ignored"),
        ("model/yarn-in-rope-parameters", "the attention factor is left out"),
        ("model/yarn-with-mscale", "mscale and mscale_all_dim are not read"),
        ("model/longrope-short", "the other list of factors is taken"),
        ("model/longrope-long", "the other list of factors is taken"),
        ("model/grouped-queries", "query heads take turns at the key-value heads"),
        ("model/large-epsilon", "epsilon is taken for 1e-6"),
        ("model/sliding-window", "the window is ignored"),
        ("model/window-of-a-few", "the window is ignored"),
        ("model/heads-without-groups", "q and k are exchanged"),
        ("model/width-of-a-head-that-follows", "a square q is transposed"),
        ("model/activation-gelu", "the activation is taken for SiLU"),
        ("model/twelve-layers", "layers are taken in the order of their names"),
        ("model/head-of-its-own", "the embedding serves as head"),
        ("model/head-of-its-own", "the embedding is multiplied by the root of the width"),
        ("model/yarn-with-an-attention-factor", "the attention factor that is told is not read"),
        ("model/original-length-above-the-limit", "the original length is taken for that of the model"),
        ("model/original-length-beside-longrope", "the original length is taken for that of the model"),
        ("model/eight-thousand-plain", "positions are counted in BF16"),
        ("model/eight-thousand-longrope", "the other list of factors is taken"),
    ],
)
def test_a_case_sees_the_misreading_that_it_is_for(case_id: str, misreading: str) -> None:
    """It gives occasion for it, and is moved by it."""
    assert movements(_scenario(case_id), CASES[case_id].calls[-1].tokens)[misreading] >= _SEEN


@pytest.mark.parametrize("case_id", _LOGITS)
def test_positions_reach_beyond_zero(case_id: str) -> None:
    """At position 0 every rotary embedding is right: each case has a text of forty positions at least."""
    assert max(call.tokens.positions for call in CASES[case_id].calls) >= 40


def test_dropped_biases_move_the_logits() -> None:
    """Biases are small, and still worth more than ten times the bound."""
    scenario = _scenario("model/biases")
    without = Scenario(replace(_recipe("model/biases"), config={"num_hidden_layers": 2, "vocab_size": 37}))
    tokens = CASES["model/biases"].calls[0].tokens
    right, wrong = scenario.logits(tokens).values, without.logits(tokens).values
    assert np.abs(wrong - right).max() > 10e-3 * np.abs(right).max()


def test_scales_lie_in_other_files_than_their_weights(tmp_path: Path) -> None:
    """In three files in a mixed order most weights are apart from their scales."""
    _scenario("weights/scales-in-another-shard").build(tmp_path)
    placed = json.loads((tmp_path / "model.safetensors.index.json").read_text(encoding="utf-8"))["weight_map"]
    apart = [name for name, file in placed.items() if placed.get(f"{name}_scale", file) != file]
    assert len(apart) > 5


def test_second_names_come_first_and_last(tmp_path: Path) -> None:
    """The one without ``model.`` is the first or the last by name, and the first or the last entry: no rule is safe."""
    orders = set()
    for case_id in ("before-it", "behind-it", "first-entry"):
        place = tmp_path / case_id
        place.mkdir()
        _scenario(f"weights/second-name-{case_id}").build(place)
        entries = list(split(place / "model.safetensors")[0])
        (short,) = [name for name in entries if f"model.{name}" in entries]
        orders.add((short < f"model.{short}", entries.index(short) < entries.index(f"model.{short}")))
    assert orders == {(True, True), (False, False), (False, True)}


def test_meta_rows_are_moved_back() -> None:
    """The dense weights are those of the same recipe in Hugging Face's names, whatever order Meta stores."""
    meta = _scenario("weights/meta-names")
    plain = Scenario(replace(_recipe("weights/meta-names"), dialect="huggingface"))
    assert meta.dense().wanted == plain.dense().wanted


def test_meta_stores_other_rows_than_are_handed_out(tmp_path: Path) -> None:
    """Row 1 of a head that is twelve wide is row 6 in Hugging Face's order; v is stored as it is."""
    meta = _scenario("weights/meta-names")
    meta.build(tmp_path)
    stored = read_tensors(tmp_path / "consolidated.safetensors")
    dense = meta.weights()
    query = decode(stored["layers.0.attention.wq.weight"])
    assert np.array_equal(query[[0, 1, 2, 13]], dense["model.layers.0.self_attn.q_proj.weight"][[0, 6, 1, 18]])
    value = decode(stored["layers.0.attention.wv.weight"])
    assert np.array_equal(value, dense["model.layers.0.self_attn.v_proj.weight"])


def test_twelve_layers_lie_in_several_files(tmp_path: Path) -> None:
    """And the missing one is in none of them, nor in the index."""
    scenario = _scenario("weights/layer-in-the-middle-missing")
    scenario.build(tmp_path)
    assert len(weight_files(tmp_path)) > 3
    assert "layers.5." not in (tmp_path / "model.safetensors.index.json").read_text(encoding="utf-8")
    assert not [name for path in weight_files(tmp_path) for name in split(path)[0] if ".5." in name]


@pytest.mark.parametrize(
    ("case_id", "category", "expected"),
    [
        ("weights/f32-norms-in-a-bf16-model", "cast", Verdict.PASS),
        ("weights/f32-norms-in-a-bf16-model", "unexpected", Verdict.WRONG_VALUES),
        ("weights/f16-file-of-a-bf16-model", "cast", Verdict.PASS),
        ("weights/f16-file-of-a-bf16-model", "", Verdict.WRONG_VALUES),
    ],
)
def test_a_cast_that_nobody_asked_for_is_reported(case_id: str, category: str, expected: Verdict) -> None:
    """BF16 throughout passes if each tensor that changed its dtype is reported as cast."""
    scenario = _scenario(case_id)
    cast = _right(scenario, "BF16")
    changed = [name for name, digest in _right(scenario).items() if digest.dtype != "BF16"]
    assert changed
    assert _verdict(case_id, _answer(cast, **({category: changed} if category else {}))) is expected
    assert _verdict(case_id, _answer(_right(scenario))) is Verdict.PASS


@pytest.mark.parametrize(
    ("case_id", "bits"),
    [("weights/asked-bf16-of-f32", 16), ("weights/asked-f16-of-f32", 13), ("weights/asked-bf16-of-f16", 16)],
)
def test_some_numbers_of_a_cast_lie_half_way(case_id: str, bits: int) -> None:
    """Of the numbers half-way between two of the narrower dtype some go up and some down: ties to even shows."""
    values = np.concatenate([weight.reshape(-1) for weight in _scenario(case_id).weights().values()])
    numbers = values.astype(np.float32).view(np.uint32)
    half_way = (numbers & ((1 << bits) - 1)) == 1 << (bits - 1)
    odd = (numbers >> bits) & 1 == 1
    assert (half_way & odd).any()
    assert (half_way & ~odd).any()


def test_one_cast_left_out_of_the_report_is_silent() -> None:
    """All of them must be told."""
    case_id = "weights/f32-norms-in-a-bf16-model"
    cast = _right(_scenario(case_id), "BF16")
    names = [name for name in cast if "norm" in name]
    assert _verdict(case_id, _answer(cast, cast=names[1:])) is Verdict.WRONG_VALUES


def test_a_stored_head_is_not_replaced_in_silence() -> None:
    """Stored: right. The embedding in its place: wrong, unless it is reported. Made up: wrong with any report."""
    case_id = "weights/tied-and-another-head-stored"
    right = _right(_scenario(case_id))
    tied = {**right, _HEAD: right[_EMBEDDING]}
    made_up = {**right, _HEAD: right[_HEAD]._replace(sha256="0" * 64)}
    assert _verdict(case_id, _answer(right)) is Verdict.PASS
    assert _verdict(case_id, _answer(tied)) in _SILENT
    assert _verdict(case_id, _answer(tied, ignored=[_HEAD])) is Verdict.PASS
    assert _verdict(case_id, _answer(made_up, ignored=[_HEAD], conflicting=[_HEAD])) is Verdict.WRONG_VALUES


@pytest.mark.parametrize("case_id", ["weights/untied-and-no-head-stored", "weights/tied-in-the-text-config"])
def test_a_head_that_is_not_stored_is_the_embedding_or_nothing(case_id: str) -> None:
    """It is handed out equal to the embedding, or not at all; never with other values."""
    right = _right(_scenario(case_id))
    assert right[_HEAD] == right[_EMBEDDING]
    without = {name: digest for name, digest in right.items() if name != _HEAD}
    made_up = {**right, _HEAD: right[_HEAD]._replace(sha256="0" * 64)}
    verdicts = [_verdict(case_id, _answer(each)) for each in (right, without, made_up)]
    assert verdicts == [Verdict.PASS, Verdict.PASS, Verdict.WRONG_VALUES]


def test_an_untied_head_is_needed() -> None:
    """A head that is stored and not tied must be handed out."""
    right = _right(_scenario("weights/single-bf16"))
    del right[_HEAD]
    assert _verdict("weights/single-bf16", _answer(right)) is Verdict.WRONG_VALUES


def test_undeclared_biases_are_not_dropped_in_silence() -> None:
    """With biases: right. Without them: invalid, unless each is reported."""
    case_id = "weights/bias-stored-and-not-declared"
    right = _right(_scenario(case_id))
    without = {name: digest for name, digest in right.items() if not name.endswith("bias")}
    biases = sorted(right.keys() - without.keys())
    assert len(biases) == 8
    assert _verdict(case_id, _answer(right)) is Verdict.PASS
    assert _verdict(case_id, _answer(without)) in _SILENT
    assert _verdict(case_id, _answer(without, unexpected=biases)) is Verdict.PASS


@pytest.mark.parametrize("case_id", [case_id for case_id in CASES if case_id.startswith("weights/second-name-")])
def test_the_second_name_never_wins(case_id: str) -> None:
    """The parameter keeps its values; that the other one was left out is reported."""
    right = _right(_scenario(case_id))
    (stray,) = [step.arguments[0] for step in _scenario(case_id).steps if step.way == "add_tensor"]
    taken = {**right, f"model.{stray}": right[f"model.{stray}"]._replace(sha256="0" * 64)}
    assert _verdict(case_id, _answer(right)) is Verdict.ACCEPTS_INVALID
    assert _verdict(case_id, _answer(right, ignored=[stray])) is Verdict.PASS
    assert _verdict(case_id, _answer(taken, ignored=[stray])) is Verdict.WRONG_VALUES


def test_rows_beyond_the_vocabulary_are_not_cut() -> None:
    """All 37 rows and a report pass; 35 rows of embedding and head do not, with any report."""
    case_id = "weights/vocabulary-too-large"
    right = _right(_scenario(case_id))
    assert right[_EMBEDDING].shape == (37, 54)
    told = {"conflicting": [_EMBEDDING, _HEAD]}
    cut = {**right, _EMBEDDING: right[_EMBEDDING]._replace(shape=(35, 54))}
    assert _verdict(case_id, _answer(right, **told)) is Verdict.PASS
    assert _verdict(case_id, _answer(right)) is Verdict.ACCEPTS_INVALID
    assert _verdict(case_id, _answer(cut, **told)) is Verdict.WRONG_VALUES


def test_a_scale_that_is_no_number_spoils_its_row() -> None:
    """Loaded and reported it passes, with 54 numbers that are none; the weight without the spoilt scale does not."""
    case_id = "weights/scale-that-is-no-number"
    scenario, name = _scenario(case_id), "model.layers.1.self_attn.q_proj.weight"
    spoilt = np.isnan(scenario.weights()[name])
    assert spoilt[0].all()
    assert spoilt.sum() == 54
    sound = _right(Scenario(scenario.base))
    told = {"conflicting": [f"{name}_scale"]}
    assert _verdict(case_id, _answer(_right(scenario), **told)) is Verdict.PASS
    assert _verdict(case_id, _answer(sound, **told)) is Verdict.WRONG_VALUES


def test_codes_are_never_right() -> None:
    """Where FP8 is not declared, its codes are no weights, under whatever dtype."""
    case_id = "weights/quantized-and-not-declared"
    scenario = _scenario(case_id)
    stored = {name: allowed[0] for name, allowed in scenario.stored().wanted.items()}
    assert _verdict(case_id, _answer(stored)) is Verdict.WRONG_VALUES
    assert _verdict(case_id, _answer(_right(scenario))) is Verdict.PASS
