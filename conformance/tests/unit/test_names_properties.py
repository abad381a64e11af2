"""Properties of the name maps over generated names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inferno_loader.errors import TensorNameError
from inferno_loader.names import DIALECTS, explain, lookup, map_weight_name, suggest, translate
from inferno_loader.names.tables import LAYER, TABLES

if TYPE_CHECKING:
    from inferno_loader.names import Dialect

pytestmark = pytest.mark.torch_free

# The machine may be busy: no property is about time.
patient = settings(deadline=None)

dialects = st.sampled_from(DIALECTS)
layers = st.integers(0, 999_999_999).map(str)
known_suffixes = st.sampled_from(["weight", "bias", "weight_scale", "qweight", "weight.absmax", "SCB"])
parts = st.text(min_size=1, max_size=8).filter(lambda part: "." not in part)
suffixes = known_suffixes | st.lists(parts, min_size=1, max_size=4).map(".".join)


@st.composite
def table_names(draw: st.DrawFn, dialect: Dialect) -> str:
    """A name of a row of the table of `dialect`, with any layer and, for a module, any suffix."""
    row = draw(st.sampled_from(TABLES[dialect]))
    name = row.name.replace(LAYER, draw(layers))
    return name if row.whole else f"{name}.{draw(suffixes)}"


@st.composite
def damaged_names(draw: st.DrawFn) -> str:
    """A name of a table with some of its characters cut out, and others put in their place."""
    name = draw(dialects.flatmap(table_names))
    start, end = sorted(draw(st.tuples(st.integers(0, len(name)), st.integers(0, len(name)))))
    return name[:start] + draw(st.text(alphabet="0123456789._-modelayrsx\u0967", max_size=6)) + name[end:]


any_names = st.text() | damaged_names() | dialects.flatmap(table_names)


@patient
@given(st.data(), dialects, dialects)
def test_there_and_back_is_the_identity(data: st.DataObject, source: Dialect, target: Dialect) -> None:
    """A name of any table comes back from any other dialect as it went."""
    name = data.draw(table_names(source))
    there = translate(name, source, target)
    assert translate(there, target, source) == name
    assert lookup(name, source, target) == there


@patient
@given(st.data(), dialects, dialects, dialects)
def test_the_way_does_not_matter(data: st.DataObject, source: Dialect, middle: Dialect, target: Dialect) -> None:
    """By way of a third dialect the result is the same."""
    name = data.draw(table_names(source))
    assert translate(translate(name, source, middle), middle, target) == translate(name, source, target)


@patient
@given(st.data(), dialects, dialects)
def test_translation_is_injective(data: st.DataObject, source: Dialect, target: Dialect) -> None:
    """Two names of one dialect are two names in every other."""
    one, other = data.draw(table_names(source)), data.draw(table_names(source))
    assert (one == other) == (translate(one, source, target) == translate(other, source, target))


@patient
@given(table_names("huggingface"))
def test_the_quick_map_is_the_table(name: str) -> None:
    """`map_weight_name` is the strict translation wherever there is one, and leaves Inferno names alone."""
    mapped = map_weight_name(name)
    assert mapped == translate(name, "huggingface", "inferno")
    assert map_weight_name(mapped) == mapped


@patient
@given(any_names)
def test_any_text_is_a_name_or_an_error(name: str) -> None:
    """Whatever the text, the map gives a text or a `TensorNameError`: ``model.`` dropped where no row matches."""
    try:
        mapped = map_weight_name(name)
    except TensorNameError as error:
        assert error.tensor == (name or None)  # noqa: PT017 - any other exception fails the test
    else:
        assert mapped == (lookup(name, "huggingface", "inferno") or name.removeprefix("model."))


@patient
@given(any_names, dialects, dialects)
def test_any_text_translates_or_is_refused(name: str, source: Dialect, target: Dialect) -> None:
    """Strict translation and `lookup` agree on every text, and the explanation gives the same result."""
    found = lookup(name, source, target)
    if found is None:
        with pytest.raises(TensorNameError):
            translate(name, source, target)
    else:
        assert translate(name, source, target) == found
        assert explain(name, source, target).result == found


@patient
@given(any_names, dialects)
def test_a_suggestion_is_always_a_name(name: str, dialect: str) -> None:
    """What is suggested is in the table, and never the name itself."""
    near = suggest(name, dialect)
    if near is not None:
        assert translate(near, dialect, dialect) == near
        assert near != name


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_rows_of_a_table_are_prefix_free(dialect: Dialect) -> None:
    """No module lies inside another, and no tensor inside a module: so a name has one reading."""
    rows = TABLES[dialect]
    modules = [row.name for row in rows if not row.whole]
    assert len({row.name for row in rows}) == len({row.huggingface for row in rows}) == len(rows)
    assert not [(one.name, other) for one in rows for other in modules if one.name.startswith(f"{other}.")]


def test_the_tables_cover_the_same_tensors() -> None:
    """Every dialect has a row for every module and tensor of the others, with a layer or without."""
    names = {row.huggingface: (row.whole, LAYER in row.name) for row in TABLES["huggingface"]}
    for table in TABLES.values():
        assert {row.huggingface: (row.whole, LAYER in row.name) for row in table} == names
