"""The error tree: it is the one that its module draws, and every error tells all it knows, also after a journey."""

from __future__ import annotations

import copy
import inspect
import pickle
import re
from typing import TYPE_CHECKING, Any

import pytest

from inferno_loader import errors
from inferno_loader.errors import ConfigValueError, InfernoError, MissingTensorError, PlanError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.torch_free

_OUTLINE = re.compile(r"^ {4}(?P<rails>[│├└─ ]*)(?P<name>[A-Z]\w+Error)\s+(?P<says>.*)$", re.MULTILINE)
_CODE = re.compile(r"[a-z_]+\.[a-z_]+")

CLASSES = tuple(value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, InfernoError))
LEAVES = tuple(kind for kind in CLASSES if not kind.__subclasses__())
FACTS: dict[str, Any] = {
    "path": "model-00001-of-00002.safetensors",
    "tensor": "model.norm.weight",
    "expected": "shape [2048]",
    "actual": "shape [1024]",
    "remedy": "fetch the file again",
    "key": "rope_theta",
    "names": ("a.weight", "b.weight"),
    "problems": (InfernoError("one"), InfernoError("two")),
}
SHOWN = ("path", "tensor", "expected", "actual", "remedy")


def outline() -> Iterator[tuple[str, str | None, str | None]]:
    """Name, parent and code of each line of the drawing."""
    above: list[str] = []
    for line in _OUTLINE.finditer(errors.__doc__ or ""):
        depth = len(line["rails"]) // 4
        del above[depth:]
        code = _CODE.match(line["says"])
        yield line["name"], above[-1] if above else None, code and code[0]
        above.append(line["name"])


def build(kind: type[InfernoError]) -> InfernoError:
    """An error of `kind` with every fact that its constructor takes."""
    wanted = list(inspect.signature(kind).parameters)[1:]
    return kind("it is wrong", **{name: FACTS[name] for name in wanted})


def facts(error: InfernoError) -> dict[str, object]:
    """What an error carries, with the errors inside it written out, because errors do not compare."""
    inner = [facts(problem) for problem in getattr(error, "problems", ())]
    return {**vars(error), "problems": inner, "kind": type(error), "args": error.args, "text": str(error)}


def test_outline_draws_every_class_under_its_parent() -> None:
    """The drawing at the head of the module holds each class once, under the class that it inherits from."""
    drawn = [(name, parent) for name, parent, _ in outline()]
    built = [(kind.__name__, None if kind is InfernoError else kind.__bases__[0].__name__) for kind in CLASSES]
    assert drawn == built


def test_outline_states_the_code_of_every_leaf() -> None:
    """The drawing gives each class that is raised by itself a code."""
    assert {name for name, _, code in outline() if code is None}.isdisjoint(kind.__name__ for kind in LEAVES)


@pytest.mark.parametrize(("name", "code"), [(name, code) for name, _, code in outline() if code])
def test_code_is_the_one_in_the_outline(name: str, code: str) -> None:
    """A class has the code that the drawing shows."""
    assert vars(errors)[name].code == code


def test_codes_are_unique() -> None:
    """No two classes share a code, so that a code names one class."""
    codes = [kind.code for kind in CLASSES]
    assert sorted(set(codes)) == sorted(codes)


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_class_has_its_own_code_and_docstring(kind: type[InfernoError]) -> None:
    """Each class states a code of its own, and says in a whole sentence of its own when it is raised."""
    assert "code" in vars(kind)
    assert re.match(r"[A-Z][^\n]*\.(\n|$)", vars(kind)["__doc__"])


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_error_carries_its_facts(kind: type[InfernoError]) -> None:
    """Every fact given to the constructor is an attribute of the same name."""
    given = {name: FACTS[name] for name in list(inspect.signature(kind).parameters)[1:]}
    carried = vars(build(kind))
    assert carried == {**dict.fromkeys(SHOWN), "problem": "it is wrong", **given}


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_message_shows_code_problem_and_facts(kind: type[InfernoError]) -> None:
    """The message opens with the code and the problem, and has a line for each fact that the error carries."""
    first, *rest = str(build(kind)).splitlines()
    carried = [str(FACTS[name]) for name in SHOWN if name in inspect.signature(kind).parameters]
    assert first == f"[{kind.code}] it is wrong"
    assert [line.split(": ", 1)[1] for line in rest] == carried


def test_message_names_each_fact() -> None:
    """A line begins with the word for its fact, so that a reader knows what he is told: a file, a tensor, a remedy."""
    error = InfernoError("it is wrong", path="a.safetensors", tensor="w", expected=1, actual=2, remedy="write it again")
    assert str(error).splitlines() == [
        "[error] it is wrong",
        "  file: a.safetensors",
        "  tensor: w",
        "  expected: 1",
        "  actual: 2",
        "  remedy: write it again",
    ]


def test_message_leaves_out_what_is_not_known() -> None:
    """A fact that is not given makes no line."""
    assert str(InfernoError("it is wrong", actual=0)) == "[error] it is wrong\n  actual: 0"


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("protocol", [0, pickle.HIGHEST_PROTOCOL])
def test_error_survives_pickling(kind: type[InfernoError], protocol: int) -> None:
    """An error comes out of another process with its class, its facts and its message."""
    error = build(kind)
    assert facts(pickle.loads(pickle.dumps(error, protocol))) == facts(error)  # noqa: S301  # pickled one line above


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy], ids=["copy", "deepcopy"])
@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_error_survives_copying(kind: type[InfernoError], duplicate: Callable[[InfernoError], InfernoError]) -> None:
    """A copy of an error has its class, its facts and its message."""
    error = build(kind)
    assert facts(duplicate(error)) == facts(error)


def test_names_and_problems_become_tuples() -> None:
    """A plan error keeps its own copy of the lists that it was given."""
    names = ["a.weight"]
    error = MissingTensorError("one is missing", names=names)
    names.append("b.weight")
    assert (error.names, error.problems) == (("a.weight",), ())


def test_config_error_asks_for_the_key() -> None:
    """An error about a value of the configuration cannot be made without the key."""
    with pytest.raises(TypeError, match="key"):
        ConfigValueError("it is wrong")  # type: ignore[call-arg]


def test_plan_errors_are_caught_by_their_root() -> None:
    """Catching the root catches an error of any kind."""
    with pytest.raises(InfernoError, match="several") as caught:
        raise PlanError("several things are wrong", problems=FACTS["problems"])
    assert [str(problem) for problem in caught.value.problems] == ["[error] one", "[error] two"]  # type: ignore[attr-defined]
