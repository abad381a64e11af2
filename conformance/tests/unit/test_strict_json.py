"""JSON as other parsers read it: what Python's own parser would let pass."""

from __future__ import annotations

from typing import Any

import pytest

from inferno_loader.strict_json import JsonObject, depth, parse_json

pytestmark = pytest.mark.torch_free


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b"{}", {}),
        (
            b' {"a": [1, -2, 3.5, 1e3, true, false, null, "b"]}\r\n\t',
            {"a": [1, -2, 3.5, 1000.0, True, False, None, "b"]},
        ),
        (b'"gr\\u00f6\\u00dfe \xcf\x89"', "größe ω"),
        (b'"\\ud83e\\udd84 \xf0\x9f\xa6\x84"', "\U0001f984 \U0001f984"),
        (b'"\\\\ud800 \\"\\\\"', '\\ud800 "\\'),
        (b"18446744073709551615", 2**64 - 1),
        (b"1" + b"0" * 308, 10**308),
        (b"1e-999", 0.0),
        (b"0." + b"9" * 5000, 1.0),
    ],
    ids=[
        "empty",
        "all kinds",
        "unicode",
        "pair",
        "escaped backslash",
        "2^64-1",
        "10^308",
        "underflow",
        "long fraction",
    ],
)
def test_values_are_those_that_the_text_spells(text: bytes, value: object) -> None:
    """What RFC 8259 has is read exactly: integers stay integers, and pairs of surrogates are one character."""
    parsed = parse_json(text)
    assert parsed == value
    assert type(parsed) is (JsonObject if isinstance(value, dict) else type(value))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"", "Expecting value"),
        (b"{", "property name"),
        (b"{} x", "Extra data"),
        (b"\xef\xbb\xbf{}", "BOM"),
        (b"\xff", "invalid start byte"),
        (b'"\xed\xa0\x80"', "invalid continuation byte"),
        (b"NaN", "NaN is no JSON value"),
        (b"[Infinity]", "Infinity is no JSON value"),
        (b"-Infinity", "-Infinity is no JSON value"),
        (b"1e999", "out of range"),
        (b"-1.5e400", "out of range"),
        (b"9" * 310, "out of range"),
        (b"-" + b"9" * 10_000, "out of range"),
        (b'"\\ud800"', "half of a surrogate pair"),
        (b'["\\uDC00\\uD800"]', "half of a surrogate pair"),
        (b'{"\\udbff\\ue000": 1}', "half of a surrogate pair"),
        (b'"\\\\\\ud800"', "half of a surrogate pair"),
        (b'{"a": "\\ud800", "a": "b"}', "half of a surrogate pair"),
        (b"[" * 1_000_000, "nested too deeply"),
        (b'{"a":' * 500_000, "nested too deeply"),
    ],
    ids=lambda value: repr(value[:16]) if isinstance(value, bytes) else "",
)
def test_what_readers_disagree_about_is_refused(text: bytes, problem: str) -> None:
    """Constants, numbers out of range, half characters and endless nesting are errors, and so is what is no JSON."""
    with pytest.raises(ValueError, match=problem):
        parse_json(text)


@pytest.mark.parametrize(("text", "sign"), [(b"-0", -1), (b"0", 1), (b"-0.0", -1)])
def test_minus_zero_is_no_integer(text: bytes, sign: int) -> None:
    """Other parsers read -0 as a float, so that it is no size; 0 is one."""
    value = parse_json(text)
    assert value == 0
    assert type(value) is (int if sign > 0 else float)


@pytest.mark.parametrize(
    ("text", "duplicates", "value"),
    [
        (b'{"a":1,"b":2}', (), {"a": 1, "b": 2}),
        (b'{"a":1,"a":2}', ("a",), {"a": 2}),
        (b'{"a":1,"b":2,"a":3,"b":4,"a":5}', ("a", "b", "a"), {"a": 5, "b": 4}),
        (b'{"a":1,"\\u0061":2}', ("a",), {"a": 2}),
        (b'{"":1,"":2}', ("",), {"": 2}),
    ],
    ids=["none", "one", "several", "spelled with an escape", "empty"],
)
def test_an_object_remembers_repeated_keys(text: bytes, duplicates: tuple[str, ...], value: dict[str, int]) -> None:
    """The last value counts, and each repetition is on record, in order."""
    parsed = parse_json(text)
    assert (parsed.duplicates, dict(parsed)) == (duplicates, value)


def test_every_object_remembers_its_own_keys() -> None:
    """Repetition inside does not stain the object around it."""
    parsed = parse_json(b'{"a":{"b":1,"b":2},"c":[{"d":1,"d":2}]}')
    assert (parsed.duplicates, parsed["a"].duplicates, parsed["c"][0].duplicates) == ((), ("b",), ("d",))


@pytest.mark.parametrize(
    ("value", "levels"),
    [(1, 0), ("[[", 0), ([], 1), ({}, 1), ([1, [2], {"a": [3]}], 3), ({"a": {"b": {}}, "c": [[[[]]]]}, 5)],
    ids=str,
)
def test_depth_counts_the_levels(value: Any, levels: int) -> None:
    """The longest way down counts, through lists and objects alike."""
    assert depth(value) == levels


def test_depth_needs_no_recursion() -> None:
    """A value deeper than Python's stack is counted all the same."""
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    assert depth(value) == 100_001
