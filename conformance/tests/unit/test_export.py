"""The parts of an export: what is listed of files, what is put right in them, and how a case is spelled."""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from conformance.corpus import corpus
from conformance.engine.claims import METHODS, READ_BYTES
from conformance.engine.errors import SuiteError
from conformance.engine.selection import select
from conformance.engine.store import Store
from conformance.engine.verdict import Verdict
from conformance.export import case_file, exporting, tree
from conformance.tools.digest import BLOCK, manifest, sparse_digest

_FEW = select(corpus(), ("container/plain", "analysis/single-file"))


def listed(root: Path) -> dict[str, Any]:
    """The listing of a directory by path."""
    return {entry.pop("path"): entry for entry in tree.listing(root)}


def test_each_kind_of_file_is_told(tmp_path: Path) -> None:
    """Files by size and digest, links by their targets, and what cannot be read by its kind."""
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "file").write_bytes(b"abc")
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to("nowhere")
    (tmp_path / "folder").symlink_to("below")
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
    assert listed(tmp_path) == {
        "below/file": {"size": 3, "sha256": hashlib.sha256(b"abc").hexdigest()},
        "empty": {"directory": True},
        "link": {"link": "nowhere"},
        "folder": {"link": "below"},
        "pipe": {"special": "pipe"},
        "socket": {"special": "socket"},
    }


def test_a_sparse_file_is_digested_by_its_blocks(tmp_path: Path) -> None:
    """Each block with a byte that is no zero counts, with its offset: holes and zeros that are stored are the same."""
    size, block = 5 << 20, BLOCK
    places = {0: b"first", 3 * block + 7: b"within", size - 3: b"end"}
    with (tmp_path / "holes").open("wb") as file:
        for offset, data in places.items():
            file.seek(offset)
            file.write(data)
    content = (tmp_path / "holes").read_bytes()
    (tmp_path / "zeros").write_bytes(content)
    blocks = ((offset, content[offset : offset + block]) for offset in (0, 3 * block, (size - 1) // block * block))
    wanted = hashlib.sha256(b"".join(offset.to_bytes(8, "little") + data for offset, data in blocks)).hexdigest()
    assert (tmp_path / "holes").stat().st_blocks * 512 < size
    entry = {"size": size, "sparse": True, "sha256_of_blocks": wanted}
    assert listed(tmp_path) == {"holes": entry, "zeros": entry}
    assert manifest(tmp_path) == {"holes": wanted, "zeros": wanted}


@pytest.mark.parametrize("change", [{"offset": 1}, {"data": b"others"}])
def test_the_digest_of_blocks_sees_data_and_their_place(change: dict[str, Any], tmp_path: Path) -> None:
    """The same bytes in another block, and other bytes in the same, give another digest."""
    digests = set()
    for offset, data in ((0, b"within"), (change.get("offset", 0), change.get("data", b"within"))):
        with (tmp_path / "file").open("wb") as file:
            file.truncate(2 << 20)
            file.seek(offset * BLOCK)
            file.write(data)
        digests.add(listed(tmp_path)["file"]["sha256_of_blocks"])
    assert len(digests) == 2


def test_a_large_file_without_zeros_is_digested_whole(tmp_path: Path) -> None:
    """What has no block of zeros is a file like any other, whatever its size."""
    content = bytes(range(1, 256)) * 9000
    (tmp_path / "file").write_bytes(content)
    assert listed(tmp_path) == {"file": {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}}
    assert sparse_digest(tmp_path / "file") == ""


def test_what_names_a_place_is_put_right(tmp_path: Path) -> None:
    """JSON by its plain path and by its address, links by their targets, with their times; other files stay."""
    old, new = tmp_path / "a b.part", tmp_path / "ü"
    index = tmp_path / "index.json"
    index.write_text(json.dumps({"plain": str(old / "shard"), "address": (old / "shard").as_uri()}))
    os.utime(index, (1, 2))
    (tmp_path / "other.json").write_text("{}")
    (tmp_path / "text").write_text(str(old))
    (tmp_path / "link").symlink_to(old / "shard")
    assert tree.relocate(tmp_path, old, new) == ["index.json", "link"]
    assert json.loads(index.read_text()) == {"plain": str(new / "shard"), "address": (new / "shard").as_uri()}
    assert index.stat().st_mtime == 2
    assert (tmp_path / "link").readlink() == new / "shard"
    assert (tmp_path / "text").read_text() == str(old)


@pytest.mark.parametrize("value", [{}, [], [[]], {"a": {"b": [1, {"c": None}]}, "ü": [True, 1.5, "\n"]}, 2**64 - 1])
@pytest.mark.parametrize("depth", [0, 1, 2, 9])
def test_json_is_the_same_however_it_is_spread(value: object, depth: int) -> None:
    """The lines change nothing, and the inner levels have none."""
    text = case_file.spelled(value, depth)
    assert json.loads(text) == value
    assert text.count("\n") == 0 or depth > 0


def test_a_disk_that_is_full_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error is one of the suite, and names the directory; what was written is gone."""

    def full(_: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tree, "listing", full)
    with pytest.raises(SuiteError, match="No space left on device") as caught:
        exporting.export(_FEW, tmp_path / "export", Store(tmp_path / "store"))
    assert caught.value.subject == str(tmp_path / "export")
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_what_is_counted_is_there(tmp_path: Path) -> None:
    """Cases, checkpoints, files and bytes are those of the directory."""
    done = exporting.export(_FEW, tmp_path / "export", Store(tmp_path / "store"))
    files = [path for path in (tmp_path / "export").rglob("*") if path.is_file()]
    assert (done.cases, done.checkpoints, done.files) == (2, 2, len(files))
    assert done.logical_bytes == sum(path.stat().st_size for path in files)
    assert done.logical_bytes <= done.disk_bytes < done.logical_bytes + 4096 * len([*(tmp_path / "export").rglob("*")])


def test_the_readme_names_everything(tmp_path: Path) -> None:
    """Each member of a case, and each level, method and verdict that a program can get, is told in words."""
    exporting.export(_FEW, tmp_path / "export", Store(tmp_path / "store"))
    text = (tmp_path / "export" / "README.md").read_text(encoding="utf-8")
    told = set(re.findall(r"[`\"]([a-z_0-9]+)[`\"]", text))
    members = {name for path in (tmp_path / "export" / "cases").rglob("*.json") for name in _members(path)}
    apart = {Verdict.KNOWN_FAILURE, Verdict.ADAPTER_ERROR, Verdict.SUITE_ERROR}
    wanted = {*METHODS, *METHODS.values(), READ_BYTES, *(each.value for each in Verdict if each not in apart), *members}
    assert wanted - told == set()
    assert f"{len(_FEW)} cases" in text


def _members(path: Path) -> set[str]:
    """The names of the members of a case, its calls and its answers; of facts and tensors, those of the format."""
    case = json.loads(path.read_text(encoding="utf-8"))
    (call,) = case["calls"]
    (answer,) = call["expected"]["answers"]
    tensors = [each.keys() | each["alternatives"][0].keys() for each in answer.get("tensors", ())]
    return {*case, *call, *call["expected"], *answer, *case["clause"], *case["source"], *case["limits"]}.union(*tensors)


def test_the_readme_is_beside_the_code() -> None:
    """It comes with the package, and has the mark where the figures go once."""
    text = (Path(str(resources.files("conformance"))) / "export" / "README.md").read_text(encoding="utf-8")
    assert text.count("<!-- figures -->") == 1


@pytest.mark.parametrize(
    "name", ["weights/tied-head", "weights/bias-stored-and-not-declared", "weights/int8-asked-f32"]
)
def test_what_is_expected_is_told_whole(name: str, tmp_path: Path) -> None:
    """Kind, reasons, tensors that may be absent, each alternative, and what must be reported are those of the case."""
    store = Store(tmp_path / "store")
    (case,) = select(corpus(), (name,))
    exporting.export((case,), tmp_path / "export", store)
    told = json.loads((tmp_path / "export" / "cases" / f"{name}.json").read_text(encoding="utf-8"))
    (want,) = (call["expected"] for call in told["calls"])
    assert (want["kind"], want["reasons"]) == (case.expect.kind, [reason.value for reason in case.expect.reasons])
    assert len(want["answers"]) == len(case.expect.answers) > 0
    for found, answer in zip(want["answers"], case.expect.answers, strict=True):
        assert [(each["list"], each["name"]) for each in found["reported"]] == list(answer.reported)
        truth: Any = store.truth(case.level, case.calls[0], case.wanted_recipe(case.calls[0], answer), answer)
        assert {each["name"] for each in found["tensors"] if each["optional"]} == truth.optional
        alternatives = {
            each["name"]: tuple((one["dtype"], tuple(one["shape"]), one["sha256"]) for one in each["alternatives"])
            for each in found["tensors"]
        }
        assert alternatives == {tensor: tuple(map(tuple, one)) for tensor, one in truth.wanted.items()}
