"""Strategies for the entries of a header as text: what is misspelt there, another JSON library may well read."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from conformance.search.bases import DTYPES, names
from conformance.search.texts import json_values, respelt

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn, SearchStrategy

_NUMBER = re.compile(r"(?<=[\[,])[0-9]+(?=[\],])")


def edited_entries(entry: str) -> SearchStrategy[str]:
    """The text of an entry, ``"name":{...}``, with one thing changed."""
    return st.one_of(_with_number(entry), _with_member(entry), _with_word(entry), _twice(entry), _renamed(entry))


@st.composite
def _with_number(draw: DrawFn, entry: str) -> str:
    found = list(_NUMBER.finditer(entry))
    one = draw(st.sampled_from(found))
    return entry[: one.start()] + draw(respelt(int(one[0]))) + entry[one.end() :]


@st.composite
def _with_member(draw: DrawFn, entry: str) -> str:
    """One more member in the entry: a field again, or one that the format does not have."""
    field = draw(st.sampled_from(("dtype", "shape", "data_offsets", "note", "\\u0064type")))
    member = f'"{field}":{draw(json_values())}'
    head, brace, rest = entry.rpartition('{"dtype"')
    return f'{head}{{{member},"dtype"{rest}' if brace and draw(st.booleans()) else f"{entry[:-1]},{member}}}"


@st.composite
def _with_word(draw: DrawFn, entry: str) -> str:
    """Another dtype, in capitals or not, or as an escape; a field by another name."""
    old = draw(st.sampled_from(('"dtype":"', '"shape":', '"data_offsets":')))
    new = draw(
        st.sampled_from((old.upper(), old.replace("e", "\\u0065"), old.replace(":", " : "), old.replace('"', "")))
    )
    dtype = draw(st.sampled_from((*DTYPES, "f32", "BF17", "F32 ", "")))
    other = re.sub(r'"dtype":"[^"]*"', f'"dtype":"{dtype}"', entry)
    return draw(st.sampled_from((entry.replace(old, new), other)))


@st.composite
def _twice(draw: DrawFn, entry: str) -> str:
    """The entry stands there again, as it is or with something changed."""
    again = draw(st.one_of(st.just(entry), _with_number(entry), _with_word(entry)))
    return f"{entry},{again}"


@st.composite
def _renamed(draw: DrawFn, entry: str) -> str:
    """The tensor has another name: one that the format keeps, half a surrogate pair, its own by an escape."""
    body = entry[entry.rindex(':{"dtype"') :]
    odd = ('"__metadata__"', '"\\ud800"', '"\\ud83d\\ude00"', '"\\u0061.weight"', '"a\nb"', '"\\x"', "w", "'w'")
    return draw(st.one_of(st.sampled_from(odd), names().map(json.dumps))) + body


def added_entries(end: int) -> SearchStrategy[str]:
    """The text of one more entry. Where it is sound, it is empty, and lies at the `end` of the data or within."""
    places = st.sampled_from(sorted({0, end}))
    shapes = st.sampled_from(
        ("[0]", "[0,3]", "[2,0]", "[18446744073709551615,0]", "[0,4294967296,4294967296]", "[1]", "[]")
    )
    sound = st.builds(_entry, names(), st.sampled_from(DTYPES), shapes, places)
    other = st.builds(lambda name, value: f"{json.dumps(name)}:{value}", names(), json_values())
    metadata = json_values().map(lambda value: f'"__metadata__":{value}')
    return st.one_of(sound, sound.flatmap(edited_entries), other, metadata)


def _entry(name: str, dtype: str, shape: str, at: int) -> str:
    return f'{json.dumps(name)}:{{"dtype":"{dtype}","shape":{shape},"data_offsets":[{at},{at}]}}'
