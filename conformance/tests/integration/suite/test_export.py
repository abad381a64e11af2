"""The export, read back as an author in another language reads it: through the protocol, with a judge of its own."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import shutil
import subprocess
import sys
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from conformance.corpus import corpus
from conformance.engine.selection import select
from conformance.judging import Loader, judge_loader
from conformance.tests import tiny_judge
from conformance.tests.talking import Talk

if TYPE_CHECKING:
    from collections.abc import Callable

#: Some of every level, and of every kind: whole areas where they are small.
_SOME = (
    "container/p*", "checkpoint/shard-by-*", "checkpoint/s*ed", "checkpoint/stale-*", "weights/files-stale-*",
    "weights/scale*", "weights/tied-*", "parallel/t*", "parallel/*heads*", "model/*tied*", "analysis/t*", "analysis/f*",
    "limits/d*",
)  # fmt: skip
_FEW = ("checkpoint/shard-by-*", "analysis/single-file", "container/plain")
_SHIM = (sys.executable, "-m", "conformance.shim")
_MIB = 1 << 20


def run(directory: Path, *globs: str, **more: Any) -> subprocess.CompletedProcess[str]:
    """Runs ``python -m conformance export``."""
    selection = [part for glob in globs for part in ("--select", glob)]
    command = [sys.executable, "-m", "conformance", "export", str(directory), *selection]
    return subprocess.run(command, capture_output=True, text=True, check=False, **more)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export of some cases of every level."""
    directory = tmp_path_factory.mktemp("some") / "export"
    done = run(directory, *_SOME)
    assert (done.returncode, done.stderr) == (0, "")
    return directory


@pytest.fixture(scope="module")
def found(exported: Path) -> Callable[..., dict[str, str]]:
    """The verdicts on a program, from the export alone."""

    def judge(*command: str) -> dict[str, str]:
        talk = Talk(*command)
        try:
            return tiny_judge.verdicts(exported, talk)
        finally:
            talk.end()

    return judge


def test_the_selection_spans_all_levels(exported: Path) -> None:
    """What is read back has each level, and each kind of outcome."""
    cases = list(tiny_judge.cases(exported))
    assert len(cases) > 60
    assert {case["level"] for case in cases} == {case.level.value for case in corpus()}
    kinds = {call["expected"]["kind"] for case in cases for call in case["calls"] if call["judged"]}
    assert kinds == {"accept", "reject", "may"}


@pytest.mark.parametrize(
    ("loader", "without"), [("inferno", {"parallel"}), ("conformance.planted.right:Right", frozenset[str]())]
)
def test_right_loaders_agree_with_every_case(
    loader: str, without: set[str], exported: Path, found: Callable[..., dict[str, str]]
) -> None:
    """Each case that they claim passes, and they claim most of them, of every area that they have."""
    verdicts = found(*_SHIM, loader)
    assert {name: verdict for name, verdict in verdicts.items() if verdict != "pass"} == {}
    cases = [case["id"] for case in tiny_judge.cases(exported)]
    assert len(verdicts) > 0.7 * len(cases)
    assert {_area(name) for name in verdicts} >= {_area(name) for name in cases} - without


def _area(name: str) -> str:
    return name.partition("/")[0]


def test_a_wrong_loader_is_caught_in_the_same_cases(found: Callable[..., dict[str, str]]) -> None:
    """Two judges that share no line, one with nothing but the export, say the same of a loader that is often wrong."""
    mine = found(*_SHIM, "naive")
    ours = judge_loader(Loader("naive"), globs=_SOME).run.results
    theirs = {result.case.id: result.verdict.value for result in ours if result.verdict.value != "not_claimed"}
    assert mine == theirs
    assert {*mine.values()} >= {"wrong_values", "accepts_invalid", "pass"}


@pytest.mark.parametrize(("fake", "fails"), [("AlwaysRejects", "rejects_valid"), ("AlwaysWrong", "wrong_values")])
def test_loaders_that_do_one_thing_only_are_caught(fake: str, fails: str, found: Callable[..., dict[str, str]]) -> None:
    """Whoever refuses all, or takes all, fails."""
    assert fails in found(*_SHIM, f"conformance.planted.fakes:{fake}").values()


def test_a_reader_in_another_language_agrees(found: Callable[..., dict[str, str]]) -> None:
    """The one in JavaScript passes what it claims, asked from the files of the export."""
    verdicts = found("node", str(resources.files("conformance") / "adapters" / "node" / "reader.mjs"))
    assert len(verdicts) > 20
    assert {name: verdict for name, verdict in verdicts.items() if verdict != "pass"} == {}


def test_a_second_export_has_the_same_bytes(tmp_path: Path) -> None:
    """In the same place, every file and every link; in another place, what names the place differs and no more."""
    place, aside = tmp_path / "export", tmp_path / "aside"
    assert run(place, *_FEW).returncode == 0
    place.rename(aside)
    assert run(place, *_FEW).returncode == 0
    assert _contents(place) == _contents(aside)
    assert run(tmp_path / "other", *_FEW).returncode == 0
    differing = {name for name, content in _contents(tmp_path / "other").items() if content != _contents(place)[name]}
    assert differing == {*json.loads((place / "manifest.json").read_text())["bound_to_place"], "manifest.json"}


def _contents(root: Path) -> dict[str, bytes]:
    files = (path for path in root.rglob("*") if path.is_symlink() or path.is_file())
    return {
        path.relative_to(root).as_posix(): os.fsencode(path.readlink()) if path.is_symlink() else path.read_bytes()
        for path in files
    }


def test_a_case_that_is_bound_to_its_place_is_true_there(exported: Path) -> None:
    """The absolute path in its index is that of a file of the export, and the case says that it is bound."""
    (case,) = (each for each in tiny_judge.cases(exported) if each["id"] == "checkpoint/shard-by-absolute-path")
    assert case["bound_to_place"]
    index = json.loads((exported / case["checkpoint"] / "model.safetensors.index.json").read_text())
    (absolute,) = {Path(file) for file in index["weight_map"].values() if file.startswith("/")}
    assert absolute.is_relative_to(exported)
    assert absolute.is_file()


@pytest.mark.parametrize("kind", ["directory", "file"])
def test_what_is_there_is_left_alone(kind: str, tmp_path: Path) -> None:
    """A directory with something in it, or a file, is refused as wrong usage, and stays as it was."""
    path = tmp_path / "export"
    mine = path / "mine" if kind == "directory" else path
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("mine")
    done = run(path, *_FEW)
    assert (done.returncode, done.stdout) == (2, "")
    assert "[usage.invalid]" in done.stderr
    assert str(path) in done.stderr
    assert mine.read_text() == "mine"
    assert [each.name for each in tmp_path.iterdir()] == ["export"]


def test_an_empty_directory_is_taken(tmp_path: Path) -> None:
    """A directory that is there and empty is filled, and the parents of one that is not there are made."""
    assert run(tmp_path / "one" / "two", *_FEW).returncode == 0
    assert (tmp_path / "one" / "two" / "README.md").is_file()
    (tmp_path / "empty").mkdir()
    assert run(tmp_path / "empty", *_FEW).returncode == 0
    assert (tmp_path / "empty" / "manifest.json").is_file()


def test_a_disk_that_takes_no_more_leaves_nothing(tmp_path: Path) -> None:
    """A file that cannot be written is an error of the suite with its exit status, and no half export stays."""
    assert run(tmp_path / "whole", *_FEW).returncode == 0

    def small() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (16384, 16384))

    done = run(tmp_path / "export", *_FEW, preexec_fn=small)
    assert (done.returncode, done.stdout) == (4, "")
    assert "the export cannot be written" in done.stderr
    assert [each.name for each in tmp_path.iterdir()] == ["whole"]


def test_no_case_is_no_export(tmp_path: Path) -> None:
    """A selection that matches nothing is wrong usage."""
    done = run(tmp_path / "export", "nothing/*")
    assert (done.returncode, list(tmp_path.iterdir())) == (2, [])


def test_the_whole_corpus(tmp_path: Path) -> None:
    """Every case, every digest of the manifest, no file that it lacks, little disk, and nothing that names Python."""
    root = tmp_path / "export"
    done = run(root)
    assert (done.returncode, done.stderr) == (0, "")
    manifest = json.loads((root / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["cases"] == len(corpus()) == len(list(tiny_judge.cases(root)))
    assert {case["id"] for case in tiny_judge.cases(root)} == {case.id for case in select(corpus(), ())}
    entries = {entry.pop("path"): entry for entry in manifest["files"]}
    assert entries.keys() == {*_listed(root)} - {"manifest.json"}
    assert [name for name, entry in entries.items() if _described(root / name, manifest["block"]) != entry] == []
    assert sum(path.lstat().st_blocks * 512 for path in root.rglob("*")) < 1024 * _MIB
    assert {Path(name).suffix for name in entries if name.startswith("cases/")} == {".json", ".f64"}
    named = [name for name, entry in entries.items() if "sha256" in entry and _names(root / name, root)]
    assert sorted(named) == [name for name in manifest["bound_to_place"] if "sha256" in entries[name]]
    shutil.rmtree(root)


def _names(path: Path, root: Path) -> bool:
    """Whether a file names the export; none names the place in which the export was made."""
    content = path.read_bytes()
    assert f"{root.name}.".encode() not in content or b".part" not in content, path
    return os.fsencode(root) in content


def _listed(root: Path) -> list[str]:
    """Files, links and empty directories below a directory."""
    found = []
    for place, directories, files in os.walk(root):
        links = [name for name in directories if Path(place, name).is_symlink()]
        found += [Path(place, name) for name in [*files, *links]] or ([Path(place)] if not directories else [])
    return [path.relative_to(root).as_posix() for path in found]


def _described(path: Path, block: int) -> dict[str, Any]:
    """What the manifest must say of a path, told again after its README."""
    if path.is_symlink():
        return {"link": str(path.readlink())}
    if not path.is_file():
        return {"directory": True} if path.is_dir() else {"special": "pipe" if path.is_fifo() else "socket"}
    size = path.stat().st_size
    if size <= _MIB:
        return {"size": size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    blocks, plain = hashlib.sha256(), hashlib.sha256()
    offset, zeros = 0, False
    with path.open("rb") as file:
        while offset < size:
            data = _next_data(file.fileno(), offset, size)
            if data >= min(offset + block, size):
                # Block by block, the hundreds of gigabytes of holes would take half a minute.
                offset, zeros = (size if data == size else data // block * block), True
                continue
            file.seek(offset)
            piece = file.read(block)
            plain.update(piece)
            if piece.count(0) == len(piece):
                zeros = True
            else:
                blocks.update(offset.to_bytes(8, "little") + piece)
            offset += block
    if zeros:
        return {"size": size, "sparse": True, "sha256_of_blocks": blocks.hexdigest()}
    return {"size": size, "sha256": plain.hexdigest()}


def _next_data(descriptor: int, offset: int, size: int) -> int:
    """Where the next byte is that is in no hole."""
    try:
        return os.lseek(descriptor, offset, os.SEEK_DATA)
    except OSError:
        return size
