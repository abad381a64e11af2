"""Every named way to break a checkpoint breaks it, always in the same way, and in no other way than it says."""

from __future__ import annotations

import json
import shutil
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from safetensors import SafetensorError, safe_open

from conformance.tools.broken import BREAKAGES, Breakage
from conformance.tools.digest import manifest
from conformance.tools.edits import find, names, read_tensors, split, weight_files
from conformance.tools.recipe import NAMED, build
from inferno_loader import errors

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_CODES = {each.code for each in vars(errors).values() if isinstance(each, type) and hasattr(each, "code")}
_QUERY = "model.layers.1.self_attn.q_proj.weight"

#: What the reference implementation refuses by itself, one file without its neighbours, and a word of its message. The
#: messages of old releases are names in camel case, those of new ones are sentences.
_REFUSED_BY_THE_REFERENCE = {
    "empty_file": "header.?too.?small",
    "truncated_by_one": "incomplete",
    "trailing_byte": "incomplete",
    "lfs_pointer": "header.?too.?large",
    "html_page": "header.?too.?large",
    "gguf_magic": "header.?too.?large",
    "zip_file": "header.?too.?large",
    "unfinished_download": "header",
    "header_length_2_62": "header.?too.?large",
    "header_too_large": "header.?too.?large",
    "bad_json_header": "EOF|InvalidHeaderDeserialization",
    "not_utf8_header": "utf-?8|InvalidHeader$",
    "unknown_dtype": "unknown variant `BF17`|InvalidHeaderDeserialization",
    "shape_overflow": "overflow",
    "size_mismatch": "invalid.?(shape|info)",
    "hole": "invalid.?offset",
    "overlap": "invalid.?offset",
}

#: What each way may touch; the rest of the directory stays as it is.
_TOUCHED = {
    "missing_file": {"model.safetensors"},
    "incomplete_file": {"model.safetensors", "model.safetensors.incomplete"},
    "config_missing": {"config.json"},
    "config_not_json": {"config.json"},
    "unknown_scheme": {"config.json"},
    "unknown_rope_type": {"config.json"},
    "heads_not_divisible": {"config.json"},
    "vocab_mismatch": {"config.json"},
    "index_promises_absent": {"model.safetensors.index.json"},
    "index_parent_path": {"model.safetensors.index.json"},
    "index_absolute_path": {"model.safetensors.index.json"},
    "bad_json_index": {"model.safetensors.index.json"},
    "ambiguous_single_and_index": {"model.safetensors"},
    "missing_shard": {"model-00002-of-00003.safetensors"},
    "shard_gap": {"model-00002-of-00003.safetensors"},
    "duplicate_across_shards": {"model-00002-of-00003.safetensors"},
}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The sound checkpoint of a recipe, built once."""
    home = tmp_path_factory.mktemp("sound")

    def sound(base: str) -> Path:
        if not (home / base).exists():
            build(NAMED[base], home / base)
        return home / base

    return sound


@pytest.fixture
def broken(sound: Callable[[str], Path], tmp_path: Path) -> Callable[..., Path]:
    """A fresh copy of the sound checkpoint that a way breaks, broken."""

    def broken(name: str, copy: str = "broken") -> Path:
        shutil.copytree(sound(BREAKAGES[name].base), tmp_path / copy)
        BREAKAGES[name].apply(tmp_path / copy)
        return tmp_path / copy

    return broken


@pytest.mark.parametrize("way", BREAKAGES.values(), ids=BREAKAGES)
def test_a_way_changes_the_directory_and_always_alike(
    way: Breakage, sound: Callable[[str], Path], broken: Callable[..., Path]
) -> None:
    """Two copies broken apart are equal byte for byte, and differ from the sound one."""
    first, second = (manifest(broken(way.name, copy)) for copy in ("first", "second"))
    assert first == second
    assert first != manifest(sound(way.base))


@pytest.mark.parametrize("way", BREAKAGES.values(), ids=BREAKAGES)
def test_a_way_has_a_sentence_a_code_and_a_base(way: Breakage) -> None:
    """The description is one sentence or two, the code is one of the error tree, the base is a named recipe."""
    assert way.description.endswith(".")
    assert "\n" not in way.description
    assert way.expected_code in _CODES
    assert way.base in NAMED


@pytest.mark.parametrize(("name", "files"), _TOUCHED.items(), ids=_TOUCHED)
def test_a_way_touches_only_what_it_says(
    name: str, files: set[str], sound: Callable[[str], Path], broken: Callable[..., Path]
) -> None:
    """Files outside the damage keep their digest."""
    changed = manifest(broken(name)).items() ^ manifest(sound(BREAKAGES[name].base)).items()
    assert {file for file, _ in changed} == files


@pytest.mark.parametrize(("name", "reason"), _REFUSED_BY_THE_REFERENCE.items(), ids=_REFUSED_BY_THE_REFERENCE)
def test_the_reference_refuses_a_broken_file(name: str, reason: str, broken: Callable[..., Path]) -> None:
    """The safetensors library does not open the file, and for the reason meant."""
    path = weight_files(broken(name))[0]
    with pytest.raises(SafetensorError, match=f"(?i){reason}"), safe_open(path, "numpy"):
        pass


@pytest.mark.parametrize(
    "name",
    [
        name
        for name in BREAKAGES
        if name not in {*_REFUSED_BY_THE_REFERENCE, "missing_file", "incomplete_file", "only_pickles"}
    ],
)
def test_damage_beyond_one_file_leaves_every_file_sound(name: str, broken: Callable[..., Path]) -> None:
    """What is wrong lies between the files, or in the names: the safetensors library opens each one."""
    files = weight_files(broken(name))
    assert files
    for path in files:
        with safe_open(path, "numpy") as opened:
            assert opened.keys()


def test_a_duplicate_name_is_a_trap(broken: Callable[..., Path]) -> None:
    """The reference opens the file, takes the second entry, and so gives a matrix with its axes exchanged."""
    path = weight_files(broken("duplicate_name_in_header"))[0]
    name = "model.embed_tokens.weight"
    assert path.read_bytes().count(f'"{name}":'.encode()) == 2
    figures = NAMED["bf16-single"].figures
    with safe_open(path, "numpy") as opened:
        assert opened.get_slice(name).get_shape() == [figures["hidden_size"], figures["vocab_size"]]


@pytest.mark.parametrize(("name", "gap"), [("hole", 8), ("overlap", -2)])
def test_the_last_tensor_is_moved(
    name: str, gap: int, sound: Callable[[str], Path], broken: Callable[..., Path]
) -> None:
    """Between the last two tensors lie eight bytes too many or two too few; sizes and end of file agree with that."""
    path = weight_files(broken(name))[0]
    header, data = split(path)
    spans = sorted(entry["data_offsets"] for key, entry in header.items() if key != "__metadata__")
    assert [later[0] - earlier[1] for earlier, later in pairwise(spans)] == [0] * (len(spans) - 2) + [gap]
    assert spans[-1][1] == len(data)
    _, before = split(weight_files(sound("bf16-single"))[0])
    assert len(data) == len(before) + gap
    assert data[spans[-1][0] :] == before[spans[-1][0] - gap :]


def test_the_header_above_the_limit_is_really_there(broken: Callable[..., Path]) -> None:
    """The file is not truncated: it has the 100,000,001 bytes that its header length says, and takes little disk."""
    path = weight_files(broken("header_too_large"))[0]
    assert int.from_bytes(path.read_bytes()[:8], "little") == 100_000_001
    assert path.stat().st_size == 8 + 100_000_001
    assert path.stat().st_blocks * 512 < 4_000_000


def test_no_file_is_a_pickle(broken: Callable[..., Path]) -> None:
    """What looks like one is an archive without a pickle: opening it by mistake could run nothing."""
    directory = broken("only_pickles")
    content = (directory / "pytorch_model.bin").read_bytes()
    assert content.startswith(b"PK\x03\x04")
    assert b".pkl" not in content
    assert weight_files(directory) == []


def test_the_pointer_is_that_of_the_file_it_stands_for(
    sound: Callable[[str], Path], broken: Callable[..., Path]
) -> None:
    """The git-lfs pointer has the SHA-256 and the size of the sound file."""
    original = sound("bf16-single") / "model.safetensors"
    lines = (broken("lfs_pointer") / "model.safetensors").read_text(encoding="utf-8").splitlines()
    oid = manifest(original.parent)["model.safetensors"]
    assert lines == [
        "version https://git-lfs.github.com/spec/v1",
        f"oid sha256:{oid}",
        f"size {original.stat().st_size}",
    ]


def _index(directory: Path) -> Any:
    return json.loads((directory / "model.safetensors.index.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("name", "gone", "new"),
    [
        ("missing_tensor", {_QUERY}, set()),
        ("missing_scale", {f"{_QUERY}_scale"}, set()),
        ("unexpected_tensor", set(), {"model.layers.1.self_attn.q_norm.weight"}),
        ("unused_scale", set(), {f"{_QUERY}_scale"}),
    ],
)
def test_tensors_come_and_go_with_their_index(
    name: str, gone: set[str], new: set[str], sound: Callable[[str], Path], broken: Callable[..., Path]
) -> None:
    """The index of the broken checkpoint says what its files hold, so that only the set of tensors is wrong."""
    directory, before = broken(name), set(names(sound(BREAKAGES[name].base)))
    assert set(names(directory)) == (before - gone) | new
    held = [tensor for path in weight_files(directory) for tensor in read_tensors(path).values()]
    assert _index(directory)["weight_map"].keys() == set(names(directory))
    assert _index(directory)["metadata"]["total_size"] == sum(len(tensor.data) for tensor in held)


@pytest.mark.parametrize(
    ("name", "first", "layers"),
    [("layer_missing", 5, set(range(12)) - {5}), ("extra_layer", 12, set(range(13)))],
)
def test_whole_layers_come_and_go(name: str, first: int, layers: set[int], broken: Callable[..., Path]) -> None:
    """Layer 5 of 12 is gone with all its nine tensors, or layer 12 is there with as many."""
    found = [int(each.split(".")[2]) for each in names(broken(name)) if each.startswith("model.layers.")]
    assert set(found) == layers
    assert found.count(first) == (9 if first in layers else 0)
    assert found.count(11) == 9


@pytest.mark.parametrize(("name", "dtype"), [("wrong_dtype", "I32"), ("integer_weight_without_scale", "I8")])
def test_a_weight_is_stored_as_integers(name: str, dtype: str, broken: Callable[..., Path]) -> None:
    """The weight keeps its shape, has another dtype, and no scale stands beside it."""
    directory = broken(name)
    assert find(directory, _QUERY)[1].spec.dtype == dtype
    assert find(directory, _QUERY)[1].spec.shape == (60, 54)
    assert f"{_QUERY}_scale" not in names(directory)


def test_the_wrong_shape_has_as_many_elements(broken: Callable[..., Path]) -> None:
    """The axes are exchanged, so that no check of sizes sees it."""
    assert find(broken("wrong_shape"), _QUERY)[1].spec.shape == (54, 60)


@pytest.mark.parametrize(("name", "bits"), [("nan_scale", 0x7FC0), ("infinite_scale", 0x7F80)])
def test_only_the_first_element_of_a_scale_is_poisoned(
    name: str, bits: int, sound: Callable[[str], Path], broken: Callable[..., Path]
) -> None:
    """The first BF16 of one scale is NaN or infinity, and the others are as before."""
    after, before = (find(each, f"{_QUERY}_scale")[1].data for each in (broken(name), sound("w8a8")))
    assert int.from_bytes(after[:2], "little") == bits
    assert after[2:] == before[2:]


def test_the_promised_shard_is_there_and_lacks_the_tensor(broken: Callable[..., Path]) -> None:
    """The index names a shard that exists, and the tensor lies in another one."""
    directory = broken("index_promises_absent")
    promised = directory / _index(directory)["weight_map"][_QUERY]
    assert promised.exists()
    assert _QUERY not in read_tensors(promised)


@pytest.mark.parametrize(("name", "prefix"), [("index_parent_path", "../"), ("index_absolute_path", "/")])
def test_the_index_leads_out_of_the_directory(name: str, prefix: str, broken: Callable[..., Path]) -> None:
    """All tensors of the first shard are mapped to a path outside, the others stay."""
    files = set(_index(broken(name))["weight_map"].values())
    assert files == {
        f"{prefix}model-00001-of-00003.safetensors",
        "model-00002-of-00003.safetensors",
        "model-00003-of-00003.safetensors",
    }


def test_the_second_set_of_weights_is_whole(sound: Callable[[str], Path], broken: Callable[..., Path]) -> None:
    """The single file beside the shards holds every tensor, equal to those of the shards."""
    single = read_tensors(broken("ambiguous_single_and_index") / "model.safetensors")
    shards = {
        name: tensor for path in weight_files(sound("bf16-sharded")) for name, tensor in read_tensors(path).items()
    }
    assert single == shards


def test_the_copy_in_another_shard_has_other_values(broken: Callable[..., Path]) -> None:
    """The two tensors of one name have the same dtype and shape, so that only the values tell which was taken."""
    first, second = (read_tensors(path) for path in weight_files(broken("duplicate_across_shards"))[:2])
    (name,) = first.keys() & second.keys()
    assert first[name].spec == second[name].spec
    assert first[name].data != second[name].data
