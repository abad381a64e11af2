"""The adapter in JavaScript: a strict reader, driven through its standard streams and held against the oracle.

Node.js is part of the tools of this project: where it is missing, these tests fail.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from conformance.engine.claims import CONTAINER_DTYPES
from conformance.engine.performing import check_hello
from conformance.engine.reasons import Reason
from conformance.tests.support import entry, pack, tiled, write, write_index, write_sparse, write_tiled
from conformance.tests.talking import Talk
from conformance.tools.container import Spec
from conformance.tools.recipe import NAMED, Layout, Recipe
from conformance.tools.scenario import Scenario
from conformance.tools.steps import step
from conformance.tools.tensor_file import TensorFile
from conformance.tools.truth import SUB_BYTE, TensorDigest, Tensors, tensor_digest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.tools.steps import Step

_READER = Path(__file__).parents[2] / "adapters" / "node" / "reader.mjs"
_MIB = 1 << 20
_W = entry("F32", [2], 0, 8)
_SMALL = {"num_hidden_layers": 1, "hidden_size": 6, "head_dim": 4, "num_attention_heads": 2, "vocab_size": 11}
_SHARDED = Recipe(config={**_SMALL, "intermediate_size": 5}, layout=Layout("by_count", 3))
_SHARDS = tuple(f"model-0000{number}-of-00003.safetensors" for number in (1, 2, 3))
#: In the last shard, and in the one in the middle.
_NORM, _MIDDLE = "model.norm.weight", "model.layers.0.mlp.up_proj.weight"


@pytest.fixture(scope="module")
def reader() -> Iterator[Talk]:
    """One program for all tests of this module, as one serves many cases."""
    node = shutil.which("node")
    assert node, "node is not installed"
    talk = Talk(node, _READER)
    assert "hello" in talk.hello()
    yield talk
    assert talk.end()[:2] == (0, b"")


def found(answer: dict[str, Any]) -> dict[str, TensorDigest]:
    """The tensors of an answer."""
    assert "tensors" in answer, answer
    return {
        name: TensorDigest(each["dtype"], tuple(each["shape"]), each["sha256"])
        for name, each in answer["tensors"].items()
    }


def wanted(truth: Tensors) -> dict[str, TensorDigest]:
    """The tensors of a truth that leaves no choice, those below a byte as raw bytes."""
    return {name: digest for name, (digest,) in truth.wanted.items()}


def reason(answer: dict[str, Any]) -> str:
    """Why an answer refuses. It tells a type and a message, and its reason is a code of the suite."""
    assert "error" in answer, answer
    error = answer["error"]
    assert error["type"] == "Refusal"
    assert error["message"]
    assert error["unsupported"] is False
    return str(Reason(error["reason"]))


def read(reader: Talk, path: Path) -> dict[str, Any]:
    """What the program answers for a file."""
    answer = reader.ask(id=7, method="read_file", path=str(path))
    assert answer["id"] == 7
    return answer


def read_all(reader: Talk, directory: Path) -> dict[str, Any]:
    """What the program answers for a checkpoint."""
    return reader.ask(id=8, method="read_checkpoint", directory=str(directory))


def test_hello_keeps_the_contract(reader: Talk) -> None:
    """It claims two levels, its layouts and every dtype, nothing else; and the hello may be asked for again."""
    hello = reader.hello()["hello"]
    check_hello(hello)
    assert (hello["protocol"], hello["name"], hello["language"]) == (1, "node-reader", "JavaScript")
    assert hello["levels"] == ["container", "checkpoint"]
    assert set(hello["claims"]) == {"sharded", "indexless", *(f"dtype:{dtype}" for dtype in CONTAINER_DTYPES)}
    assert (hello["reasons"], hello["reports"]) == (True, True)


def test_another_protocol_is_not_spoken(reader: Talk) -> None:
    """A runner of another version is told so, and no hello is given."""
    answer = reader.ask(id=0, method="hello", protocol=2)
    assert answer == {"id": 0, "broken": "protocol 2 is not spoken here, but 1"}


@pytest.mark.parametrize("method", ["logits", "toString", "__proto__"])
def test_a_method_that_is_not_offered(reader: Talk, method: str) -> None:
    """What is asked for and not there is the program's fault, not the checkpoint's."""
    assert reader.ask(id=3, method=method) == {"id": 3, "broken": f"there is no method {method}"}


def test_every_dtype_as_stored(reader: Talk, tmp_path: Path) -> None:
    """Dtype, shape and bytes are those of the closed form; elements below a byte come as raw bytes."""
    case = Scenario(TensorFile(tuple(Spec(f"t.{dtype}", dtype, (3, 8)) for dtype in CONTAINER_DTYPES)))
    case.build(tmp_path)
    answer = found(read(reader, tmp_path / "model.safetensors"))
    for name, digest in wanted(case.stored()).items():
        raw = digest.dtype in SUB_BYTE
        nbytes = 24 * {"F4": 4, "F6_E2M3": 6, "F6_E3M2": 6}.get(digest.dtype, 8) // 8
        assert answer.pop(name) == (TensorDigest("U8", (nbytes,), digest.sha256) if raw else digest)
    assert answer == {}


@pytest.mark.parametrize("filler", range(8))
def test_data_begin_behind_the_header(reader: Talk, tmp_path: Path, filler: int) -> None:
    """Whatever the length of the header is modulo 8, nothing is rounded."""
    case = Scenario(
        TensorFile((Spec("w", "BF16", (3,)), Spec("v", "F32", (5,))), (("x", "x" * filler),), "name-unpadded"),
    )
    case.build(tmp_path)
    assert found(read(reader, tmp_path / "model.safetensors")) == wanted(case.stored())


@pytest.mark.parametrize("order", [1, -1])
def test_bytes_follow_the_offsets(reader: Talk, tmp_path: Path, order: int) -> None:
    """Empty tensors and scalars stand anywhere, and the order of the entries means nothing."""
    header = tiled(
        ("first", "F32", [0]), ("a", "F32", [2]), ("middle", "U8", [3, 0, 2]), ("s", "F64", []), ("b", "I8", [3]),
        ("last", "BOOL", [0]),
    )  # fmt: skip
    data = bytes(range(19))
    path = write(tmp_path / "x.safetensors", dict(list(header.items())[::order]), data)
    assert found(read(reader, path)) == {
        name: tensor_digest(each["dtype"], each["shape"], data[slice(*each["data_offsets"])])
        for name, each in header.items()
    }


_NAMES = ["", "__proto__", "constructor", "größe", "层", "🦙", "a\0b", 'quote " and \\', "\u2028", "x" * 5000]


@pytest.mark.parametrize("escaped", [True, False])
def test_names_are_any_text(reader: Talk, tmp_path: Path, escaped: bool) -> None:
    """Names of every kind come back as they are, written with escapes or without."""
    header = tiled(*((name, "U8", [1]) for name in _NAMES))
    path = write(tmp_path / "x.safetensors", json.dumps(header, ensure_ascii=escaped).encode(), bytes(range(10)))
    digests = found(read(reader, path))
    assert digests == {name: tensor_digest("U8", (1,), bytes([at])) for at, name in enumerate(_NAMES)}


_GOOD = {
    "no tensors": (b"{}", b""),
    "padding": (json.dumps({"w": _W}).encode() + b" \n\r\t" * 9, b"8 bytes!"),
    "white space inside": (json.dumps({"w": _W}, indent=3).encode(), b"8 bytes!"),
    "metadata": ({"__metadata__": {"format": "pt", "": "\u00e9"}, "w": _W}, b"8 bytes!"),
    "empty metadata": ({"w": _W, "__metadata__": {}}, b"8 bytes!"),
    "unknown field": ({"w": {**_W, "extra": [None, True, {"deep": [-1.5e-3]}]}}, b"8 bytes!"),
    "escaped fields": (json.dumps({"w": _W}).replace("dtype", "\\u0064type").encode(), b"8 bytes!"),
    "nesting that is allowed": (
        json.dumps({"w": {**_W, "x": 0}}).replace(": 0}", ": " + "[" * 125 + "]" * 125 + "}").encode(),
        b"8 bytes!",
    ),
}


@pytest.mark.parametrize("name", _GOOD)
def test_a_sound_header(reader: Talk, tmp_path: Path, name: str) -> None:
    """Padding, metadata and fields that nobody knows do not change what a file holds."""
    header, data = _GOOD[name]
    truth = {"w": tensor_digest("F32", (2,), data)} if data else {}
    assert found(read(reader, write(tmp_path / "x.safetensors", header, data))) == truth


def _spelled(field: str, text: str) -> bytes:
    """The header of one tensor of eight bytes, one field of which is spelled by hand."""
    fields = {"dtype": '"F32"', "shape": "[2]", "data_offsets": "[0,8]", field: text}
    return ('{"w":{' + ",".join(f'"{key}":{value}' for key, value in fields.items()) + "}}").encode()


_TWO = tiled(("a", "U8", [4]), ("b", "U8", [4]))
_DEEP = {
    depth: json.dumps({"w": {**_W, "x": 0}}).replace(": 0}", ": " + "[" * depth + "]" * depth + "}").encode()
    for depth in (126, 100_000)
}
_BAD: dict[str, tuple[object, int, str]] = {
    # The JSON of the header, and its text.
    "no header": (b"", 8, "header_json"),
    "a list": (b"[]", 0, "header_json"),
    "white space before the brace": (b" " + json.dumps({"w": _W}).encode(), 8, "header_json"),
    "byte order mark": (b"\xef\xbb\xbf" + json.dumps({"w": _W}).encode(), 8, "header_json"),
    "no UTF-8": (json.dumps({"w": _W}).encode().replace(b"w", b"\xff"), 8, "header_json"),
    "padding of NUL": (json.dumps({"w": _W}).encode() + b"\0", 8, "header_json"),
    "two objects": (b"{}{}", 0, "header_json"),
    "cut off": (json.dumps({"w": _W}).encode()[:-1], 8, "header_json"),
    "a comma too many": (b"{" + json.dumps({"w": _W}).encode()[1:-1] + b",}", 8, "header_json"),
    "a comment": (b"/**/" + json.dumps({"w": _W}).encode(), 8, "header_json"),
    "single quotes": (json.dumps({"w": _W}).encode().replace(b'"', b"'"), 8, "header_json"),
    "NaN": (_spelled("x", "NaN"), 8, "header_json"),
    "a number out of range": (_spelled("x", "1e999"), 8, "header_json"),
    "a number of a million digits": (_spelled("shape", f"[{'9' * 1_000_000}]"), 8, "header_json"),
    "a leading zero": (_spelled("shape", "[02]"), 8, "header_json"),
    "a control character": (json.dumps({"w": _W}).encode().replace(b"w", b"\n"), 8, "header_json"),
    "no such escape": (json.dumps({"w": _W}).encode().replace(b"w", b"\\x"), 8, "header_json"),
    "half a pair": (json.dumps({"w": _W}).encode().replace(b"w", b"\\ud83e"), 8, "header_json"),
    "nested too deeply": (_DEEP[126], 8, "header_json"),
    "nested to exhaust a stack": (_DEEP[100_000], 8, "header_json"),
    # Keys that stand twice.
    "a name twice": (b'{"w":%b,"w":%b}' % ((json.dumps(_W).encode(),) * 2), 8, "duplicate_key"),
    "a name twice, once escaped": (b'{"w":%b,"\\u0077":%b}' % ((json.dumps(_W).encode(),) * 2), 8, "duplicate_key"),
    "a field twice": (_spelled("dtype", '"F32","dtype":"I32"'), 8, "duplicate_key"),
    "metadata twice": (b'{"__metadata__":{},"__metadata__":{}}', 0, "duplicate_key"),
    "a key twice in metadata": (b'{"__metadata__":{"a":"1","a":"2"}}', 0, "duplicate_key"),
    # Metadata.
    "metadata null": (b'{"__metadata__":null}', 0, "metadata"),
    "metadata with a number": (b'{"__metadata__":{"step":3}}', 0, "metadata"),
    "a tensor called as the metadata": ({"__metadata__": _W}, 8, "metadata"),
    # Entries.
    "no object": ({"w": [2]}, 8, "header_entry"),
    "no dtype": ({"w": {key: _W[key] for key in ("shape", "data_offsets")}}, 8, "header_entry"),
    "no shape": ({"w": {key: _W[key] for key in ("dtype", "data_offsets")}}, 8, "header_entry"),
    "no offsets": ({"w": {key: _W[key] for key in ("dtype", "shape")}}, 8, "header_entry"),
    "unknown dtype": (_spelled("dtype", '"F7"'), 8, "unknown_dtype"),
    "dtype in small letters": (_spelled("dtype", '"f32"'), 8, "unknown_dtype"),
    "a size as a float": (_spelled("shape", "[2.0]"), 8, "header_entry"),
    "a size with an exponent": (_spelled("shape", "[2e0]"), 8, "header_entry"),
    "a size as text": (_spelled("shape", '["2"]'), 8, "header_entry"),
    "a size as a boolean": (_spelled("shape", "[true,2]"), 8, "header_entry"),
    "negative sizes": (_spelled("shape", "[-1,-2]"), 8, "header_entry"),
    "minus zero": (_spelled("data_offsets", "[-0,8]"), 8, "header_entry"),
    "an offset as a float": (_spelled("data_offsets", "[0,8.0]"), 8, "header_entry"),
    "three offsets": (_spelled("data_offsets", "[0,4,8]"), 8, "header_entry"),
    "one offset": (_spelled("data_offsets", "[8]"), 8, "header_entry"),
    "offsets exchanged": (_spelled("data_offsets", "[8,0]"), 8, "header_entry"),
    # Sizes.
    "another size": (_spelled("shape", "[3]"), 8, "size_mismatch"),
    "half a byte": ({"w": entry("F4", [3], 0, 2)}, 2, "size_mismatch"),
    "elements that wrap to the right count": (_spelled("shape", f"[2,{2**63 + 1}]"), 8, "overflow"),
    "bytes that wrap to the right count": (_spelled("shape", f"[{2**62 + 2}]"), 8, "overflow"),
    "a size above 64 bits": (_spelled("shape", f"[{2**64 + 2}]"), 8, "overflow"),
    "a size of three hundred digits": (_spelled("shape", f"[{'9' * 300}]"), 8, "overflow"),
    "offsets above 64 bits": (_spelled("data_offsets", f"[{2**64},{2**64 + 8}]"), 8, "overflow"),
    "sizes too large before a zero": ({"w": entry("U8", [2**63, 4, 0], 0, 0)}, 0, "overflow"),
    "sizes too large behind a zero": ({"w": entry("U8", [0, 2**63, 4], 0, 0)}, 0, "overflow"),
    # Places.
    "a hole in the middle": ({"a": entry("U8", [4], 0, 4), "b": entry("U8", [4], 6, 10)}, 10, "hole"),
    "a hole at the start": ({"a": entry("U8", [4], 2, 6)}, 6, "hole"),
    "an empty tensor in a hole": ({"a": entry("U8", [0], 2, 2)}, 2, "hole"),
    "an overlap": ({"a": entry("U8", [4], 0, 4), "b": entry("U8", [4], 2, 6)}, 6, "overlap"),
    "one place, two names": ({"a": entry("U8", [4], 0, 4), "b": entry("U8", [4], 0, 4)}, 4, "overlap"),
    "one byte too few": (_TWO, 7, "truncated"),
    "no data": (_TWO, 0, "truncated"),
    "one byte too many": (_TWO, 9, "trailing_bytes"),
    "bytes behind no tensor": (b"{}", 1, "trailing_bytes"),
    "an end beyond 2^53": ({"a": entry("U8", [2**53 + 1], 0, 2**53 + 1)}, 8, "truncated"),
}


@pytest.mark.parametrize("name", _BAD)
def test_a_header_that_breaks_a_rule(reader: Talk, tmp_path: Path, name: str) -> None:
    """Each defect is refused for its own reason, before any tensor is handed out."""
    header, count, why = _BAD[name]
    assert reason(read(reader, write(tmp_path / "x.safetensors", header, b"8 bytes!!!"[:count]))) == why


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "truncated"),
        (b"\x02" * 7, "truncated"),
        (struct.pack("<Q", 3) + b"{}", "truncated"),
        (struct.pack("<Q", 100_000_001) + b"{}", "header_length"),
        (struct.pack("<Q", 2**63) + b"{}", "header_length"),
        (struct.pack("<Q", 2**64 - 8) + b"{}", "header_length"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n", "not_safetensors"),
        (b"<!DOCTYPE html>\n<html></html>", "not_safetensors"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 0), "not_safetensors"),
        (b"PK\x03\x04" + bytes(30), "not_safetensors"),
        (b"\x80\x02}q\x00." + bytes(10), "not_safetensors"),
        (bytes(100), "not_safetensors"),
    ],
)
def test_a_file_that_is_something_else(reader: Talk, tmp_path: Path, content: bytes, why: str) -> None:
    """The length is held against the file and the limit before it is used, and other formats are recognised."""
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    assert reason(read(reader, path)) == why


def test_the_length_is_held_against_the_file(reader: Talk, tmp_path: Path) -> None:
    """A header longer than its file is refused by the two numbers, and not by reading on and on."""
    path = tmp_path / "x.safetensors"
    path.write_bytes(struct.pack("<Q", 99_999_999) + b"{}")
    assert "a header of 99999999 bytes in a file of 10" in read(reader, path)["error"]["message"]


def test_a_length_that_reads_like_another_format(reader: Talk, tmp_path: Path) -> None:
    """A header of 640 bytes has the length word that begins a pickle; the object behind it settles the matter."""
    text = json.dumps({"w": _W}).encode().ljust(640)
    path = write(tmp_path / "x.safetensors", text, b"8 bytes!")
    assert path.read_bytes().startswith(b"\x80\x02")
    assert found(read(reader, path)) == {"w": tensor_digest("F32", (2,), b"8 bytes!")}


def test_what_is_no_regular_file(reader: Talk, tmp_path: Path) -> None:
    """A file that is not there, a directory and a pipe without a writer are refused, and nobody waits."""
    os.mkfifo(tmp_path / "pipe")
    assert reason(read(reader, tmp_path / "nowhere")) == "missing_file"
    assert reason(read(reader, tmp_path)) == "not_safetensors"
    assert reason(read(reader, tmp_path / "pipe")) == "not_safetensors"


def test_an_error_of_the_system_is_a_refusal_without_a_reason(reader: Talk, tmp_path: Path) -> None:
    """What the system refuses is told by its own word."""
    error = read(reader, tmp_path / ("x" * 300))["error"]
    assert (error["type"], error["reason"], error["unsupported"]) == ("ENAMETOOLONG", None, False)


def test_a_defect_of_the_program_ends_it() -> None:
    """A request without its path is no rejection of a checkpoint: the program dies, and its transcript tells where."""
    talk = Talk("node", _READER)
    talk.say(b'{"id":1,"method":"read_file"}')
    assert talk.hear() == b""
    status, _, errors = talk.end()
    assert status == 1
    assert "TypeError" in errors


def test_memory_does_not_grow_with_a_tensor(reader: Talk, tmp_path: Path) -> None:
    """A tensor of 256 MiB is digested piece by piece."""
    count = 256 * _MIB
    header = pack({"w": entry("U8", [count], 0, count)})
    path = write_sparse(tmp_path / "x.safetensors", len(header) + count, header)
    before = _peak_bytes(reader)
    digests = found(read(reader, path))
    assert _peak_bytes(reader) - before < 48 * _MIB
    sha = hashlib.sha256()
    for _ in range(256):
        sha.update(bytes(_MIB))
    assert digests == {"w": TensorDigest("U8", (count,), sha.hexdigest())}


def _peak_bytes(talk: Talk) -> int:
    """The most memory that a program ever had, in bytes."""
    status = Path(f"/proc/{talk.process.pid}/status").read_text(encoding="ascii")
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) * 1024


def test_offsets_beyond_four_gib(reader: Talk, tmp_path: Path) -> None:
    """A tensor behind 5 GiB of others is read from its place."""
    far = 5 << 30
    data = bytes(range(100))
    header = pack({"far": entry("U8", [100], far, far + 100), "wide": entry("U8", [far], 0, far)})
    path = write_sparse(tmp_path / _SHARDS[0], len(header) + far + 100, header)
    with path.open("r+b") as file:
        file.seek(len(header) + far)
        file.write(data)
    write_index(tmp_path, {"far": _SHARDS[0]})
    answer = read_all(reader, tmp_path)
    assert found(answer) == {"far": tensor_digest("U8", (100,), data)}
    assert answer["report"] == {"ignored": ["wide"], "conflicting": []}


@pytest.mark.parametrize("name", ["bf16-single", "bf16-sharded", "f32", "indexless", "meta", "w8a8"])
def test_a_checkpoint_of_each_layout(reader: Talk, tmp_path: Path, name: str) -> None:
    """One file, shards with an index or without, and Meta's own names: every tensor as stored."""
    case = Scenario(NAMED[name])
    case.build(tmp_path)
    assert found(read_all(reader, tmp_path)) == wanted(case.stored())


@pytest.mark.parametrize("shard", [_SHARDS[0], _SHARDS[2]])
def test_the_index_counts_for_each_tensor(reader: Talk, tmp_path: Path, shard: str) -> None:
    """A stale copy, in a shard before or behind the one that the index names, is not read but reported."""
    Scenario(_SHARDED, (step("stale_copy", _MIDDLE, shard),)).build(tmp_path)
    answer = read_all(reader, tmp_path)
    assert found(answer) == wanted(Scenario(_SHARDED).stored())
    assert answer["report"] == {"ignored": [_MIDDLE], "conflicting": [_MIDDLE]}


def test_what_the_index_omits_is_not_read(reader: Talk, tmp_path: Path) -> None:
    """A tensor that no line of the index names is left alone and reported."""
    Scenario(_SHARDED, (step("drop_index", _NORM),)).build(tmp_path)
    answer = read_all(reader, tmp_path)
    truth = wanted(Scenario(_SHARDED).stored())
    del truth[_NORM]
    assert found(answer) == truth
    assert answer["report"] == {"ignored": [_NORM], "conflicting": []}


def test_every_file_is_checked_to_its_end(reader: Talk, tmp_path: Path) -> None:
    """A shard that was cut is refused, also where nobody asks for the tensor that is not whole."""
    write(tmp_path / _SHARDS[0], _TWO, bytes(7))
    write_index(tmp_path, {"a": _SHARDS[0]})
    assert reason(read_all(reader, tmp_path)) == "truncated"


def test_links_of_the_cache_are_fine(reader: Talk, tmp_path: Path) -> None:
    """Files that are links to blobs elsewhere are read: containment is a matter of names."""
    Scenario(_SHARDED, (step("link_to_blobs"),)).build(tmp_path / "snapshot")
    assert found(read_all(reader, tmp_path / "snapshot")) == wanted(Scenario(_SHARDED).stored())


def test_an_index_that_names_the_single_file(reader: Talk, tmp_path: Path) -> None:
    """An index whose only shard is ``model.safetensors`` is no second set."""
    case = Scenario(TensorFile((Spec("w", "F32", (3,)),)))
    case.build(tmp_path)
    write_index(tmp_path, {"w": "model.safetensors"})
    assert found(read_all(reader, tmp_path)) == wanted(case.stored())


_BROKEN: dict[str, tuple[Recipe, tuple[Step, ...], str]] = {
    name: (NAMED[base], (step(name),), why)
    for name, base, why in (
        ("missing_file", "bf16-single", "no_weights"),
        ("only_pickles", "bf16-sharded", "pickle"),
        ("missing_shard", "bf16-sharded", "missing_shard"),
        ("index_promises_absent", "bf16-sharded", "broken_promise"),
        ("index_parent_path", "bf16-sharded", "path_escape"),
        ("index_absolute_path", "bf16-sharded", "path_escape"),
        ("bad_json_index", "bf16-sharded", "index_invalid"),
        ("ambiguous_single_and_index", "bf16-sharded", "ambiguous_weights"),
        ("duplicate_across_shards", "indexless", "duplicate_tensor"),
        ("shard_gap", "indexless", "shard_gap"),
        ("hole", "bf16-single", "hole"),
        ("unfinished_download", "bf16-single", "not_safetensors"),
    )
}


@pytest.mark.parametrize("name", _BROKEN)
def test_a_checkpoint_that_is_none(reader: Talk, tmp_path: Path, name: str) -> None:
    """Each defect of a directory or its index is refused for its own reason."""
    recipe, steps, why = _BROKEN[name]
    Scenario(recipe, steps).build(tmp_path)
    assert reason(read_all(reader, tmp_path)) == why


_OUTSIDE = (
    *("../x.safetensors", "a/../../x.safetensors", "/x.safetensors"),
    *("..\\x.safetensors", "\\x.safetensors", "C:x.safetensors"),
    *("", ".", "a/", "a\0b"),
)


@pytest.mark.parametrize("shard", _OUTSIDE)
def test_a_shard_outside_the_directory(reader: Talk, tmp_path: Path, shard: str) -> None:
    """Containment is decided by the letters of the name alone, of either kind of system."""
    directory = tmp_path / "inside"
    directory.mkdir()
    write_tiled(tmp_path / "x.safetensors", ("w", "F32", [2]))
    write_index(directory, {"w": shard})
    assert reason(read_all(reader, directory)) == "path_escape"


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"{}",
        b'{"weight_map":{}}',
        b'{"weight_map":[]}',
        b'{"weight_map":{"w":1}}',
        b'{"weight_map":{"w":"a.safetensors","w":"b.safetensors"}}',
        b'{"weight_map":{"w":"a.safetensors"},"weight_map":{}}',
        b'{"weight_map":{"w":"\xff"}}',
        b'\xef\xbb\xbf{"weight_map":{"w":"model.safetensors"}}',
    ],
)
def test_an_index_that_is_none(reader: Talk, tmp_path: Path, text: bytes) -> None:
    """An index must be JSON with a map of names to names, each once."""
    write_tiled(tmp_path / "a.safetensors", ("w", "F32", [2]))
    (tmp_path / "model.safetensors.index.json").write_bytes(text)
    assert reason(read_all(reader, tmp_path)) == "index_invalid"


@pytest.mark.parametrize(
    ("names", "why"),
    [
        (["model.safetensors", "model-00001-of-00001.safetensors"], "ambiguous_weights"),
        (["model-00001-of-00001.safetensors", "model-00001-of-00002.safetensors"], "ambiguous_weights"),
        (["model-00001-of-00001.safetensors", "other-00001-of-00001.safetensors"], "ambiguous_weights"),
        (["model-00002-of-00002.safetensors"], "shard_gap"),
        (["model-00000-of-00001.safetensors"], "shard_gap"),
        (["a.safetensors", "b.safetensors"], "shard_gap"),
        ([], "no_weights"),
    ],
)
def test_files_that_are_not_one_set(reader: Talk, tmp_path: Path, names: list[str], why: str) -> None:
    """Without an index, the names of the files must tell one whole set."""
    for name in names:
        write_tiled(tmp_path / name, (name, "F32", [2]))
    assert reason(read_all(reader, tmp_path)) == why


@pytest.mark.parametrize("beside", ["consolidated.safetensors", "adapter_model.safetensors"])
def test_other_weights_beside_the_set_are_left_alone(reader: Talk, tmp_path: Path, beside: str) -> None:
    """Meta's files and adapters beside ``model.safetensors`` are never mixed with it."""
    case = Scenario(TensorFile((Spec("w", "F32", (3,)),)))
    case.build(tmp_path)
    write_tiled(tmp_path / beside, ("v", "F32", [2]))
    assert found(read_all(reader, tmp_path)) == wanted(case.stored())


@pytest.mark.parametrize(
    "name", ["only-one.safetensors", "consolidated.safetensors", "consolidated-1-of-1.safetensors"]
)
def test_one_file_under_another_name(reader: Talk, tmp_path: Path, name: str) -> None:
    """The only file of weights is the checkpoint, whatever it is called."""
    case = Scenario(TensorFile((Spec("w", "F32", (3,)),), name=name))
    case.build(tmp_path)
    assert found(read_all(reader, tmp_path)) == wanted(case.stored())
