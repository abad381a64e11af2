"""Files that should have been safetensors: what they are, and what the reader is told to do."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import zipfile
from typing import TYPE_CHECKING

import pytest

from conformance.tests.support import entry, payload, refused, write
from inferno_loader.errors import NotSafetensorsError, TruncatedFileError
from inferno_loader.header import read_header
from inferno_loader.sniff import recognise

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.torch_free

_POINTER = (
    b"version https://git-lfs.github.com/spec/v1\n"
    b"oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\n"
    b"size 4976698672\n"
)


def _archive() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02.")
    return stream.getvalue()


def _empty_archive() -> bytes:
    stream = io.BytesIO()
    zipfile.ZipFile(stream, "w").close()
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "kind", "remedy"),
    [
        (_POINTER, "Git LFS pointer", "git lfs pull"),
        (b"<!DOCTYPE html><html><body>404</body></html>", "web page", "what the server answered"),
        (b"\n\n  <!doctype HTML>\n<title>Sign in</title>", "web page", "what the server answered"),
        (b"<HTML><head></head></HTML>", "web page", "what the server answered"),
        (b"\xef\xbb\xbf<html></html>", "web page", "what the server answered"),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "XML answer", "what the server answered"),
        (b'{"error":"Repository not found"}', "JSON answer", "what the server answered"),
        (_archive(), "zip archive", "never opens pickles"),
        (_empty_archive(), "empty zip archive", "never opens pickles"),
        (b"GGUF\x03\x00\x00\x00" + bytes(16), "GGUF", "ending .gguf"),
        (b"\x89HDF\r\n\x1a\n" + bytes(16), "HDF5", "convert it to safetensors"),
        (b"\x93NUMPY\x01\x00v\x00{'descr'", "NumPy array", "convert it to safetensors"),
        (gzip.compress(b"weights"), "gzip", "unpack"),
        (b"\x28\xb5\x2f\xfd\x24\x00\x01\x00\x00", "Zstandard", "unpack"),
        *((pickle.dumps({"weight": 1}, protocol), "pickle", "never opens pickles") for protocol in range(2, 6)),
    ],
    ids=[
        "lfs",
        "html",
        "html behind space",
        "upper case",
        "html behind a BOM",
        "xml",
        "json",
        "zip",
        "empty zip",
        "gguf",
        "hdf5",
        "npy",
        "gzip",
        "zstd",
        *(f"pickle {protocol}" for protocol in range(2, 6)),
    ],
)
def test_another_kind_of_file_is_named(tmp_path: Path, content: bytes, kind: str, remedy: str) -> None:
    """The error says what the file is, shows how it begins, and says what to do."""
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    error = refused(
        lambda: read_header(path),
        NotSafetensorsError,
        code="file.not_safetensors",
        path=path,
        expected="a safetensors file",
        actual=repr(content[:16]),
        remedy=remedy,
    )
    assert kind in error.problem


@pytest.mark.parametrize("ending", [".incomplete", ".part", ".partial", ".crdownload", ".aria2", ".download", ".tmp"])
def test_an_unfinished_download_is_told_by_its_name(tmp_path: Path, ending: str) -> None:
    """What a download tool has not finished may hold anything."""
    path = tmp_path / f"model.safetensors{ending}"
    path.write_bytes(b"\x11" * 64)
    refused(
        lambda: read_header(path),
        NotSafetensorsError,
        code="file.not_safetensors",
        path=path,
        expected="a safetensors file",
        actual="first bytes",
        remedy="let the download finish",
    )


def test_an_unfinished_download_is_told_by_the_file_beside_it(tmp_path: Path) -> None:
    """One tool keeps the final name, and notes its progress beside the file."""
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"\x11" * 64)
    (tmp_path / "model.safetensors.aria2").write_bytes(b"")
    refused(
        lambda: read_header(path),
        NotSafetensorsError,
        code="file.not_safetensors",
        path=path,
        expected="a safetensors file",
        actual="first bytes",
        remedy="let the download finish",
    )


def test_a_sound_file_is_never_taken_for_another(tmp_path: Path) -> None:
    """A name that looks unfinished, and a length word that looks like the magic of another format, prove nothing."""
    text = json.dumps({"w": entry("F32", [1], 0, 4)}).encode().ljust(0x8B1F)
    path = write(tmp_path / "model.safetensors.part", text, payload(4))
    assert path.read_bytes()[:2] == b"\x1f\x8b"
    assert read_header(path).tensors["w"].shape == (1,)


@pytest.mark.parametrize("length", [640, 0x8B1F], ids=["as a pickle", "as gzip"])
def test_a_header_that_is_cut_is_never_taken_for_another_file(tmp_path: Path, length: int) -> None:
    """A length word that looks like another magic, with an object behind it, belongs to a file that ends too early."""
    path = write(tmp_path / "model.safetensors", b'{"w":{"dtype":', length=length)
    refused(
        lambda: read_header(path),
        TruncatedFileError,
        code="file.truncated",
        path=path,
        expected=f"at least {8 + length} bytes",
        actual="22 bytes",
        remedy="download it again",
    )


@pytest.mark.parametrize("first", [b"", b"\x11" * 600, b"Entry not found", bytes(511) + b"\x01"], ids=range(4))
def test_bytes_of_no_known_kind_are_not_guessed_at(tmp_path: Path, first: bytes) -> None:
    """What is not recognised is left to the rules of the format."""
    assert recognise(tmp_path / "model.safetensors", first) is None
