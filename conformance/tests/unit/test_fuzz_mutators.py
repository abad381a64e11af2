"""The mutators of the fuzzer: what they make is still a document of its kind, and varies in what readers trip over."""

from __future__ import annotations

import json
from random import Random
from typing import TYPE_CHECKING

import pytest

from conformance.fuzz.changes import change, places
from conformance.fuzz.mutators import framed, mutator, retile
from conformance.fuzz.pairs import Pairs, dumps, loads
from conformance.fuzz.places import words
from conformance.fuzz.surroundings import ONE, PLAIN, blanks
from inferno_loader.errors import InfernoError
from inferno_loader.header import header_of_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.torch_free

_INDEX = b'{"metadata":{"total_size":20},"weight_map":{"a":"model-00001-of-00002.safetensors"}}'
_DOCUMENTS = {"header": ONE, "index": _INDEX, "config": PLAIN}
_PLAIN = b"by the plain mutator"


def mutants(kind: str, count: int = 600) -> list[bytes]:
    """What the mutator makes of one document, of its own work: what it hands to the plain mutator is left out."""
    mutate = mutator(kind, words(kind), lambda _data, _largest: _PLAIN)
    made = [mutate(_DOCUMENTS[kind], 4096, seed) for seed in range(count)]
    return [data for data in made if data != _PLAIN]


def headers() -> Iterator[tuple[int, bytes, bytes]]:
    """Length word, text and body of each mutated header."""
    for data in mutants("header"):
        length = int.from_bytes(data[:8], "little")
        yield length, data[8 : 8 + length], data[8 + length :]


def test_pairs_keep_equal_keys_and_their_order() -> None:
    """A text that names a key twice is written again as it was."""
    text = '{"b":1,"a":[true,null,"\\u00e9"],"b":{}}'
    assert dumps(loads(text), Random(1)) == text.replace("\\u00e9", "é")


@pytest.mark.parametrize("name", ["a", "é", "\U0001f999", '"', "\0", "x\u2028y"])
def test_an_escaped_name_reads_the_same(name: str) -> None:
    """However a key is escaped, it is the same key."""
    texts = {dumps(Pairs([[name, 0]]), Random(seed), 1.0) for seed in range(20)}
    assert [json.loads(text) for text in texts] == [{name: 0}] * len(texts)
    assert all("\\" in text for text in texts)


@pytest.mark.parametrize("kind", _DOCUMENTS)
def test_every_change_leaves_json(kind: str) -> None:
    """What is changed a hundred times over can still be written and read, without losing a key."""
    rng, root = Random(7), loads(_DOCUMENTS[kind][8:-12] if kind == "header" else _DOCUMENTS[kind])
    for _ in range(100):
        change(root, rng, words(kind))
        assert len(places(loads(dumps(root, rng)))) == len(places(root))


@pytest.mark.parametrize("kind", _DOCUMENTS)
def test_a_mutant_depends_on_its_seed_alone(kind: str) -> None:
    """The same document and seed give the same mutant, and other seeds give others."""
    made = mutants(kind)
    assert made == mutants(kind)
    assert len(set(made)) > len(made) / 2


@pytest.mark.parametrize("kind", _DOCUMENTS)
def test_a_fifth_is_left_to_the_plain_mutator(kind: str) -> None:
    """Some 20 % of all calls go to libFuzzer's own mutator."""
    assert 0.7 < len(mutants(kind)) / 600 < 0.85


@pytest.mark.parametrize("data", [b"", b"\xff" * 9, b"[" * 200_000 + b"]" * 200_000, b"no json"])
@pytest.mark.parametrize("kind", _DOCUMENTS)
def test_what_is_no_document_goes_to_the_plain_mutator(kind: str, data: bytes) -> None:
    """Bytes that are no document of the kind are not refused: they are mutated as bytes, unless only blanks change."""
    mutate = mutator(kind, words(kind), lambda _data, _largest: _PLAIN)
    assert {mutate(data, 4096, seed).rstrip(b" ") for seed in range(50)} <= {_PLAIN, data}


@pytest.mark.parametrize("kind", _DOCUMENTS)
def test_no_mutant_is_larger_than_allowed(kind: str) -> None:
    """A mutant beyond the limit is replaced by the plain mutator's."""
    size = len(_DOCUMENTS[kind]) + 4
    mutate = mutator(kind, words(kind), lambda _data, _largest: b"")
    assert all(len(mutate(_DOCUMENTS[kind], size, seed)) <= size for seed in range(300))


def test_a_mutated_header_is_still_json_behind_its_length() -> None:
    """Nine of ten have the right length word and an object behind it."""
    sound = 0
    for length, text, _ in headers():
        try:
            sound += len(text) == length and isinstance(loads(text), Pairs)
        except ValueError:
            continue
    assert sound > 0.9 * len(list(headers()))


def test_many_mutated_headers_are_accepted() -> None:
    """A fifth is accepted by a reader, so that what comes behind the parser is reached as well."""
    accepted = 0
    for data in mutants("header"):
        try:
            header_of_bytes(data)
        except InfernoError:
            continue
        accepted += 1
    assert accepted > len(mutants("header")) / 5


@pytest.mark.parametrize(
    "sign", [b'"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a"', b"18446744073709551616", b"\\u00", b"[[[[["]
)
def test_mutated_headers_have_what_readers_trip_over(sign: bytes) -> None:
    """Among two thousand mutants are repeated names, numbers beyond 64 bits, escapes, and deep nesting."""
    assert any(sign in data for data in mutants("header", 6000))


def test_mutated_headers_have_every_rank() -> None:
    """Entries of rank 0 to 4 are drawn."""
    entries = [entry for _, text, _ in headers() for _, entry in _entries(text)]
    ranks = {len(shape) for entry in entries if isinstance(shape := entry.find("shape"), list)}
    assert ranks >= {0, 1, 2, 3, 4}


def _entries(text: bytes) -> list[tuple[str, Pairs]]:
    try:
        root = loads(text)
    except ValueError:
        return []
    return [(name, entry) for name, entry in root if isinstance(entry, Pairs)] if isinstance(root, Pairs) else []


def test_retile_lays_tensors_end_to_end() -> None:
    """Offsets follow from shape and dtype, in the order of the text; what makes no sense is left as it is."""
    root = loads('{"a":{"dtype":"F32","shape":[2,3]},"b":{"dtype":"F4","shape":[4]},"c":{"dtype":"F33","shape":[1]}}')
    assert retile(root) == 26
    assert [entry.find("data_offsets") for _, entry in root] == [[0, 24], [24, 26], None]


def test_a_frame_is_mostly_right() -> None:
    """The length word is that of the text and the body has its size in eight of ten frames, and in some it is not."""
    frames = [framed(b"{}", 5, Random(seed)) for seed in range(400)]
    right = frames.count((2).to_bytes(8, "little") + b"{}" + bytes(5))
    assert 0.75 * len(frames) < right < len(frames)
    assert len(set(frames)) > 5


@pytest.mark.parametrize("kind", ["index", "config"])
def test_blanks_behind_a_document_change_alone(kind: str) -> None:
    """The blanks that choose the surroundings stay as they are when the text changes, and change when it does not."""
    mutate = mutator(kind, words(kind), lambda _data, _largest: _PLAIN)
    document = _DOCUMENTS[kind] + b"   "
    made = [data for seed in range(400) if (data := mutate(document, 4096, seed)) != _PLAIN]
    same_text = [data for data in made if data.rstrip(b" ") == _DOCUMENTS[kind]]
    assert {blanks(data) for data in made if data not in same_text} == {3}
    assert len({blanks(data) for data in same_text}) > 5
