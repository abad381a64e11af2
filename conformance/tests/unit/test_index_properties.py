"""Properties of reading an index, over generated ones."""

from __future__ import annotations

import json
import posixpath
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from inferno_loader.errors import IndexFormatError, InfernoError, ShardPathError
from inferno_loader.index import Index, read_index

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.torch_free

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
_JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=8,
)
_PIECES = st.lists(st.sampled_from(["..", ".", "", "/", "\\", "a", "..a", "C:", "~", " ", "\0", "a.b"]), max_size=6)


@pytest.fixture(scope="module")
def path() -> Iterator[Path]:
    """One index that the examples write one after the other."""
    with tempfile.TemporaryDirectory() as directory:
        yield Path(directory, "model.safetensors.index.json")


def _read(path: Path) -> Index | InfernoError:
    try:
        return read_index(path)
    except (IndexFormatError, ShardPathError) as error:
        event(error.code)
        return error


@given(
    numbers=st.dictionaries(_TEXT, st.integers(1, 9), min_size=1, max_size=20),
    total=st.none() | st.integers(0, 2**63),
    escaped=st.booleans(),
)
@settings(deadline=None, print_blob=True)
def test_a_sound_index_comes_back_as_written(
    path: Path, numbers: dict[str, int], total: int | None, *, escaped: bool
) -> None:
    """Every tensor keeps its shard and its place, whatever it is called."""
    weight_map = {name: f"model-{number:05}-of-00009.safetensors" for name, number in numbers.items()}
    metadata = {} if total is None else {"total_size": total}
    path.write_text(json.dumps({"metadata": metadata, "weight_map": weight_map}, ensure_ascii=escaped), "utf-8")
    index = read_index(path)
    assert list(index.weight_map.items()) == list(weight_map.items())
    assert index.shards == tuple(sorted(set(weight_map.values())))
    assert index.total_size == total


@given(_PIECES.map("/".join) | _PIECES.map("".join) | _TEXT)
@settings(deadline=None, print_blob=True)
def test_no_shard_lies_outside(path: Path, shard: str) -> None:
    """A name that is accepted stays below the directory, as POSIX and as Windows would resolve it."""
    path.write_text(json.dumps({"weight_map": {"w": shard}}), "utf-8")
    found = _read(path)
    if isinstance(found, InfernoError):
        assert found.actual == repr(shard)
        assert not shard.isidentifier()
    else:
        for spelled in (shard, shard.replace("\\", "/")):
            assert posixpath.normpath(posixpath.join("/root", spelled)).startswith("/root/")


@given(
    _JSON | st.fixed_dictionaries({"weight_map": _JSON | st.dictionaries(_TEXT, _JSON)}, optional={"metadata": _JSON})
)
@settings(deadline=None, print_blob=True)
def test_any_json_is_an_index_or_a_known_error(path: Path, root: object) -> None:
    """An index is accepted only where it maps names to names; anything else is an error that names the file."""
    path.write_text(json.dumps(root), "utf-8")
    found = _read(path)
    if isinstance(found, InfernoError):
        assert found.path == str(path)
        assert found.remedy
    else:
        assert isinstance(root, dict)
        assert found.weight_map == root["weight_map"]
        assert all(isinstance(shard, str) for shard in found.weight_map.values())


@given(st.binary(max_size=64))
@settings(deadline=None, print_blob=True)
def test_any_bytes_are_an_index_or_a_known_error(path: Path, content: bytes) -> None:
    """Bytes that nobody meant as an index are refused, and never crash the reader."""
    path.write_bytes(content)
    assert isinstance(_read(path), IndexFormatError)
