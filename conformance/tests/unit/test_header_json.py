"""The length word, and the JSON behind it: what is refused before any tensor is looked at."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING

import pytest

from conformance.tests.support import payload, refused, write, write_sparse
from inferno_loader.errors import HeaderJsonError, HeaderTooLargeError, NotSafetensorsError, TruncatedFileError
from inferno_loader.header import read_header

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.torch_free


@pytest.mark.parametrize("size", [0, 1, 7])
def test_a_file_shorter_than_its_length_word(tmp_path: Path, size: int) -> None:
    """Eight bytes hold the length of the header; a file of fewer was cut."""
    path = tmp_path / "x.safetensors"
    path.write_bytes(b"\x02" * size)
    refused(
        lambda: read_header(path),
        TruncatedFileError,
        code="file.truncated",
        path=path,
        expected="at least 8 bytes",
        actual=f"{size} bytes",
        remedy="download it again",
    )


@pytest.mark.parametrize("length", [1, 93, 1000, 100_000_000])
@pytest.mark.parametrize("rest", [b"", b"{" + b" " * 91], ids=["nothing", "92 bytes"])
def test_a_file_that_ends_inside_its_header(tmp_path: Path, length: int, rest: bytes) -> None:
    """The length is held against the size of the file before anything is read by it."""
    length = max(length, len(rest) + 1)
    path = write(tmp_path / "x.safetensors", rest, length=length)
    refused(
        lambda: read_header(path),
        TruncatedFileError,
        code="file.truncated",
        path=path,
        expected=f"at least {8 + length} bytes",
        actual=f"{8 + len(rest)} bytes",
        remedy="download it again",
    )


@pytest.mark.parametrize(
    "length",
    [100_000_001, 0xFFFFFF000000003C, 2**31, 2**62, 2**63 - 1, 2**63, 2**64 - 9, 2**64 - 8, 2**64 - 7, 2**64 - 1],
)
@pytest.mark.parametrize("rest", [b"", b'{"w":', b"{}"], ids=["nothing", "a start", "an object"])
def test_a_length_beyond_the_limit(tmp_path: Path, length: int, rest: bytes) -> None:
    """Lengths that pass 100,000,000 bytes, or would wrap around: both numbers are named, and nothing is allocated."""
    path = write(tmp_path / "x.safetensors", rest, length=length)
    tracemalloc.start()
    refused(
        lambda: read_header(path),
        HeaderTooLargeError,
        code="header.too_large",
        path=path,
        expected="100000000 bytes",
        actual=f"{length} bytes",
        remedy="download it again",
    )
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20


def test_a_whole_header_beyond_the_limit(tmp_path: Path) -> None:
    """A file that does hold a header of 132 MB is refused by the limit, and the error names both numbers."""
    path = write_sparse(tmp_path / "x.safetensors", 140_000_000, (132_000_000).to_bytes(8, "little") + b'{"w":')
    refused(
        lambda: read_header(path),
        HeaderTooLargeError,
        code="header.too_large",
        path=path,
        expected="100000000 bytes",
        actual="132000000 bytes",
        remedy="download it again",
    )


def test_a_length_of_zero(tmp_path: Path) -> None:
    """No header is no JSON object."""
    path = write(tmp_path / "x.safetensors", b"", b"data")
    refused(
        lambda: read_header(path),
        HeaderJsonError,
        code="header.json",
        path=path,
        expected="a JSON object",
        actual="Expecting value",
        remedy="download it again",
    )


@pytest.mark.parametrize("size", [8, 9, 4096])
def test_a_file_of_zeros_is_an_unfinished_download(tmp_path: Path, size: int) -> None:
    """Download tools lay out the whole file first: zeros where the header should be are no header of length 0."""
    path = write_sparse(tmp_path / "x.safetensors", size, b"")
    refused(
        lambda: read_header(path),
        NotSafetensorsError,
        code="file.not_safetensors",
        path=path,
        expected="a safetensors file",
        actual="first bytes",
        remedy="let the download finish",
    )


@pytest.mark.parametrize(
    ("text", "actual"),
    [
        (b"{", "line 1 column 2"),
        (b"   ", "column 4"),
        (b"[]", "list"),
        (b"null", "NoneType"),
        (b"3", "int"),
        (b'"{}"', "str"),
        (b"{}\0\0\0", "Extra data"),
        (b"{}{}", "Extra data"),
        (b"\xef\xbb\xbf{}", "BOM"),
        (b"\0{}", "Expecting value"),
        (b'{"\xff":1}', "can't decode byte 0xff"),
        (b'{"\xed\xa0\x80":1}', "can't decode byte 0xed"),
        (b'{"a\nb":1}', "control character"),
        (b'{"a":1,}', "line 1 column"),
        (b"{'a':1}", "double quotes"),
        (b'{"a":NaN}', "NaN"),
        (b'{"a":-Infinity}', "-Infinity"),
        (b'{"a":1e999}', "out of range"),
        (b'{"a":' + b"9" * 400 + b"}", "out of range"),
        (b'{"a":01}', "delimiter"),
        (b'{"\\ud800":1}', "surrogate"),
        (b'{"__metadata__":{"a":"\\udc00\\ud800"}}', "surrogate"),
        (b'{"__metadata__":{"a":"\\ud800","a":"b"}}', "surrogate"),
        (b'{"a":' * 500_000, "nested too deeply"),
        (b'{"a":' + b"[" * 1_000_000 + b"]" * 1_000_000 + b"}", "nested too deeply"),
        (b'{"\\u0061":' + b"[" * 1_000_000 + b"]" * 1_000_000 + b"}", "nested too deeply"),
    ],
    ids=[
        "a single brace",
        "white space",
        "a list",
        "null",
        "a number",
        "a string",
        "padded with NUL",
        "two objects",
        "BOM",
        "NUL first",
        "0xff",
        "surrogate in UTF-8",
        "raw newline in a string",
        "trailing comma",
        "single quotes",
        "NaN",
        "infinity",
        "number too large",
        "integer too large",
        "leading zero",
        "lone surrogate",
        "surrogates reversed",
        "lone surrogate under a repeated key",
        "deep and cut",
        "deep",
        "deep with an escape",
    ],
)
def test_a_header_that_is_no_json_object(tmp_path: Path, text: bytes, actual: str) -> None:
    """JSON as RFC 8259 has it, in UTF-8, one object, and nothing but white space around it."""
    path = write(tmp_path / "x.safetensors", text, payload(4))
    refused(
        lambda: read_header(path),
        HeaderJsonError,
        code="header.json",
        path=path,
        expected="object",
        actual=actual,
        remedy="",
    )
