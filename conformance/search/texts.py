"""Strategies for texts that a JSON parser, a path or a number may be misled by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st

from conformance.search.bases import DTYPES, SINGLE, names

if TYPE_CHECKING:
    from collections.abc import Callable

    from hypothesis.strategies import SearchStrategy

#: How JSON can spell a number that is n, or nearly: only the first is an integer that is not negative.
_SPELLINGS: tuple[Callable[[int], str], ...] = (
    lambda n: f"{n}.0",
    lambda n: f"{n}e0",
    lambda n: f"-{n}",
    lambda n: f"0{n}",
    lambda n: f"+{n}",
    lambda n: f'"{n}"',
    lambda n: f"[{n}]",
    lambda n: f"{n + 1}",
    lambda n: f"{n + 2**64}",
    lambda _: str(2**53 + 1),
    lambda _: str(2**63),
    lambda _: str(2**64 - 1),
    lambda _: "true",
    lambda _: "null",
    lambda _: "1e400",
)
#: Values as JSON text: of every type, at the limits of numbers, and some that are no JSON at all.
_VALUES = (
    "null", "true", "false", "0", "1", "-0", "-1", "2", "1.0", "1e2", "1e400", "NaN", "9007199254740993",
    "9223372036854775808", "18446744073709551616", '""', '"pt"', '"0"', '"\\u0000"', '"\\ud800"', "[]", "[0]", "[0,0]",
    "[1,2]", "[[]]", "{}", '{"format":"pt"}', '{"a":"b","a":"c"}', '{"a":1}', '{"total_size":"1"}', "[0,4]", "[4,0]",
    "[0,18446744073709551615,2]", "[18446744073709551615,2,0]",
)  # fmt: skip
_BLANKS = ("", " ", "       ", "\n", "\t", "\r\n", "\0", "\f", "\ufeff", "\u00a0", " \n ", "x", "{}")
_FILES = ("../x.safetensors", "a/../b.safetensors", "MODEL.safetensors", "x.bin", "", ".", "\u00e9")


def respelt(number: int) -> SearchStrategy[str]:
    """Other spellings of a number, and numbers beside it."""
    return st.sampled_from(_SPELLINGS).map(lambda spell: spell(number))


def json_values(*, strict: bool = False) -> SearchStrategy[str]:
    """A value as JSON text; with `strict` one that Python's parser takes."""
    odd = st.sampled_from(_VALUES)
    dtypes = st.sampled_from(DTYPES).map(lambda dtype: f'"{dtype}"')
    lists = st.lists(st.integers(-1, 70), max_size=3).map(lambda numbers: str(numbers).replace(" ", ""))
    found = st.one_of(odd, dtypes, lists)
    return found.filter(lambda text: text != "1e400" and "ud800" not in text) if strict else found


def blanks() -> SearchStrategy[str]:
    """What may stand before and behind a header: white space of JSON and of others, and no white space."""
    return st.one_of(st.sampled_from(_BLANKS), st.integers(0, 40).map(" ".__mul__))


def file_names() -> SearchStrategy[str]:
    """Names of files. One leads out of the directory, into the one above, which the search removes as well."""
    return st.sampled_from((*_FILES, SINGLE, "model-00001-of-00002.safetensors", "consolidated.safetensors"))


def placed_safely(text: str) -> bool:
    """Whether a text, taken for a file name, stays where the search removes what it built."""
    return not text.startswith(("/", "~")) and ".." not in text


def words() -> SearchStrategy[str]:
    """Any text that a way of editing may be handed."""
    return st.one_of(names(), json_values(), blanks()).filter(placed_safely)
