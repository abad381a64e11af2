"""The entries of a header: names, fields and dtypes that are refused, and what the error says."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from conformance.tests.support import BITS, entry, payload, refused, write
from inferno_loader.errors import DuplicateNameError, HeaderEntryError, UnknownDtypeError
from inferno_loader.header import read_header

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.torch_free

_ONE = {"w": entry("F32", [1], 0, 4)}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (entry("F32", [2, 3], 0, 24), entry("F32", [3, 2], 0, 24)),
        (entry("I32", [6], 0, 24), entry("F32", [6], 0, 24)),
        (entry("F32", [0], 0, 0), entry("F32", [6], 0, 24)),
        (entry("F32", [6], 0, 24), entry("F32", [0], 0, 0)),
        (entry("F32", [3], 0, 12), entry("F32", [3], 12, 24)),
        (entry("F32", [6], 0, 24), entry("F32", [6], 0, 24)),
    ],
    ids=["other shape", "other dtype", "first empty", "last empty", "disjoint", "equal"],
)
@pytest.mark.parametrize("again", ["w", "\\u0077"], ids=["as is", "escaped"])
def test_a_name_given_twice(tmp_path: Path, first: object, second: object, again: str) -> None:
    """Parsers differ in which of two equal keys they take, so that one file would be two models."""
    text = f'{{"w":{json.dumps(first)},"{again}":{json.dumps(second)}}}'
    path = write(tmp_path / "x.safetensors", text.encode(), payload(24))
    refused(
        lambda: read_header(path),
        DuplicateNameError,
        code="header.duplicate",
        path=path,
        tensor="w",
        expected="each name once",
        actual="1 repeated: 'w'",
        remedy="write the file again",
    )


def test_metadata_given_twice(tmp_path: Path) -> None:
    """The reserved name is no exception."""
    path = write(tmp_path / "x.safetensors", b'{"__metadata__":{},"__metadata__":{}}')
    refused(
        lambda: read_header(path),
        DuplicateNameError,
        code="header.duplicate",
        path=path,
        tensor="__metadata__",
        expected="each name once",
        actual="'__metadata__'",
        remedy="write the file again",
    )


@pytest.mark.parametrize("field", ['"dtype":"F32"', '"shape":[1]', '"data_offsets":[0,4]', '"x":1'])
def test_a_field_given_twice(tmp_path: Path, field: str) -> None:
    """Within an entry as well: known fields and unknown ones."""
    text = f'{{"w":{{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1,{field}}}}}'
    path = write(tmp_path / "x.safetensors", text.encode(), payload(4))
    refused(
        lambda: read_header(path),
        DuplicateNameError,
        code="header.duplicate",
        path=path,
        tensor="w",
        expected="each field once",
        actual=field.split('"')[1],
        remedy="write the file again",
    )


@pytest.mark.parametrize(
    ("metadata", "actual"),
    [
        ([], "list"),
        ("pt", "str"),
        (3, "int"),
        ({"format": "pt", "step": 3}, "'step' holds int"),
        ({"a": {"b": "c"}}, "'a' holds"),
        ({"": None}, "'' holds NoneType"),
        (entry("F32", [1], 0, 4), "'shape' holds list"),
    ],
    ids=["list", "string", "number", "number inside", "object inside", "null under no name", "a tensor of that name"],
)
def test_metadata_that_are_no_map_of_strings(tmp_path: Path, metadata: object, actual: str) -> None:
    """The error names the key; a tensor may not bear the reserved name."""
    path = write(tmp_path / "x.safetensors", {"__metadata__": metadata, **_ONE}, payload(4))
    refused(
        lambda: read_header(path),
        HeaderEntryError,
        code="header.entry",
        path=path,
        tensor="__metadata__",
        expected="strings",
        actual=actual,
        remedy="write the file again",
    )


@pytest.mark.parametrize(
    ("change", "expected", "actual"),
    [
        ({"shape": [1.0]}, "shape: a list of integers", "[1.0]"),
        ({"shape": [True]}, "shape: a list of integers", "[True]"),
        ({"shape": ["1"]}, "shape: a list of integers", "['1']"),
        ({"shape": [-1]}, "shape: a list of integers", "[-1]"),
        ({"shape": [None]}, "shape: a list of integers", "[None]"),
        ({"shape": [[1]]}, "shape: a list of integers", "[[1]]"),
        ({"shape": [2**64]}, "0 to 2^64-1", str(2**64)),
        ({"shape": 1}, "shape: a list of integers", "1"),
        ({"shape": None}, "shape: a list of integers", "None"),
        ({"shape": {"0": 1}}, "shape: a list of integers", "{'0': 1}"),
        ({"data_offsets": [0.0, 4.0]}, "data_offsets: a list of integers", "[0.0, 4.0]"),
        ({"data_offsets": [False, 4]}, "data_offsets: a list of integers", "[False, 4]"),
        ({"data_offsets": ["0", "4"]}, "data_offsets: a list of integers", "['0', '4']"),
        ({"data_offsets": [-4, 0]}, "data_offsets: a list of integers", "[-4, 0]"),
        ({"data_offsets": [0, 2**64]}, "0 to 2^64-1", str(2**64)),
        ({"data_offsets": [0]}, "[start, end]", "[0]"),
        ({"data_offsets": []}, "[start, end]", "[]"),
        ({"data_offsets": [0, 4, 8]}, "[start, end]", "[0, 4, 8]"),
        ({"data_offsets": [4, 0]}, "start <= end", "[4, 0]"),
        ({"data_offsets": "0,4"}, "data_offsets: a list of integers", "'0,4'"),
    ],
    ids=lambda value: json.dumps(value) if isinstance(value, dict) else "",
)
def test_a_field_that_is_no_list_of_sizes(tmp_path: Path, change: dict[str, Any], expected: str, actual: str) -> None:
    """Sizes and offsets are integers from 0 to 2^64-1 as JSON spells them, and offsets are two, in order."""
    path = write(tmp_path / "x.safetensors", {"a": entry("F32", [1], 0, 4), "w": {**_ONE["w"], **change}}, payload(4))
    refused(
        lambda: read_header(path),
        HeaderEntryError,
        code="header.entry",
        path=path,
        tensor="w",
        expected=expected,
        actual=actual,
        remedy="write it again",
    )


@pytest.mark.parametrize(
    "text",
    [b"[1e0]", b"[-0]", b"[1E+0]", b"[" * 800 + b"]" * 800, b"[" + b"1," * 100_000 + b"-1]"],
    ids=["exponent", "minus zero", "signed exponent", "nested", "long"],
)
def test_a_number_that_only_looks_like_a_size(tmp_path: Path, text: bytes) -> None:
    """What other parsers take for a float is none, and what is quoted of a huge value is short."""
    header = b'{"w":{"dtype":"F32","shape":' + text + b',"data_offsets":[0,4]}}'
    path = write(tmp_path / "x.safetensors", header, payload(4))
    error = refused(
        lambda: read_header(path),
        HeaderEntryError,
        code="header.entry",
        path=path,
        tensor="w",
        expected="shape: a list of integers",
        actual="[",
        remedy="write it again",
    )
    assert len(str(error)) < 1000


@pytest.mark.parametrize("value", [None, [], "F32", 3, [["dtype", "F32"]], ["F32", [1], [0, 4]]], ids=json.dumps)
def test_an_entry_that_is_no_object(tmp_path: Path, value: object) -> None:
    """An entry is an object. The reference also takes its fields as a list, as its JSON library happens to do."""
    path = write(tmp_path / "x.safetensors", {"w": value}, payload(4))
    refused(
        lambda: read_header(path),
        HeaderEntryError,
        code="header.entry",
        path=path,
        tensor="w",
        expected="an object",
        actual=type(value).__name__,
        remedy="write it again",
    )


@pytest.mark.parametrize("field", ["dtype", "shape", "data_offsets"])
def test_a_field_that_is_missing(tmp_path: Path, field: str) -> None:
    """Each of the three fields must be there."""
    entries = {"w": {key: value for key, value in _ONE["w"].items() if key != field}}
    path = write(tmp_path / "x.safetensors", entries, payload(4))
    refused(
        lambda: read_header(path),
        HeaderEntryError,
        code="header.entry",
        path=path,
        tensor="w",
        expected=field,
        actual=f"no {field}",
        remedy="write it again",
    )


@pytest.mark.parametrize(
    "value",
    ["F7", "f32", " F32", "F32\0", "", "float32", None, 32, ["F32"], {"F32": None}, json.loads("[" * 800 + "]" * 800)],
    ids=lambda value: json.dumps(value)[:20],
)
def test_a_dtype_that_the_format_lacks(tmp_path: Path, value: object) -> None:
    """Dtypes are spelled as the format spells them; the error names the tensor, the word, and what there is."""
    path = write(tmp_path / "x.safetensors", {"w": {**_ONE["w"], "dtype": value}}, payload(4))
    error = refused(
        lambda: read_header(path),
        UnknownDtypeError,
        code="header.dtype",
        path=path,
        tensor="w",
        expected="F32",
        actual=repr(value)[:6],
        remedy="update",
    )
    assert set(str(error.expected).split()) == set(BITS)
    assert len(str(error)) < 1000
