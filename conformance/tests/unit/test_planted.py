"""The planted loaders as a registry: what each declares, and that each is its base but for one method."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from conformance import planted
from conformance.corpus import corpus
from conformance.corpus.clauses import CLAUSES
from conformance.engine.claims import FEATURES, METHODS
from conformance.engine.performing import introduce
from conformance.planted.right import Right

_FOLDER = Path(planted.__file__).parent
#: What every planted loader says of itself, beside the method that it gets wrong.
_DECLARED = {"name", "clause", "level"}
_BESIDE_LEVELS = {"report", "reason"}

each_bug = pytest.mark.parametrize("bug", planted.ALL, ids=lambda bug: bug.__name__)
each_right = pytest.mark.parametrize("right", planted.RIGHT, ids=lambda right: right.__name__)


def _own(kind: type) -> set[str]:
    """What a class defines itself, without what Python adds."""
    return {name for name in vars(kind) if not (name.startswith("__") and name.endswith("__"))}


def test_there_are_enough() -> None:
    """A suite that kills a handful of bugs has shown little: each level has some, and all together are 48 and more."""
    assert len(planted.ALL) >= 48
    assert {bug.level for bug in planted.ALL} == set(METHODS)


def test_each_is_registered_once() -> None:
    """Classes and loaders have names of their own, and both registries speak of exactly the classes."""
    classes = [each.__name__ for each in (*planted.ALL, *planted.RIGHT)]
    names = [introduce(each())["name"] for each in (*planted.ALL, *planted.RIGHT)]
    assert len(set(classes)) == len(classes)
    assert len(set(names)) == len(names)
    assert list(planted.METHODS) == list(planted.CLAUSES) == [bug.__name__ for bug in planted.ALL]


def test_none_is_forgotten() -> None:
    """Every class with a clause in a module of bugs is among those that are run."""
    written = [
        node.name
        for file in sorted(_FOLDER.glob("bugs_*.py"))
        for node in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    ]
    assert sorted(written) == sorted(planted.METHODS)


@each_bug
def test_a_bug_is_one_method(bug: type[Right]) -> None:
    """A planted loader overrides one method of a right one, which has it, and nothing else."""
    (base,) = bug.__bases__
    changed = _own(bug) - _DECLARED
    assert base in planted.RIGHT
    assert len(changed) == 1, f"{bug.__name__} changes {sorted(changed)}"
    assert callable(getattr(base, changed.pop()))


@each_bug
def test_a_bug_says_where_it_is_from(bug: type[Right]) -> None:
    """The docstring names a row of the catalogue of defects, and links to the defect of a real loader."""
    text = bug.__doc__ or ""
    assert re.search(r"\b[A-L][0-9]{2}\b", text), text
    assert re.search(r"https://\S+\.\S+/\S+", text), text


@each_bug
def test_a_bug_breaks_a_clause_that_has_cases(bug: type[Right]) -> None:
    """The clause is one of the corpus, and the corpus has cases of it at the level of the bug."""
    assert bug.clause in CLAUSES
    assert any((case.clause, case.level) == (bug.clause, bug.level) for case in corpus())


@each_bug
def test_the_method_is_that_of_the_level(bug: type[Right]) -> None:
    """What is broken is the method of the level, or one of those that belong to none."""
    method = planted.METHODS[bug.__name__]
    assert method == METHODS[bug.level] or {method} == _own(bug) & _BESIDE_LEVELS
    assert callable(getattr(bug, method))


@each_right
def test_a_right_loader_offers_and_claims_everything(right: type[Right]) -> None:
    """Every level is there, and every claim is a feature; all are claimed, but for schemes that some add."""
    hello = introduce(right())
    assert hello["levels"] == list(METHODS)
    wanted = {feature for feature in FEATURES if not feature.startswith("quant:")} | {"quant:ct-int", "quant:ct-float"}
    assert wanted <= set(hello["claims"]) <= set(FEATURES)


def test_the_fakes_need_no_torch() -> None:
    """The package hands out its registries when they are asked for, and imports nothing of them before."""
    code = "import sys; from conformance.planted import family; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="no attribute 'SOME'"):
        planted.SOME  # noqa: B018 - the look-up is what is tested


def test_one_right_loader_tells_nothing() -> None:
    """An adapter need not report, nor give reasons: one that does neither is among the right ones."""
    silent = [right for right in planted.RIGHT if not (introduce(right())["reasons"] or introduce(right())["reports"])]
    assert [right.__name__ for right in silent] == ["RightBare"]


@pytest.mark.parametrize("file", sorted(_FOLDER.glob("right*.py")), ids=lambda file: file.name)
def test_the_right_loader_stands_alone(file: Path) -> None:
    """It imports no loader, and none of the generators whose truth it is held against."""
    allowed = ("conformance.engine.", "conformance.planted.right")
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        for name in names:
            assert name.split(".")[0] not in ("inferno_loader", "safetensors", "transformers"), name
            assert not name.startswith("conformance") or name.startswith(allowed), name


@pytest.mark.parametrize(
    ("value", "dtype", "wanted"),
    [
        # Above the tie by what float32 does not hold: to nearest is up, through float32 it would be down to even.
        (1 + 2**-8 + 2**-40, torch.bfloat16, 1 + 2**-7),
        (1 + 2**-11 + 2**-40, torch.float16, 1 + 2**-10),
        # Below the tie by as little: down, where through float32 it would be up to even.
        (1 + 3 * 2**-8 - 2**-40, torch.bfloat16, 1 + 2**-7),
        (-(1 + 3 * 2**-11 - 2**-40), torch.float16, -(1 + 2**-10)),
        # On the tie: to even.
        (1 + 2**-8, torch.bfloat16, 1.0),
        (1e300, torch.bfloat16, float("inf")),
        (0.1, torch.float32, 13421773 * 2.0**-27),
    ],
)
def test_a_cast_rounds_once(value: float, dtype: torch.dtype, wanted: float) -> None:
    """A float64 goes to the nearest value of the dtype asked for, and not to the nearest of its float32."""
    cast = Right().cast(torch.tensor([value], dtype=torch.float64), dtype)
    assert cast.dtype == dtype
    assert cast.item() == wanted
