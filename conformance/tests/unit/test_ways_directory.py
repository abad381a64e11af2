"""The ways by which the cases of the index and the directory are made do what the titles of the cases say."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import safetensors

from conformance.corpus.checkpoint_parts import FIRST, INDEX, LAST, MIDDLE, SHARDED, SINGLE
from conformance.engine.case import CaseRecipe
from conformance.tests.corpus_of_files import CASES, FILE, built, exactly, header_of, read, truths
from conformance.tools.digest import manifest
from conformance.tools.steps import step
from conformance.tools.ways_layout import SNAPSHOT

if TYPE_CHECKING:
    from pathlib import Path

    from conformance.tools.scenario import Scenario
    from conformance.tools.steps import Step

_NORM, _HEAD, _EMBEDDING = "model.norm.weight", "lm_head.weight", "model.embed_tokens.weight"


def _build(recipe: Scenario, place: Path) -> Path:
    directory = place / "checkpoint"
    directory.mkdir(parents=True)
    recipe.build(directory)
    return directory


def _truth(case_id: str) -> dict[str, Any]:
    return truths(CASES[case_id], CASES[case_id].calls[0])[0]


def _pairs(path: Path) -> list[tuple[str, Any]]:
    """The members of the weight maps of an index, of all of them, as they stand there."""
    maps: list[list[tuple[str, Any]]] = []

    def keep(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if any(isinstance(value, str) for _, value in pairs):
            maps.append(pairs)
        return dict(pairs)

    json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=keep)
    return [pair for each in maps for pair in each]


@pytest.mark.parametrize("how", ["reversed", "compact", "windows", "escaped"])
def test_an_index_in_another_writing_says_the_same(how: str, tmp_path: Path) -> None:
    """The text of the index is another one, and its JSON the same."""
    plain = (_build(SHARDED, tmp_path / "plain") / INDEX).read_bytes()
    other = (_build(SHARDED.then(step("respell_index", how)), tmp_path / "other") / INDEX).read_bytes()
    assert plain != other
    assert json.loads(plain) == json.loads(other)


@pytest.mark.parametrize("slug", ["index-names-a-tensor-twice", "two-weight-maps"])
@pytest.mark.parametrize(("where", "order"), [("first", [LAST, FIRST]), ("last", [FIRST, LAST])])
def test_a_tensor_stands_twice_and_both_shards_hold_it(slug: str, where: str, order: list[str], tmp_path: Path) -> None:
    """The right file stands where the id says, and the other one holds the tensor too, with other values."""
    place = built(f"checkpoint/{slug}-right-one-{where}", tmp_path)
    assert [file for name, file in _pairs(place / INDEX) if name == _NORM] == order
    right = _truth("checkpoint/sharded")[_NORM][0]
    assert [read([place / file])[_NORM] == right for file in (LAST, FIRST)] == [True, False]


@pytest.mark.parametrize("slug", ["metadata-null", "total-size-text", "total-size-not-a-number", "with-deep-metadata"])
def test_odd_metadata_leave_the_map_as_it_is(slug: str, tmp_path: Path) -> None:
    """The weight map of an index whose metadata are odd is that of the plain one."""
    plain = dict(_pairs(_build(SHARDED, tmp_path / "plain") / INDEX))
    text = (built(f"checkpoint/index-{slug}", tmp_path / "odd") / INDEX).read_text(encoding="utf-8")
    start = text.index('"weight_map"')
    assert json.loads("{" + text[start:]) == {"weight_map": plain}


def test_a_shard_by_its_url_is_sound(tmp_path: Path) -> None:
    """The URL in the index is that of a whole shard beside the directory: who follows it reads the right values."""
    place = built("checkpoint/shard-by-file-url", tmp_path)
    (url,) = {file for _, file in _pairs(place / INDEX) if "://" in file}
    assert url == (tmp_path / "checkpoint-outside" / MIDDLE).as_uri()
    found = read([tmp_path / "checkpoint-outside" / MIDDLE])
    assert exactly(found).items() <= _truth("checkpoint/sharded").items()


@pytest.mark.parametrize("base", ["bf16", "tied-f16", "int8"])
def test_each_layout_is_another_one_and_the_truth_is_that_of_one_file(base: str) -> None:
    """No two layouts of a checkpoint are the same files, and the closed form of all of them is one."""
    layouts = [case for name, case in CASES.items() if name.startswith("checkpoint/layout-") and name.endswith(base)]
    layouts = [case for case in layouts if not case.id.endswith("-untied-tied-f16")]
    assert len({case.recipe.key() for case in layouts}) == len(layouts) >= 19
    plain = _truth(f"checkpoint/layout-one-file-{base}")
    assert [case.id for case in layouts if truths(case, case.calls[0])[0] != plain] == []


def test_a_layout_is_other_files(tmp_path: Path) -> None:
    """Every layout and rewriting of the BF16 checkpoint gives files of its own but those that end where they began."""
    seen: dict[str, str] = {}
    for case in CASES.values():
        if case.id.startswith("checkpoint/layout-") and case.id.endswith("-bf16"):
            place = built(case.id, tmp_path / case.id)
            files = manifest(place)
            seen[case.id] = json.dumps([[name, sha, (place / name).is_symlink()] for name, sha in files.items()])
    same = [name for name, text in seen.items() if list(seen.values()).count(text) > 1]
    assert same == ["checkpoint/layout-one-file-bf16", "checkpoint/layout-there-and-back-bf16"]


def test_the_slices_of_ranks_are_the_tensors(tmp_path: Path) -> None:
    """The rows of both ranks, put where the metadata say, are the tensors of the one file."""
    place = built("checkpoint/slices-of-ranks", tmp_path / "ranks")
    whole = _bytes_of(_build(SINGLE, tmp_path / "whole") / FILE)
    files = sorted(place.glob("*.safetensors"))
    pieces = [_bytes_of(file) for file in files]
    infos = [json.loads(json.loads(header_of(file)[0])["__metadata__"]["DCP_SHARDING_INFO"]) for file in files]
    for name, (shape, data) in whole.items():
        (first, _), _ = mine = [piece[name] for piece in pieces]
        assert [info[name]["saved_offsets"][0] for info in infos] == [0, first[0]]
        assert sum(piece_shape[0] for piece_shape, _ in mine) == shape[0]
        assert b"".join(each for _, each in mine) == data


def _bytes_of(path: Path) -> dict[str, tuple[list[int], bytes]]:
    """The shape and the bytes of each tensor, as the safetensors library reads them."""
    found = safetensors.deserialize(path.read_bytes())  # type: ignore[no-untyped-call]
    return {name: (entry["shape"], bytes(entry["data"])) for name, entry in found}


@pytest.mark.parametrize("name", ["modeling_own", "configuration_own", "__init__"])
def test_a_module_is_armed(name: str, tmp_path: Path) -> None:
    """Whoever imports a module of the checkpoint ends at once, and says so."""
    place = built("checkpoint/modules-that-the-configuration-names", tmp_path)
    ended = subprocess.run([sys.executable, place / f"{name}.py"], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (70, f"the module {name} of this checkpoint was executed")


@pytest.mark.parametrize(("slug", "file"), [("pkl", "model.pkl"), ("pth", "consolidated.00.pth")])
def test_a_pickle_is_armed_in_either_form(slug: str, file: str, tmp_path: Path) -> None:
    """Whoever opens the pickle without a guard, by itself or with torch, ends, and says so."""
    path = built(f"checkpoint/only-a-pickle-called-{slug}", tmp_path) / file
    opened = {
        "pkl": "import pickle; pickle.load(open(p, 'rb'))",
        "pth": "import torch; torch.load(p, weights_only=False)",
    }
    code = f"import sys; p = sys.argv[1]; {opened[slug]}"
    ended = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=False)
    assert ended.stderr.strip() == "the pickle of this checkpoint was executed"


@pytest.mark.parametrize(
    ("kind", "is_kind"),
    [("fifo", stat.S_ISFIFO), ("socket", stat.S_ISSOCK), ("directory", stat.S_ISDIR), ("endless", stat.S_ISLNK)],
)
def test_a_special_file_is_of_its_kind(kind: str, is_kind: Any, tmp_path: Path) -> None:
    """In place of the shard there is what the way says."""
    place = _build(SHARDED.then(step("make_special", MIDDLE, kind)), tmp_path)
    assert is_kind((place / MIDDLE).lstat().st_mode)


def test_a_cache_of_the_hub_is_one(tmp_path: Path) -> None:
    """The reference names the snapshot, whose files are relative links to blobs of the cache."""
    place = built("checkpoint/snapshot-in-a-cache", tmp_path)
    snapshot = place / SNAPSHOT
    assert (snapshot.parents[1] / "refs" / "main").read_text(encoding="ascii") == snapshot.name
    assert {path.readlink().parts[:3] for path in snapshot.iterdir()} == {("..", "..", "blobs")}
    assert {path.resolve().parent for path in snapshot.iterdir()} == {(snapshot.parents[1] / "blobs").resolve()}


def test_a_head_that_is_untied_is_the_embedding() -> None:
    """To untie stores the head once more, with the bytes of the embedding, and to tie takes it away."""
    untied, tied = (CASES[f"checkpoint/layout-{slug}-tied-f16"].recipe for slug in ("untied", "untied-and-tied"))
    assert isinstance(untied, CaseRecipe)
    assert isinstance(tied, CaseRecipe)
    stored = untied.stored().wanted
    assert stored[_HEAD] == stored[_EMBEDDING]
    assert tied.stored().wanted.keys() == stored.keys() - {_HEAD}


@pytest.mark.parametrize("slug", ["same-names-sizes-and-times", "same-shards-elsewhere"])
def test_nothing_but_the_bytes_tells_the_directories_apart(slug: str, tmp_path: Path) -> None:
    """Files of the same names in both directories have one size and one time, and the weights other bytes."""
    place = built(f"checkpoint/{slug}", tmp_path)
    seen = [
        {path.name: (path.stat().st_size, path.stat().st_mtime_ns) for path in (place / part / "model").iterdir()}
        for part in ("first", "second")
    ]
    assert seen[0] == seen[1]
    first, second = (manifest(place / part / "model") for part in ("first", "second"))
    assert {name for name in first if first[name] != second[name]} == {
        name for name in first if name.endswith(".safetensors")
    }


def test_five_shards_hold_five_values(tmp_path: Path) -> None:
    """Each shard holds the tensor with values of its own, and the one that the index names holds the right ones."""
    case_id = "checkpoint/copies-in-five-shards-the-third-counts"
    place, name = built(case_id, tmp_path), "model.layers.1.self_attn.q_proj.weight"
    found = [read([path])[name] for path in sorted(place.glob("*.safetensors"))]
    assert len(set(found)) == len(found) == 5
    assert found[2] == _truth(case_id)[name][0]


def test_more_shards_than_descriptors(tmp_path: Path) -> None:
    """There are more shards than the 1,024 files that a process may have open unless somebody raises that."""
    assert len(list(built("checkpoint/shards-beyond-a-thousand", tmp_path).glob("*.safetensors"))) == 1100


@pytest.mark.parametrize(
    ("way", "error"),
    [
        (step("reshard", "sideways", 2), KeyError),
        (step("respell_index", "sideways"), KeyError),
        (step("repeat_in_index", _NORM, FIRST, "between"), KeyError),
        (step("make_special", MIDDLE, "sideways"), KeyError),
        (step("arm", FILE, "sideways"), KeyError),
        (step("rewrite", "sideways"), ValueError),
        (step("replace_in_index", "weight", "w"), ValueError),
    ],
)
def test_a_way_that_does_not_exist_is_an_error(way: Step, error: type[Exception], tmp_path: Path) -> None:
    """A kind, a writing or a place that a way does not know, or a text that is there twice, stops the building."""
    with pytest.raises(error, match=r"sideways|between|does not stand in the index once"):
        _build(SHARDED.then(way), tmp_path)
