"""The search: what it draws, what it prints, what it counts, and what it takes for known."""

from __future__ import annotations

from inspect import Parameter
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings

from conformance.__main__ import main
from conformance.corpus import container_parts, corpus
from conformance.engine.case import Call, Case, Severity, Source, accept, needs, reject
from conformance.engine.claims import Level
from conformance.engine.errors import UsageError
from conformance.engine.reasons import Reason
from conformance.search import printing, searching
from conformance.search.answers import Answer
from conformance.search.arguments import UndrawableError, drawer_of, parameters_of
from conformance.search.known import KNOWN, Known
from conformance.search.scenarios import Drawn, drawn
from conformance.search.searching import Finding, Tally
from conformance.search.source_text import source_of
from conformance.search.trying import Comparison, Outcome
from conformance.tools.container import Spec
from conformance.tools.recipe import Layout, Quantization, Recipe
from conformance.tools.scenario import Scenario
from conformance.tools.steps import WAYS, step
from conformance.tools.tensor_file import TensorFile
from conformance.tools.truth import TensorDigest

if TYPE_CHECKING:
    from pathlib import Path

#: What the module of found cases imports.
_NAMES: dict[str, Any] = {
    each.__name__: each
    for each in (
        Call, Case, Severity, Source, accept, needs, reject, Level, Reason, Spec, Layout, Quantization, Recipe,
        Scenario, step, TensorFile,
    )
}  # fmt: skip
_LOADS = Answer("loads", tensors={"w": TensorDigest("F32", (1,), "0")})
_OTHER = Answer("loads", tensors={"w": TensorDigest("F32", (1,), "1")})
_TWICE = Answer("refuses", "duplicate_key")


@pytest.mark.parametrize("way", sorted(WAYS))
def test_every_way_has_a_strategy(way: str) -> None:
    """Each argument of each way can be drawn: a new way with a parameter of an unknown type fails here."""
    assert all(callable(drawer_of(way, each)) for each in parameters_of(way))


def test_a_parameter_of_an_unknown_type_is_an_error() -> None:
    """A type that nothing is known of is told, with the way and the parameter."""
    unknown = Parameter("gadget", Parameter.POSITIONAL_ONLY, annotation="complex")
    with pytest.raises(UndrawableError, match="cut: no values are known for gadget: complex"):
        drawer_of("cut", unknown)


@settings(max_examples=40, database=None, deadline=None)
@given(drawn())
def test_a_printed_recipe_is_the_recipe(one: Drawn) -> None:
    """What is printed evaluates to an equal recipe, with the same key, and no line is too long for its indent."""
    text = source_of(one.scenario)
    again = eval(text, _NAMES)  # noqa: S307 - it is our own
    assert (again, again.key()) == (one.scenario, one.scenario.key())


def _finding(**answers: Answer) -> Finding:
    scenario = container_parts.PLAIN.then(step("duplicate_name_in_header"))
    return Finding(Drawn(scenario, sound=False), Comparison("read_file model.safetensors", answers, problem="it"), 7)


def test_a_printed_case_is_the_case() -> None:
    """What is printed evaluates to the case: what the right loader says is expected, with seed and date."""
    case = printing.case_of(_finding(inferno=_LOADS, right=_TWICE, safetensors=_LOADS), "2026-01-02")
    again = eval(printing.printed(case).strip().removesuffix(","), _NAMES)  # noqa: S307 - it is our own
    assert again == case
    assert (again.expect, again.clause) == (reject(Reason.DUPLICATE_KEY), "container.unique-names")
    assert "Found by search, seed 7, 2026-01-02" in again.source.text
    assert again.dispute == "safetensors loads it."


def test_where_the_right_one_loads_the_case_accepts() -> None:
    """A checkpoint that the right loader loads is to be loaded; the sibling is one to be refused."""
    case = printing.case_of(_finding(inferno=_TWICE, right=_LOADS, safetensors=_LOADS))
    assert (case.expect, case.dispute) == (accept(), "")
    assert {each.id: each.expect.kind for each in corpus()}[case.sibling] == "reject"


def test_a_case_is_saved_once(tmp_path: Path) -> None:
    """The case stands behind those that were there, and a second time it is not written again."""
    path = tmp_path / "found.py"
    path.write_text("CASES = (\n)\n", encoding="utf-8")
    case = printing.case_of(_finding(inferno=_LOADS, right=_TWICE))
    printing.save([case], path)
    printing.save([case], path)
    names = dict(_NAMES)
    exec(path.read_text(encoding="utf-8"), names)  # noqa: S102 - it is our own
    assert names["CASES"] == (case,)


def test_a_module_of_another_form_is_left_alone(tmp_path: Path) -> None:
    """A module that does not end with the tuple of its cases is not written to."""
    path = tmp_path / "found.py"
    path.write_text("CASES = ()\n", encoding="utf-8")
    with pytest.raises(UsageError, match="does not end with its cases"):
        printing.save([], path)
    assert path.read_text(encoding="utf-8") == "CASES = ()\n"


def _known(name: str) -> Known:
    return next(each for each in KNOWN if each.name == name)


def test_a_known_difference_is_matched_narrowly() -> None:
    """That safetensors keeps the last of two is known where both others refuse for that reason, and not otherwise."""
    holds = _known("name-twice").holds
    assert holds((), {"inferno": _TWICE, "right": _TWICE, "safetensors": _LOADS})
    assert not holds((), {"inferno": _LOADS, "right": _TWICE, "safetensors": _LOADS})
    assert not holds((), {"inferno": _TWICE, "right": Answer("refuses", "hole"), "safetensors": _LOADS})


def test_a_choice_is_one_of_a_reason_and_a_way() -> None:
    """A deep configuration may be refused for what it is; other reasons, and other ways, are no choice."""
    holds = _known("deep-json").holds
    deep, refuses = (step("deepen_config", 200),), Answer("refuses", "config_invalid")
    assert holds(deep, {"inferno": refuses, "right": _LOADS})
    assert not holds(deep, {"inferno": Answer("refuses", "shape"), "right": _LOADS})
    assert not holds((step("set_config", "vocab_size", "3"),), {"inferno": refuses, "right": _LOADS})
    assert not holds(deep, {"inferno": _OTHER, "right": _LOADS})


def test_a_value_of_the_usual_type_is_no_choice() -> None:
    """A figure that is a number must be taken or refused by all."""
    holds = _known("another-type").holds
    answers = {"inferno": Answer("refuses", "config_value"), "right": _LOADS}
    assert holds((step("set_config", "architectures", "true"),), answers)
    assert not holds((step("set_config", "vocab_size", "7"),), answers)


def test_a_spelling_is_known_where_the_right_one_alone_takes_it() -> None:
    """-0 may be refused by all but the right loader; without it in a step, or where another one loads, it is new."""
    holds, steps = _known("minus-zero").holds, (step("add_entry", "f", '"w":{"shape":[-0]}'),)
    answers = {"inferno": Answer("refuses", "header_entry"), "right": _LOADS, "safetensors": Answer("refuses")}
    assert holds(steps, answers)
    assert not holds((step("add_entry", "f", '"w":{"shape":[0]}'),), answers)
    assert not holds(steps, {**answers, "safetensors": _LOADS})


def test_a_shape_that_torch_lacks_is_known_by_its_words() -> None:
    """Of an empty tensor with huge sizes inferno_loader may say that torch has no such shape, and nothing else."""
    holds = _known("huge-empty").holds
    told = Answer("refuses", "size_mismatch", "torch holds no tensor of this shape")
    assert holds((), {"inferno": told, "right": _LOADS, "safetensors": _LOADS})
    assert not holds((), {"inferno": Answer("refuses", "size_mismatch", "too long"), "right": _LOADS})
    assert not holds((), {"inferno": told, "right": _LOADS, "safetensors": _OTHER})


def test_every_known_difference_says_why() -> None:
    """Each has a reason in a sentence, and the address of its rule."""
    assert [each.name for each in KNOWN if not (each.reason.endswith(".") and each.url.startswith("https://"))] == []


def test_nothing_verified_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """A search in which nothing was loaded, or refused by all, does not end well; one with agreement does."""
    tally = Tally()
    monkeypatch.setattr(searching.Search, "run", lambda *_: tally)
    empty = CliRunner().invoke(main, ["search", "--examples", "1"])
    assert (empty.exit_code, "nothing was compared" in empty.output) == (1, True)
    agreed = Comparison("read_file x", {"inferno": _LOADS, "right": _LOADS})
    tally.count(Drawn(Scenario(TensorFile(())), sound=True), Outcome(comparisons=(agreed,)))
    told = CliRunner().invoke(main, ["search", "--examples", "1"])
    assert told.exit_code == 0
    assert "all load the same 1, all refuse 0" in told.output
    assert "known: name-twice: never seen" in told.output


def test_a_finding_is_told_and_ends_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """What disagrees is printed with what each reader said, and the case."""
    finding = _finding(inferno=_LOADS, right=_TWICE)

    def run(search: searching.Search, _: int) -> Tally:
        assert search._found is not None
        search._found(finding)
        return Tally(alike=1, findings=[finding])

    monkeypatch.setattr(searching.Search, "run", run)
    told = CliRunner().invoke(main, ["search"])
    assert told.exit_code == 1
    assert "read_file: it: inferno loads, right refuses (duplicate_key)" in told.output
    assert "expect=reject(Reason.DUPLICATE_KEY)," in told.output


@pytest.mark.parametrize("words", [["--examples", "0"], ["--seed", "-1"], ["--planted", "Nobody"], ["--such", "no"]])
def test_what_cannot_be_searched_is_a_usage_error(words: list[str]) -> None:
    """No examples, a seed below zero, a loader that nobody planted, an unknown option: exit 2."""
    assert CliRunner().invoke(main, ["search", *words]).exit_code == 2
