"""The cases of the container leave nothing out: each place of a header in every wrong kind, each boundary of a file."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from conformance.corpus.container_parts import PLAIN, SPECS
from conformance.engine.claims import CONTAINER_DTYPES, Level
from conformance.tests.corpus_of_files import CASES, FILE, LARGE, header_of
from conformance.tools.container import Spec, header_bytes
from conformance.tools.scenario import Scenario
from conformance.tools.tensor_file import TensorFile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from conformance.engine.case import Case

_KINDS = {"NoneType", "bool", "int", "str", "list", "dict"}
#: Files of a hundred megabytes, of which nothing but the length is at issue.
_LONG = ("container/header-length-above-the-limit", "container/header-length-at-the-limit")


@dataclass(slots=True)
class _Seen:
    """What the files of the cases are, by whether they must be refused.

    Attributes:
        kinds: The kinds of JSON at each place of the headers that must be refused.
        sizes: The sizes of the files of the plain tensors that must be refused.
        lengths: Of the headers that must be read, the length modulo 8 and whether spaces follow the JSON.
    """

    kinds: dict[str, set[str]] = field(default_factory=dict)
    sizes: set[int] = field(default_factory=set)
    lengths: set[tuple[int, bool]] = field(default_factory=set)

    def at(self, place: str, value: Any) -> None:
        """Notes the kind of a value."""
        self.kinds.setdefault(place, set()).add(type(value).__name__)


def _cases() -> Iterator[Case]:
    skipped = {*LARGE, *_LONG}
    yield from (case for case in CASES.values() if case.area == "container" and case.id not in skipped)


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> _Seen:
    """Every small file of the cases of the container, looked at once."""
    found = _Seen()
    for case in _cases():
        place = tmp_path_factory.mktemp("case")
        case.recipe.build(place)
        _look(found, case, place / FILE)
    return found


def _look(found: _Seen, case: Case, path: Path) -> None:
    refused = not case.expect.answers
    if refused and isinstance(case.recipe, Scenario) and case.recipe.base == PLAIN.base:
        found.sizes.add(path.stat().st_size)
    if path.stat().st_size < 8:
        return
    text, length = header_of(path)
    if not refused:
        found.lengths.add((length % 8, text.endswith(b" ")))
        return
    try:
        header = json.loads(text.decode())
    except (ValueError, RecursionError):
        return
    found.at("header", header)
    for name, value in header.items() if isinstance(header, dict) else ():
        _look_at_member(found, name, value)


def _look_at_member(found: _Seen, name: str, value: Any) -> None:
    place = "metadata" if name == "__metadata__" else "entry"
    found.at(place, value)
    for key, inner in value.items() if isinstance(value, dict) else ():
        found.at(f"{place} value" if place == "metadata" else key, inner)
        for item in inner if isinstance(inner, list) and key in {"shape", "data_offsets"} else ():
            found.at(f"item of {key}", item)


@pytest.mark.parametrize(
    ("place", "kinds"),
    [
        ("header", _KINDS - {"bool"}),
        ("entry", _KINDS),
        ("dtype", _KINDS),
        ("shape", _KINDS),
        ("data_offsets", _KINDS),
        ("item of shape", _KINDS - {"dict"} | {"float"}),
        ("item of data_offsets", _KINDS - {"dict"} | {"float"}),
        # That they are null leaves a choice.
        ("metadata", _KINDS - {"NoneType"}),
        ("metadata value", _KINDS | {"float"}),
    ],
)
def test_each_place_is_of_every_wrong_kind(seen: _Seen, place: str, kinds: set[str]) -> None:
    """Among the headers that must be refused, each place of a header holds every kind of JSON."""
    assert kinds - seen.kinds[place] == set()


@pytest.mark.parametrize("absent", ["dtype", "shape", "data_offsets"])
def test_each_field_is_absent_once(absent: str, tmp_path: Path) -> None:
    """One of the files that must be refused has an entry that lacks this field alone."""
    others = {"dtype", "shape", "data_offsets"} - {absent}
    lacking = []
    for case in (case for case in _cases() if case.clause == "container.header-entry" and not case.expect.answers):
        place = tmp_path / case.id.replace("/", "-")
        place.mkdir()
        case.recipe.build(place)
        entries = json.loads(header_of(place / FILE)[0]).values()
        lacking += [case.id for entry in entries if isinstance(entry, dict) and entry.keys() == others]
    assert lacking


def test_a_file_ends_at_each_boundary(seen: _Seen) -> None:
    """The plain file is refused where it ends in its length, in and behind its header, and at each of its tensors."""
    start = 8 + len(header_bytes(SPECS, "given"))
    ends = [start + sum(spec.nbytes for spec in SPECS[: count + 1]) for count in range(len(SPECS))]
    whole = ends.pop()
    wanted = {0, 1, 7, 8, 9, start - 1, start, start + 1, *ends, ends[0] - 1, ends[1] + 1, whole - 1, whole + 1}
    assert wanted - seen.sizes == set()


def test_a_header_has_every_length_modulo_8(seen: _Seen) -> None:
    """With spaces behind the JSON, and without: all sixteen are to be read."""
    assert seen.lengths >= {(remainder, padded) for remainder in range(8) for padded in (True, False)}


def _specs(dtype: str) -> list[Spec]:
    """The tensors of a dtype in the files that must be read, and that no step has changed."""
    bases = [
        case.recipe.base
        for case in _cases()
        if case.level is Level.CONTAINER and case.expect.kind == "accept" and isinstance(case.recipe, Scenario)
    ]
    return [spec for base in bases if isinstance(base, TensorFile) for spec in base.specs if spec.dtype == dtype]


@pytest.mark.parametrize("dtype", CONTAINER_DTYPES)
def test_each_dtype_has_every_rank(dtype: str) -> None:
    """Ranks 0, 1, 2, 4 and 8, and an empty tensor along each of four axes. No scalar is smaller than a byte."""
    shapes = {spec.shape for spec in _specs(dtype)}
    whole = {len(shape) for shape in shapes if math.prod(shape)}
    assert whole >= {1, 2, 4, 8} | ({0} if dtype[:2] not in {"F4", "F6"} else set())
    assert {shape.index(0) for shape in shapes if len(shape) == 4 and 0 in shape} == {0, 1, 2, 3}
