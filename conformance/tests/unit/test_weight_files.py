"""Which files of a directory are its weights: one set, never a mixture, and never by the order of a listing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from conformance.tests.support import become_nobody, refused, unprivileged, write_index
from inferno_loader.errors import (
    AmbiguousWeightsError,
    CheckpointError,
    IncompleteShardsError,
    NoWeightsError,
    PickleOnlyError,
    UnreadableFileError,
)
from inferno_loader.weight_files import WeightFiles, choose_weight_files, list_names

if TYPE_CHECKING:
    from inferno_loader.weight_files import WeightsChoice

pytestmark = pytest.mark.torch_free

_SINGLE = "model.safetensors"
_INDEX = "model.safetensors.index.json"
_PAIR = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
_META = ("consolidated-00001-of-00002.safetensors", "consolidated-00002-of-00002.safetensors")


def _fill(directory: Path, *names: str) -> Path:
    """Empty files: which files are weights is told by names and indexes alone."""
    for name in names:
        (directory / name).touch()
    return directory


def _indexed(directory: Path, *shards: str) -> Path:
    write_index(directory, {f"t{number}": shard for number, shard in enumerate(shards)})
    return directory


def _notes(files: WeightFiles) -> list[tuple[str, str, str]]:
    return [(finding.code, finding.severity, Path(finding.path or "").name) for finding in files.findings]


def test_one_file_is_its_directory_and_its_name(tmp_path: Path) -> None:
    """A path to a file is that file and nothing beside it, there or not."""
    found = choose_weight_files(_fill(tmp_path, *_PAIR) / _PAIR[1], None)
    assert found == WeightFiles(tmp_path, (_PAIR[1],), "single")
    assert choose_weight_files(tmp_path / "absent", None) == WeightFiles(tmp_path, ("absent",), "single")


def test_a_path_to_an_index_is_its_shards(tmp_path: Path) -> None:
    """An index may have any name before its ending, and Meta's has Meta's names."""
    path = write_index(tmp_path, {"a": "x.safetensors", "b": "w.safetensors"})
    found = choose_weight_files(path, None)
    assert (found.root, found.names, found.layout) == (tmp_path, ("w.safetensors", "x.safetensors"), "index")
    other = path.rename(tmp_path / "consolidated.safetensors.index.json")
    assert (found.naming, choose_weight_files(other, None).naming) == ("standard", "consolidated")


@pytest.mark.parametrize(
    ("names", "layout", "weights", "naming"),
    [
        ((_SINGLE,), "single", (_SINGLE,), "standard"),
        (_PAIR[::-1], "shards", _PAIR, "standard"),
        (("model-00001-of-00001.safetensors",), "shards", ("model-00001-of-00001.safetensors",), "standard"),
        (("consolidated.safetensors",), "single", ("consolidated.safetensors",), "consolidated"),
        (_META, "shards", _META, "consolidated"),
    ],
    ids=["single", "shards", "one shard", "consolidated", "consolidated shards"],
)
def test_a_directory_of_one_set(
    tmp_path: Path, names: tuple[str, ...], layout: str, weights: tuple[str, ...], naming: str
) -> None:
    """Other files of a checkpoint change nothing."""
    others = ("config.json", "tokenizer.json", "pytorch_model.bin", "tf_model.h5", "training_args.bin")
    found = choose_weight_files(_fill(tmp_path, *names, *others), None)
    assert (found.root, found.names, found.layout, found.naming, found.index) == (
        tmp_path,
        weights,
        layout,
        naming,
        None,
    )


@pytest.mark.parametrize("names", [_PAIR, (), ("extra.safetensors",)], ids=["there", "absent", "another there"])
def test_an_index_speaks_for_its_shards(tmp_path: Path, names: tuple[str, ...]) -> None:
    """The index decides, whether its shards are there or not; what it does not name is noted and never read."""
    found = choose_weight_files(_indexed(_fill(tmp_path, *names), *_PAIR), None)
    assert (found.names, found.layout) == (_PAIR, "index")
    assert found.index is not None
    assert _notes(found) == [("checkpoint.ignored_file", "note", name) for name in names if name not in _PAIR]


@pytest.mark.parametrize("weights", [(_SINGLE,), _PAIR, _META], ids=["single", "shards", "consolidated"])
def test_a_hidden_file_is_no_weight_file(tmp_path: Path, weights: tuple[str, ...]) -> None:
    """The attributes that macOS leaves beside each file, and a hidden copy, are neither read nor noted."""
    _fill(tmp_path, *weights, *(f"._{name}" for name in weights), ".model.safetensors")
    found = choose_weight_files(tmp_path, None)
    assert found.names == weights
    assert not [note for note in _notes(found) if note[0] == "checkpoint.ignored_file"]


def test_an_index_may_name_files_without_numbers(tmp_path: Path) -> None:
    """Its shards are those that it names, whatever they are called; another file of that kind is noted."""
    _fill(tmp_path, "a.safetensors", "model-mtp.safetensors", "z.safetensors")
    found = choose_weight_files(_indexed(tmp_path, "z.safetensors", "a.safetensors"), None)
    assert (found.names, found.layout) == (("a.safetensors", "z.safetensors"), "index")
    assert _notes(found) == [("checkpoint.ignored_file", "note", "model-mtp.safetensors")]


def test_of_two_sets_of_shards_the_index_names_one(tmp_path: Path) -> None:
    """A second set, whole in itself, is noted and never read."""
    others = [f"model-{number:05}-of-00003.safetensors" for number in (1, 2, 3)]
    found = choose_weight_files(_indexed(_fill(tmp_path, *_PAIR, *others), *_PAIR), None)
    assert found.names == _PAIR
    assert _notes(found) == [("checkpoint.ignored_file", "note", name) for name in others]


@pytest.mark.parametrize("meta", [("consolidated.safetensors",), _META], ids=["single", "shards"])
@pytest.mark.parametrize("index", [False, True], ids=["no index", "index"])
def test_consolidated_files_are_never_mixed_with_others(tmp_path: Path, meta: tuple[str, ...], *, index: bool) -> None:
    """Beside Hugging Face's files, Meta's are the same model once more."""
    _fill(tmp_path, *_PAIR, *meta)
    found = choose_weight_files(_indexed(tmp_path, *_PAIR) if index else tmp_path, None)
    assert (found.names, found.naming) == (_PAIR, "standard")
    assert set(meta) <= {name for _, _, name in _notes(found)}
    assert choose_weight_files(tmp_path, "consolidated").names == meta


def test_an_index_of_consolidated_files(tmp_path: Path) -> None:
    """Alone, Meta's index is followed."""
    write_index(tmp_path, {"a": _META[0]}).rename(tmp_path / "consolidated.safetensors.index.json")
    found = choose_weight_files(tmp_path, None)
    assert (found.names, found.layout, found.naming) == ((_META[0],), "index", "consolidated")


def test_shards_without_an_index_are_noted(tmp_path: Path) -> None:
    """Nothing but their numbers says that they are all there."""
    found = choose_weight_files(_fill(tmp_path, *_PAIR), None)
    assert _notes(found) == [("shards.no_index", "note", tmp_path.name)]


def test_the_only_file_may_have_any_name(tmp_path: Path) -> None:
    """Others will not find it under that name, so it is noted."""
    found = choose_weight_files(_fill(tmp_path, "weights.safetensors"), None)
    assert (found.names, found.layout) == (("weights.safetensors",), "single")
    assert _notes(found) == [("checkpoint.file_name", "note", "weights.safetensors")]


def test_a_single_file_beside_others_is_the_one_of_the_standard_name(tmp_path: Path) -> None:
    """Adapters and the like lie beside the model: noted, never read."""
    found = choose_weight_files(_fill(tmp_path, _SINGLE, "adapter_model.safetensors"), None)
    assert (found.names, found.layout) == ((_SINGLE,), "single")
    assert _notes(found) == [("checkpoint.ignored_file", "note", "adapter_model.safetensors")]


def test_an_index_that_names_only_the_single_file_is_no_ambiguity(tmp_path: Path) -> None:
    """Both say the same."""
    found = choose_weight_files(_indexed(_fill(tmp_path, _SINGLE), _SINGLE), None)
    assert (found.names, found.layout) == ((_SINGLE,), "index")


@pytest.mark.parametrize(
    ("index", "files", "choices"),
    [
        (_PAIR, (_SINGLE, *_PAIR), {"index": _PAIR, "single": (_SINGLE,)}),
        (_PAIR, (_SINGLE,), {"index": _PAIR, "single": (_SINGLE,)}),
        ((), (_SINGLE, *_PAIR), {"shards": _PAIR, "single": (_SINGLE,)}),
        ((_SINGLE, "x.safetensors"), (_SINGLE,), {"index": (_SINGLE, "x.safetensors"), "single": (_SINGLE,)}),
    ],
    ids=["index", "stale index", "shards", "index of more"],
)
def test_two_sets_are_ambiguous_until_the_caller_chooses(
    tmp_path: Path, index: tuple[str, ...], files: tuple[str, ...], choices: dict[WeightsChoice, tuple[str, ...]]
) -> None:
    """One of the two is stale, and nothing says which: the remedy names the choices, and each of them is kept."""
    _fill(tmp_path, *files)
    if index:
        _indexed(tmp_path, *index)
    error = refused(
        lambda: choose_weight_files(tmp_path, None),
        AmbiguousWeightsError,
        code="checkpoint.ambiguous",
        path=tmp_path,
        expected="one set",
        actual="single: model.safetensors",
        remedy=" or ".join(f'weights="{choice}"' for choice in choices),
    )
    assert all(f"{choice}: " in str(error.actual) for choice in choices)
    for choice, names in choices.items():
        assert choose_weight_files(tmp_path, choice).names == names


@pytest.mark.parametrize(
    ("names", "choice"),
    [
        ((_SINGLE,), "index"),
        ((_SINGLE,), "shards"),
        ((_SINGLE,), "consolidated"),
        (_PAIR, "single"),
        (_PAIR, "consolidated"),
        (_META, "shards"),
        ((), "single"),
    ],
)
def test_a_choice_that_is_not_there(tmp_path: Path, names: tuple[str, ...], choice: WeightsChoice) -> None:
    """The caller's choice is never replaced by another."""
    error = refused(
        lambda: choose_weight_files(_fill(tmp_path, *names), choice),
        CheckpointError,
        code="checkpoint.invalid",
        path=tmp_path,
        expected=choice,
        actual=names[0] if names else "an empty directory",
        remedy="choose a kind that is there",
    )
    assert repr(choice) in error.problem


@pytest.mark.parametrize(
    ("names", "expected", "actual"),
    [
        (("model-00001-of-00003.safetensors", "model-00003-of-00003.safetensors"), "3 shards", "2 shards: 1, 3"),
        (("model-00001-of-00003.safetensors", "model-00002-of-00003.safetensors"), "3 shards", "2 shards: 1, 2"),
        (("model-00000-of-00002.safetensors", "model-00001-of-00002.safetensors"), "2 shards", "2 shards: 0, 1"),
        (("model-00001-of-00002.safetensors", "model-1-of-00002.safetensors"), "2 shards", "2 shards: 1, 1"),
        (("model-00003-of-00002.safetensors", "model-00001-of-00002.safetensors"), "2 shards", "2 shards: 1, 3"),
        (("model-000000001-of-999999999.safetensors",), "999999999 shards", "1 shards: 1"),
        (("model-00000-of-00000.safetensors",), "0 shards", "1 shards: 0"),
    ],
    ids=["a gap", "the last absent", "from zero", "one twice", "beyond the last", "a huge number", "of none"],
)
def test_shards_that_are_not_all_there(tmp_path: Path, names: tuple[str, ...], expected: str, actual: str) -> None:
    """Without an index, only complete numbering shows that nothing is missing."""
    refused(
        lambda: choose_weight_files(_fill(tmp_path, *names), None),
        IncompleteShardsError,
        code="shards.incomplete",
        path=tmp_path,
        expected=expected,
        actual=actual,
        remedy="download the missing shards",
    )


@pytest.mark.parametrize(
    "others",
    [
        [f"model-{number:05}-of-00003.safetensors" for number in (1, 2, 3)],
        ["old-00001-of-00001.safetensors"],
        ["shard-00001-model-00001-of-00002.safetensors"],
    ],
    ids=["another count", "another stem", "one of a rank"],
)
def test_several_sets_of_shards_without_an_index(tmp_path: Path, others: list[str]) -> None:
    """Nothing says which set counts."""
    refused(
        lambda: choose_weight_files(_fill(tmp_path, *_PAIR, *others), None),
        AmbiguousWeightsError,
        code="checkpoint.ambiguous",
        path=tmp_path,
        expected="one set",
        actual="model-*-of-2",
        remedy="download the index",
    )


def test_several_files_without_numbers_or_index(tmp_path: Path) -> None:
    """Nothing says whether they are all there."""
    refused(
        lambda: choose_weight_files(_fill(tmp_path, "a.safetensors", "b.safetensors"), None),
        IncompleteShardsError,
        code="shards.incomplete",
        path=tmp_path,
        expected="or an index",
        actual="a.safetensors, b.safetensors",
        remedy="download the index",
    )


@pytest.mark.parametrize(
    "names",
    [("pytorch_model.bin", "pytorch_model.bin.index.json"), ("consolidated.00.pth",), ("model.ckpt",), ("m.pkl",)],
    ids=lambda names: names[0],
)
def test_only_pickles(tmp_path: Path, names: tuple[str, ...]) -> None:
    """Pickles are never opened; the remedy says how to convert them where they came from."""
    refused(
        lambda: choose_weight_files(_fill(tmp_path, "config.json", *names), None),
        PickleOnlyError,
        code="checkpoint.pickle",
        path=tmp_path,
        expected="*.safetensors",
        actual=names[0],
        remedy="save_pretrained",
    )


@pytest.mark.parametrize(
    ("names", "actual"),
    [
        ((), "an empty directory"),
        (("config.json", "README.md"), "README.md, config.json"),
        (("config.json", "model.npz"), "model.npz"),
        (("model.safetensors.incomplete",), "model.safetensors.incomplete"),
    ],
    ids=["empty", "others", "arrays", "unfinished"],
)
def test_no_weights(tmp_path: Path, names: tuple[str, ...], actual: str) -> None:
    """The error says which names were looked for, and what is there instead."""
    refused(
        lambda: choose_weight_files(_fill(tmp_path, *names), None),
        NoWeightsError,
        code="checkpoint.no_weights",
        path=tmp_path,
        expected=_INDEX,
        actual=actual,
        remedy="name the directory that holds the weights",
    )


def test_names_are_listed_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The order in which the system lists a directory decides nothing."""
    listed = [tmp_path / name for name in ("b", "a", "c")]
    monkeypatch.setattr(Path, "iterdir", lambda _: iter(listed))
    assert list_names(tmp_path) == ["a", "b", "c"]


def test_a_directory_that_may_not_be_listed() -> None:
    """A closed directory is unreadable, not empty."""
    with unprivileged() as directory:
        closed = directory / "closed"
        closed.mkdir(mode=0)
        become_nobody()
        refused(
            lambda: choose_weight_files(closed, None),
            UnreadableFileError,
            code="file.unreadable",
            path=closed,
            expected=None,
            actual="Permission denied",
            remedy="check the path and the permissions",
        )


def test_a_path_that_may_not_be_searched_is_taken_for_a_file() -> None:
    """What cannot be looked at is no directory, and opening it will say why."""
    with unprivileged() as directory:
        (directory / "closed").mkdir(mode=0)
        become_nobody()
        path = directory / "closed" / "model"
        assert choose_weight_files(path, None) == WeightFiles(path.parent, ("model",), "single")


def test_a_kind_that_does_not_exist_is_refused_with_those_that_do(tmp_path: Path) -> None:
    """A caller who chooses a kind of weights that nobody knows is told the kinds, and gets no KeyError."""
    with pytest.raises(CheckpointError) as caught:
        choose_weight_files(tmp_path, "nonsense")  # type: ignore[arg-type]
    assert "index, single, shards, consolidated" in str(caught.value.expected)


@pytest.mark.parametrize("names", [("any.gguf",), ("m-00001-of-00002.gguf", "m-00002-of-00002.gguf")], ids=len)
def test_a_directory_of_gguf(names: tuple[str, ...], tmp_path: Path) -> None:
    """One file of any name, or numbered parts, are a set; pickles beside it are never looked at."""
    found = choose_weight_files(_fill(tmp_path, *names, "config.json", "pytorch_model.bin"), None)
    assert (found.names, found.layout, found.findings) == (names, "single" if len(names) == 1 else "shards", ())
    assert choose_weight_files(tmp_path, "gguf") == found
    assert choose_weight_files(tmp_path / names[-1], None).names == names


@pytest.mark.parametrize("others", [(_SINGLE,), _PAIR, ("consolidated.safetensors",), ("b.gguf",)], ids=len)
def test_gguf_beside_other_weights_is_ambiguous(others: tuple[str, ...], tmp_path: Path) -> None:
    """Beside any set of safetensors, and beside another GGUF, the caller is asked."""
    _fill(tmp_path, "a.gguf", *others)
    with pytest.raises(AmbiguousWeightsError) as caught:
        choose_weight_files(tmp_path, None)
    assert "a.gguf" in str(caught.value.actual)
