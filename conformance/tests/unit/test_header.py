"""What a header may be: all dtypes and ranks, any order and alignment, and the oddities that are noted."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from conformance.tests.support import BITS, entry, payload, tiled, write, write_sparse, write_tiled
from inferno_loader.dtypes import DTYPES
from inferno_loader.header import MAX_HEADER_BYTES, Header, read_header

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.torch_free

_ONE = {"w": entry("F32", [1], 0, 4)}


def _bytes(header: Header, name: str) -> bytes:
    """The bytes of a tensor, as the header places them in the file."""
    info = header.tensors[name]
    content = header.path.read_bytes()
    return content[header.data_start + info.start : header.data_start + info.end]


def _codes(header: Header) -> list[tuple[str, str, str | None]]:
    return [(finding.code, finding.severity, finding.tensor) for finding in header.findings]


def test_the_table_of_these_tests_and_that_of_the_package_name_the_same_dtypes() -> None:
    """The 22 dtypes of the format, with the sizes of its specification."""
    assert {name: dtype.bits for name, dtype in DTYPES.items()} == BITS
    assert len(BITS) == 22


@pytest.mark.parametrize(
    ("shape", "elements"),
    [([8], 8), ([2, 4], 8), ([0], 0), ([4, 0], 0), ([2, 2, 2], 8)],
    ids=["vector", "matrix", "empty vector", "empty matrix", "rank 3"],
)
@pytest.mark.parametrize("dtype", BITS)
def test_every_dtype_is_read_at_every_rank(tmp_path: Path, dtype: str, shape: list[int], elements: int) -> None:
    """Eight elements take as many bytes as one has bits, and the shape stays as written."""
    header = read_header(write_tiled(tmp_path / "x.safetensors", ("w", dtype, shape)))
    info = header.tensors["w"]
    assert (info.name, info.dtype.name, info.shape) == ("w", dtype, tuple(shape))
    assert (info.start, info.end, info.nbytes, info.elements) == (0, BITS[dtype] * elements // 8, info.end, elements)
    assert header.findings == ()


@pytest.mark.parametrize("dtype", [name for name, bits in BITS.items() if bits >= 8])
def test_an_empty_shape_is_a_scalar(tmp_path: Path, dtype: str) -> None:
    """A tensor of rank 0 has one element, not none."""
    info = read_header(write_tiled(tmp_path / "x.safetensors", ("w", dtype, []))).tensors["w"]
    assert (info.shape, info.elements, info.nbytes) == ((), 1, BITS[dtype] // 8)


def test_a_packed_dtype_keeps_its_logical_shape(tmp_path: Path) -> None:
    """Two rows of eight F4 elements take four bytes each; the shape counts elements, as the scales beside it do."""
    path = write_tiled(tmp_path / "x.safetensors", ("w", "F4", [2, 8]), ("w_scale", "F8_E8M0", [2, 1]))
    tensors = read_header(path).tensors
    assert (tensors["w"].shape, tensors["w"].elements, tensors["w"].nbytes) == ((2, 8), 16, 8)
    assert (tensors["w_scale"].shape, tensors["w_scale"].start) == ((2, 1), 8)


@pytest.mark.parametrize("remainder", range(8))
def test_the_data_begin_right_behind_the_header(tmp_path: Path, remainder: int) -> None:
    """The data section is never rounded up to a multiple of 8, so every length of a header gives the same bytes."""
    text = json.dumps({"w": entry("F64", [2], 0, 16)}).encode()
    text += b" " * ((remainder - len(text)) % 8)
    header = read_header(write(tmp_path / "x.safetensors", text, payload(16)))
    assert header.length % 8 == remainder
    assert header.data_start == 8 + len(text)
    assert _bytes(header, "w") == payload(16)


def test_tensors_need_no_alignment(tmp_path: Path) -> None:
    """One byte before a tensor of doubles moves it to an odd offset."""
    header = read_header(write_tiled(tmp_path / "x.safetensors", ("b", "U8", [1]), ("w", "F64", [3])))
    assert header.tensors["w"].start == 1
    assert _bytes(header, "w") == payload(25)[1:]


def test_bytes_follow_the_offsets_and_not_the_order_of_the_entries(tmp_path: Path) -> None:
    """Entries may stand in any order; each name has the bytes of its own offsets."""
    entries = {"b": entry("F32", [2], 16, 24), "a": entry("F64", [2], 0, 16), "c": entry("U8", [3], 24, 27)}
    header = read_header(write(tmp_path / "x.safetensors", entries, payload(27)))
    assert list(header.tensors) == ["b", "a", "c"]
    assert {name: _bytes(header, name) for name in "abc"} == {
        "a": payload(27)[:16],
        "b": payload(27)[16:24],
        "c": payload(27)[24:],
    }


@pytest.mark.parametrize("order", [["e", "a", "b"], ["a", "e", "b"], ["a", "b", "e"], ["e"], ["e", "f"]], ids="".join)
@pytest.mark.parametrize("reverse", [False, True], ids=["in order", "reversed"])
def test_an_empty_tensor_stands_anywhere(tmp_path: Path, order: list[str], *, reverse: bool) -> None:
    """An empty tensor takes no bytes at the start, in the middle, at the end, and alone."""
    shapes = {"a": [2], "b": [3], "e": [0, 5], "f": [0]}
    entries = tiled(*((name, "F16", shapes[name]) for name in order))
    if reverse:
        entries = dict(reversed(entries.items()))
    header = read_header(
        write(tmp_path / "x.safetensors", entries, payload(2 * sum(shapes[name][0] for name in order)))
    )
    assert {name: header.tensors[name].nbytes for name in order} == {name: 2 * shapes[name][0] for name in order}


@pytest.mark.parametrize("padding", [b" ", b" " * 4096, b"\n", b"\r\n\t "], ids=["1", "a page", "newline", "mixed"])
def test_a_header_may_end_in_white_space(tmp_path: Path, padding: bytes) -> None:
    """N counts the padding, and the data begin behind it."""
    header = read_header(write(tmp_path / "x.safetensors", json.dumps(_ONE).encode() + padding, payload(4)))
    assert _bytes(header, "w") == payload(4)
    assert header.findings == ()


@pytest.mark.parametrize("padding", [b" ", b"\n", b"\t\r\n  "], ids=["space", "newline", "mixed"])
def test_white_space_before_the_header_is_noted(tmp_path: Path, padding: bytes) -> None:
    """The reference takes it since 0.8, the specification does not: accepted, and said."""
    header = read_header(write(tmp_path / "x.safetensors", padding + json.dumps(_ONE).encode(), payload(4)))
    assert _bytes(header, "w") == payload(4)
    assert _codes(header) == [("header.leading_whitespace", "note", None)]


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({}, {}),
        ({"format": "pt"}, {"format": "pt"}),
        ({"": "", "größe": "ω\n"}, {"": "", "größe": "ω\n"}),
        ({"half": "\U0001f984"}, {"half": "\U0001f984"}),
    ],
    ids=["empty", "format", "unicode", "surrogate pair"],
)
def test_metadata_is_a_map_of_strings(tmp_path: Path, metadata: dict[str, str], expected: dict[str, str]) -> None:
    """Metadata, empty or not, is no tensor, and comes back as written."""
    header = read_header(write(tmp_path / "x.safetensors", {"__metadata__": metadata, **_ONE}, payload(4)))
    assert (dict(header.metadata), list(header.tensors), header.findings) == (expected, ["w"], ())


def test_metadata_may_be_absent(tmp_path: Path) -> None:
    """A file without metadata is as good as one with them."""
    assert dict(read_header(write(tmp_path / "x.safetensors", _ONE, payload(4))).metadata) == {}


def test_metadata_that_is_null_is_noted(tmp_path: Path) -> None:
    """The reference takes null for no metadata: accepted, and said."""
    header = read_header(write(tmp_path / "x.safetensors", {"__metadata__": None, **_ONE}, payload(4)))
    assert (dict(header.metadata), list(header.tensors)) == ({}, ["w"])
    assert _codes(header) == [("header.null_metadata", "note", None)]


def test_a_key_repeated_in_the_metadata_is_noted_and_its_last_value_counts(tmp_path: Path) -> None:
    """As the reference does, in every run alike, and said."""
    text = b'{"__metadata__":{"format":"pt","format":"np"},' + json.dumps(_ONE).encode()[1:]
    header = read_header(write(tmp_path / "x.safetensors", text, payload(4)))
    assert dict(header.metadata) == {"format": "np"}
    assert _codes(header) == [("header.duplicate_metadata", "note", None)]


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (1.5, "header.unknown_field"),
        ({"a": [{}]}, "header.unknown_field"),
        (json.loads("[" * 125 + "]" * 125), "header.unknown_field"),
        (json.loads("[" * 126 + "]" * 126), "header.deep_field"),
        (json.loads('{"a":' * 126 + "1" + "}" * 126), "header.deep_field"),
        (json.loads("[" * 500 + "]" * 500), "header.deep_field"),
    ],
    ids=["number", "object", "125 levels", "126 levels", "126 objects", "500 levels"],
)
def test_an_unknown_field_is_ignored_and_noted(tmp_path: Path, value: object, code: str) -> None:
    """Fields beside dtype, shape and data_offsets change nothing. From 128 levels in all the reference gives up."""
    entries = {"w": {**_ONE["w"], "stride": value}}
    header = read_header(write(tmp_path / "x.safetensors", entries, payload(4)))
    assert header.tensors["w"].shape == (1,)
    assert _codes(header) == [(code, "note", "w")]
    assert "stride" in header.findings[0].message


@pytest.mark.parametrize(
    ("shape", "noted"),
    [
        ([0, 2**63 - 1], False),
        ([0, 2**63], True),
        ([0, 2**64 - 1], True),
        ([0, 2**62, 2**62], True),
        ([1, 2**63, 0], True),
        ([0, 3, 2**61], False),
    ],
    ids=["2^63-1", "2^63", "2^64-1", "product", "zero last", "below"],
)
def test_huge_sizes_of_an_empty_tensor_are_noted(tmp_path: Path, shape: list[int], *, noted: bool) -> None:
    """A zero hides what the other sizes multiply to; readers that compute strides overflow on it."""
    header = read_header(write(tmp_path / "x.safetensors", {"w": entry("F32", shape, 0, 0)}))
    assert (header.tensors["w"].shape, header.tensors["w"].elements) == (tuple(shape), 0)
    assert _codes(header) == [("header.huge_empty", "note", "w")] * noted


@pytest.mark.parametrize(
    "name", ["", "a b", "\0", "größe", "\U0001f984", "__metadata__.weight", "x" * 5000], ids=range(7)
)
def test_a_name_may_be_any_string(tmp_path: Path, name: str) -> None:
    """A name is what the JSON string spells, escaped or not."""
    for number, text in enumerate((json.dumps({name: _ONE["w"]}), json.dumps({name: _ONE["w"]}, ensure_ascii=False))):
        header = read_header(write(tmp_path / f"{number}.safetensors", text.encode(), payload(4)))
        assert list(header.tensors) == [name]


def test_a_file_may_hold_nothing(tmp_path: Path) -> None:
    """An empty object and no data are a file without tensors."""
    header = read_header(write(tmp_path / "x.safetensors", {}))
    assert (dict(header.tensors), header.length, header.data_start) == ({}, 2, 10)


def test_a_header_says_which_file_it_was_read_from(tmp_path: Path) -> None:
    """Device, inode, size and time are kept, so that a later change is noticed."""
    path = write_tiled(tmp_path / "x.safetensors", ("w", "F32", [1]))
    header, status = read_header(path), path.stat()
    identity: Any = header.identity
    assert header.path == path
    assert (identity.device, identity.inode) == (status.st_dev, status.st_ino)
    assert (identity.size, identity.mtime_ns) == (status.st_size, status.st_mtime_ns)


def test_offsets_beyond_4_gib_are_exact(tmp_path: Path) -> None:
    """Offsets are 64 bits wide, and no tensor byte is read: half a terabyte of zeros opens at once."""
    side = 2**37
    text = json.dumps(tiled(("a", "BF16", [2, side // 2]), ("b", "F32", [side]), ("c", "I8", [3]))).encode()
    size = 8 + len(text) + 6 * side + 3
    path = write_sparse(tmp_path / "x.safetensors", size, len(text).to_bytes(8, "little") + text)
    tensors = read_header(path).tensors
    assert (tensors["b"].start, tensors["c"].start, tensors["c"].end) == (2 * side, 6 * side, 6 * side + 3)


def test_a_header_at_the_limit_is_read(tmp_path: Path) -> None:
    """The limit itself is allowed: 100,000,000 bytes."""
    assert MAX_HEADER_BYTES == 100_000_000
    path = write(tmp_path / "x.safetensors", b"{}".ljust(100_000_000))
    try:
        assert read_header(path).data_start == 100_000_008
    finally:
        path.unlink()
