"""Where other loaders disagree, what this one does, one test a row of the table of policies: files and headers."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from conformance.tools import edits
from conformance.tools.broken import BREAKAGES
from conformance.tools.container import Spec, write_file
from conformance.tools.recipe import NAMED, Layout, Recipe
from conformance.tools.stored import Tensor
from inferno_loader import InfernoError, load_state_dict, plan

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conformance.tools.recipe import Built, Expected

    Loaded = Callable[[Path], dict[str, Expected]]

_FILE = "model.safetensors"
_SINGLE = Recipe(config={"num_hidden_layers": 2})
_SHARDED = Recipe(config={"num_hidden_layers": 2}, layout=Layout("by_count", 3))


def _codes(path: Path, **options: Any) -> list[str]:
    return [finding.code for finding in plan(path, **options).findings]


def _broken(name: str, fresh: Callable[[Recipe], Path]) -> Path:
    directory = fresh(NAMED[BREAKAGES[name].base])
    BREAKAGES[name].apply(directory)
    return directory


def _refusal(path: Path, **options: Any) -> InfernoError:
    with pytest.raises(InfernoError) as caught:
        load_state_dict(path, **options)
    return caught.value


def test_duplicate_key_in_a_header(fresh: Callable[[Recipe], Path]) -> None:
    """Rejected: readers differ in which of the two they take."""
    assert _refusal(_broken("duplicate_name_in_header", fresh)).code == "header.duplicate"


def test_white_space_before_the_header(
    fresh: Callable[[Recipe], Path], built: Callable[[Recipe], Built], loaded: Callable[..., dict[str, Expected]]
) -> None:
    """Accepted, and noted."""
    directory = fresh(_SINGLE)
    header, data = edits.split(directory / _FILE)
    edits.join(directory / _FILE, b" \n" + edits.compact(header), data)
    assert loaded(directory) == built(_SINGLE).dense
    assert _codes(directory) == ["header.leading_whitespace"]


def test_unknown_field_in_a_tensor_entry(
    fresh: Callable[[Recipe], Path], built: Callable[[Recipe], Built], loaded: Callable[..., dict[str, Expected]]
) -> None:
    """Ignored, and noted."""
    directory = fresh(_SINGLE)
    edits.edit_header(directory / _FILE, lambda header: header["model.norm.weight"].update(checksum="abc"))
    assert loaded(directory) == built(_SINGLE).dense
    assert _codes(directory) == ["header.unknown_field"]


@pytest.mark.parametrize("place", [0, 1, 2], ids=["first", "second", "third"])
def test_index_and_shards_disagree(
    place: int,
    fresh: Callable[[Recipe], Path],
    built: Callable[[Recipe], Built],
    loaded: Callable[..., dict[str, Expected]],
) -> None:
    """The index has the word: a stale copy in another shard, before or behind, is never read, and is reported."""
    directory = fresh(_SHARDED)
    shard = edits.weight_files(directory)[place]
    home = {name: path for path in edits.weight_files(directory) for name in edits.read_tensors(path)}
    name = next(name for name, path in sorted(home.items()) if path != shard)
    tensor = edits.read_tensors(home[name])[name]
    stale = replace(tensor, data=tensor.data[2:] + tensor.data[:2])
    edits.write_tensors(shard, {**edits.read_tensors(shard), name: stale})
    for mmap in (False, True):
        assert loaded(directory, mmap=mmap) == built(_SHARDED).dense
    (finding,) = plan(directory).findings
    assert (finding.code, finding.tensor, finding.path) == ("index.stale_copy", name, str(shard))


def test_index_promises_what_its_shard_lacks(fresh: Callable[[Recipe], Path]) -> None:
    """Rejected, though another shard holds the tensor."""
    assert _refusal(_broken("index_promises_absent", fresh)).code == "index.promise"


@pytest.mark.parametrize("choice", ["index", "single"])
def test_index_and_single_file_both(
    choice: str,
    fresh: Callable[[Recipe], Path],
    built: Callable[[Recipe], Built],
    loaded: Callable[..., dict[str, Expected]],
) -> None:
    """Rejected as ambiguous; the caller chooses, and gets one set whole."""
    directory = fresh(_SHARDED)
    other = built(replace(_SINGLE, seed=7))
    shutil.copy(other.directory / _FILE, directory)
    refusal = _refusal(directory)
    assert refusal.code == "checkpoint.ambiguous"
    assert 'weights="index" or weights="single"' in str(refusal.remedy)
    assert loaded(directory, weights=choice) == (other if choice == "single" else built(_SHARDED)).dense


def test_shards_without_an_index(
    fresh: Callable[[Recipe], Path], built: Callable[[Recipe], Built], loaded: Callable[..., dict[str, Expected]]
) -> None:
    """Loaded where names are unique and numbers complete, and reported."""
    directory = fresh(_SHARDED)
    (directory / edits.INDEX_FILE).unlink()
    assert loaded(directory) == built(_SHARDED).dense
    assert _codes(directory) == ["shards.no_index"]


@pytest.mark.parametrize("name", ["duplicate_across_shards", "shard_gap"])
def test_shards_without_an_index_that_do_not_add_up(name: str, fresh: Callable[[Recipe], Path]) -> None:
    """Twins and gaps are rejected: never the last one wins."""
    assert _refusal(_broken(name, fresh)).code == BREAKAGES[name].expected_code


@pytest.mark.parametrize("name", ["index_parent_path", "index_absolute_path"])
def test_shard_name_that_leads_out(name: str, fresh: Callable[[Recipe], Path]) -> None:
    """Rejected by its text, before anything is opened, also where a sound file lies there."""
    directory = _broken(name, fresh)
    for path in edits.weight_files(directory):
        shutil.copy(path, directory.parent)
    assert _refusal(directory).code == "index.escape"


def test_links_of_a_cache_lead_out_and_are_fine(
    tmp_path: Path, built: Callable[[Recipe], Built], loaded: Callable[..., dict[str, Expected]]
) -> None:
    """Containment is of the text: what a link points to may lie anywhere."""
    made = built(_SHARDED)
    for path in made.directory.iterdir():
        (tmp_path / path.name).symlink_to(path)
    assert loaded(tmp_path) == made.dense


def test_index_that_names_only_the_single_file(
    fresh: Callable[[Recipe], Path], built: Callable[[Recipe], Built], loaded: Callable[..., dict[str, Expected]]
) -> None:
    """That is no ambiguity."""
    directory = fresh(_SINGLE)
    weight_map = dict.fromkeys(built(_SINGLE).expected, _FILE)
    (directory / edits.INDEX_FILE).write_text(json.dumps({"weight_map": weight_map}), encoding="utf-8")
    assert loaded(directory) == built(_SINGLE).dense


def test_tensors_that_the_index_omits(
    fresh: Callable[[Recipe], Path], built: Callable[[Recipe], Built], loaded: Callable[..., dict[str, Expected]]
) -> None:
    """Never loaded, and reported: a stranger does no harm, a parameter is missing."""
    directory = fresh(_SHARDED)
    shard = edits.weight_files(directory)[1]
    stranger = Tensor(Spec("model.extra.weight", "BF16", (3,)), b"\x80\x3f" * 3)
    edits.write_tensors(shard, {**edits.read_tensors(shard), "model.extra.weight": stranger})
    assert loaded(directory) == built(_SHARDED).dense
    assert _codes(directory) == ["index.omitted"]
    edits.edit_json(directory / edits.INDEX_FILE, lambda index: index["weight_map"].pop("model.norm.weight"))
    refusal = _refusal(directory)
    assert (refusal.code, refusal.tensor) == ("plan.missing", "model.norm.weight")
    assert "omitted by the index" in str(refusal.actual)


@pytest.mark.parametrize("beside", [_SINGLE, _SHARDED], ids=["single", "index"])
def test_consolidated_beside_other_files(
    beside: Recipe,
    fresh: Callable[[Recipe], Path],
    built: Callable[[Recipe], Built],
    loaded: Callable[..., dict[str, Expected]],
) -> None:
    """Never mixed with the set of Hugging Face, which goes first; it is the caller's to choose."""
    directory = fresh(beside)
    meta = built(Recipe(config={"num_hidden_layers": 2}, dialect="meta", seed=5))
    shutil.copy(meta.directory / meta.files[0], directory)
    assert loaded(directory) == built(beside).dense
    assert _codes(directory) == ["checkpoint.ignored_file"]
    assert loaded(directory, weights="consolidated") == meta.dense


def _null_metadata(header: dict[str, Any]) -> None:
    header["__metadata__"] = None


def _deep_field(header: dict[str, Any]) -> None:
    header["model.norm.weight"]["note"] = json.loads("[" * 200 + "]" * 200)


@pytest.mark.parametrize(
    ("change", "code"), [(_null_metadata, "header.null_metadata"), (_deep_field, "header.deep_field")]
)
def test_oddities_of_a_header(
    change: Callable[[dict[str, Any]], None],
    code: str,
    fresh: Callable[[Recipe], Path],
    built: Callable[[Recipe], Built],
    loaded: Callable[..., dict[str, Expected]],
) -> None:
    """Accepted, and noted."""
    directory = fresh(_SINGLE)
    edits.edit_header(directory / _FILE, change)
    assert loaded(directory) == built(_SINGLE).dense
    assert _codes(directory) == [code]


def test_a_key_of_the_metadata_twice(
    fresh: Callable[[Recipe], Path], built: Callable[[Recipe], Built], loaded: Callable[..., dict[str, Expected]]
) -> None:
    """Accepted, the last one counts, and it is noted."""
    directory = fresh(_SINGLE)
    header, data = edits.split(directory / _FILE)
    del header["__metadata__"]
    twice = b'{"__metadata__":{"format":"pt","format":"np"},'
    edits.join(directory / _FILE, twice + edits.compact(header)[1:], data)
    assert loaded(directory) == built(_SINGLE).dense
    assert _codes(directory) == ["header.duplicate_metadata"]


def test_an_empty_tensor_with_a_huge_side(
    fresh: Callable[[Recipe], Path], built: Callable[[Recipe], Built], loaded: Callable[..., dict[str, Expected]]
) -> None:
    """Nothing is allocated by its sides; as a stranger it is waived like any other."""
    directory = fresh(_SINGLE)
    tensors = edits.read_tensors(directory / _FILE)
    specs = [Spec("model.nothing", "F32", (0, 2**63, 2**63)), *(tensor.spec for tensor in tensors.values())]
    write_file(directory / _FILE, specs, {"model.nothing": b"", **{name: t.data for name, t in tensors.items()}})
    assert loaded(directory, allow_unexpected=["model.nothing"]) == built(_SINGLE).dense
    assert "header.huge_empty" in _codes(directory, allow_unexpected=["model.nothing"])


def test_only_pickles(fresh: Callable[[Recipe], Path]) -> None:
    """Rejected with the way to convert them, and never opened."""
    directory = _broken("only_pickles", fresh)
    (directory / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'touch pwned'\ntR.")
    refusal = _refusal(directory)
    assert refusal.code == "checkpoint.pickle"
    assert "save_pretrained" in str(refusal.remedy)
