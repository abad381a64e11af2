"""The index: what it may be, and what is refused before any shard is opened."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from conformance.tests.support import refused, write_index, write_sparse
from inferno_loader.errors import IndexFormatError, MissingFileError, ShardPathError, UnreadableFileError
from inferno_loader.index import MAX_INDEX_BYTES, read_index

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.torch_free

_MAP = {"b": "model-00002-of-00002.safetensors", "a": "model-00001-of-00002.safetensors"}


def test_an_index_says_which_shard_holds_which_tensor(tmp_path: Path) -> None:
    """Tensors keep the order of the file; each shard is named once, sorted."""
    path = write_index(tmp_path, {**_MAP, "c": _MAP["b"]}, total_size=24)
    index = read_index(path)
    assert index.path == path
    assert list(index.weight_map.items()) == [("b", _MAP["b"]), ("a", _MAP["a"]), ("c", _MAP["b"])]
    assert index.shards == (_MAP["a"], _MAP["b"])
    assert index.total_size == 24


@pytest.mark.parametrize(
    "metadata",
    [
        None,
        {},
        [],
        "24",
        {"total_size": None},
        {"total_size": "24"},
        {"total_size": True},
        {"total_size": 24.0},
        {"format": "pt"},
    ],
    ids=json.dumps,
)
def test_a_total_size_is_not_needed(tmp_path: Path, metadata: object) -> None:
    """Writers leave it out, or write something else: sizes come from the headers."""
    path = tmp_path / "model.safetensors.index.json"
    path.write_text(json.dumps({"metadata": metadata, "weight_map": _MAP}), encoding="utf-8")
    assert (read_index(path).total_size, dict(read_index(path).weight_map)) == (None, _MAP)


def test_metadata_may_be_absent(tmp_path: Path) -> None:
    """The map alone is an index; keys that nobody knows are ignored."""
    path = tmp_path / "model.safetensors.index.json"
    path.write_text(json.dumps({"weight_map": _MAP, "version": [1]}), encoding="utf-8")
    assert dict(read_index(path).weight_map) == _MAP


def test_the_index_of_a_405b_is_read(tmp_path: Path) -> None:
    """126 layers of nine tensors and three more, over 191 shards."""
    parts = [f"self_attn.{name}_proj" for name in "qkvo"] + [f"mlp.{name}_proj" for name in ("gate", "up", "down")]
    parts += ["input_layernorm", "post_attention_layernorm"]
    names = [f"model.layers.{layer}.{part}.weight" for layer in range(126) for part in parts]
    names += ["model.embed_tokens.weight", "model.norm.weight", "lm_head.weight"]
    shards = [f"model-{number:05}-of-00191.safetensors" for number in range(1, 192)]
    weight_map = {name: shards[place % 191] for place, name in enumerate(names)}
    index = read_index(write_index(tmp_path, weight_map, total_size=811_706_867_712))
    assert (len(index.weight_map), index.shards) == (1137, tuple(shards))
    assert index.total_size == 811_706_867_712


@pytest.mark.parametrize(
    ("root", "expected", "actual"),
    [
        ([], "weight_map", "NoneType"),
        ("weight_map", "weight_map", "NoneType"),
        (None, "weight_map", "NoneType"),
        ({}, "weight_map", "NoneType"),
        ({"weight_map": None}, "weight_map", "NoneType"),
        ({"weight_map": []}, "weight_map", "list"),
        ({"weight_map": {}}, "not empty", "JsonObject"),
        ({"weight_map": {"a": None}}, "a shard name for 'a'", "None"),
        ({"weight_map": {"": 5}}, "a shard name for ''", "5"),
        ({"weight_map": {"a": "x.safetensors", "b": ["x"]}}, "a shard name for 'b'", "['x']"),
        ({"weight_map": {"a": json.loads("[" * 800 + "]" * 800)}}, "a shard name for 'a'", "[[["),
    ],
    ids=lambda value: json.dumps(value)[:40] if not isinstance(value, str) or value == "weight_map" else "",
)
def test_an_index_without_a_usable_map(tmp_path: Path, root: object, expected: str, actual: str) -> None:
    """The map is an object that is not empty and names a shard for each tensor."""
    path = tmp_path / "model.safetensors.index.json"
    path.write_text(json.dumps(root), encoding="utf-8")
    error = refused(
        lambda: read_index(path),
        IndexFormatError,
        code="index.invalid",
        path=path,
        expected=expected,
        actual=actual,
        remedy="download the index again",
    )
    assert len(str(error)) < 1000


@pytest.mark.parametrize(
    ("text", "expected", "actual"),
    [
        (b"", "a JSON object", "Expecting value"),
        (b'{"weight_map": {"a": "x"', "a JSON object", "delimiter"),
        (b"<html>", "a JSON object", "Expecting value"),
        (b"\xff\xfe", "a JSON object", "can't decode"),
        (b'\xef\xbb\xbf{"weight_map": {"a": "x"}}', "a JSON object", "BOM"),
        (b'{"weight_map": {"a": "\\ud800"}}', "a JSON object", "surrogate"),
        (b'{"weight_map": ' + b"[" * 1_000_000, "a JSON object", "nested too deeply"),
        (b'{"weight_map": {"a": "x", "b": "x", "a": "y"}}', "each key once", "repeated: a"),
        (b'{"weight_map": {"a": "x", "\\u0061": "x"}}', "each key once", "repeated: a"),
        (b'{"weight_map": {"a": "x"}, "weight_map": {"a": "y"}}', "each key once", "repeated: weight_map"),
    ],
    ids=["empty", "cut", "html", "not UTF-8", "BOM", "surrogate", "deep", "tensor twice", "escaped", "map twice"],
)
def test_an_index_that_readers_could_read_in_two_ways(tmp_path: Path, text: bytes, expected: str, actual: str) -> None:
    """What is no JSON, or names something twice, is refused."""
    path = tmp_path / "model.safetensors.index.json"
    path.write_bytes(text)
    refused(
        lambda: read_index(path),
        IndexFormatError,
        code="index.invalid",
        path=path,
        expected=expected,
        actual=actual,
        remedy="download the index again",
    )


@pytest.mark.parametrize(
    "shard",
    [
        "../other/model.safetensors",
        "/abs/model.safetensors",
        "//host/model.safetensors",
        "sub/../../model.safetensors",
        "sub/../model.safetensors",
        "..",
        "..\\model.safetensors",
        "\\model.safetensors",
        "\\\\host\\share\\model.safetensors",
        "C:\\model.safetensors",
        "C:model.safetensors",
        "",
        ".",
        "./",
        "./\\",
        "model\0.safetensors",
    ],
)
def test_a_shard_outside_the_directory(tmp_path: Path, shard: str) -> None:
    """No index leads a reader out of its directory, on any system; nothing is opened."""
    path = write_index(tmp_path, {"a": "model.safetensors", "b": shard})
    refused(
        lambda: read_index(path),
        ShardPathError,
        code="index.escape",
        path=path,
        expected="a relative path",
        actual=repr(shard),
        remedy="do not load this checkpoint",
    )


@pytest.mark.parametrize(
    "shard", ["model.safetensors", "sub/model.safetensors", "..model.safetensors", "a..b/c.safetensors", "größe 1"]
)
def test_a_shard_inside_the_directory(tmp_path: Path, shard: str) -> None:
    """Dots in a name, and directories below, are no way out."""
    assert read_index(write_index(tmp_path, {"a": shard})).shards == (shard,)


def test_an_index_that_is_not_there(tmp_path: Path) -> None:
    """A missing index is a missing file."""
    path: Any = tmp_path / "model.safetensors.index.json"
    refused(
        lambda: read_index(path),
        MissingFileError,
        code="file.missing",
        path=path,
        expected=None,
        actual=None,
        remedy="check the path",
    )


def test_an_index_that_is_too_large(tmp_path: Path) -> None:
    """An index of a terabyte is not read."""
    path = write_sparse(tmp_path / "model.safetensors.index.json", 2**40, b"{")
    refused(
        lambda: read_index(path),
        UnreadableFileError,
        code="file.unreadable",
        path=path,
        expected=f"at most {MAX_INDEX_BYTES} bytes",
        actual=f"{2**40} bytes",
        remedy="names the right file",
    )
