"""GGUF under the fuzzer: files are taken apart and put together again, mutants vary, wrong readings are noticed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from conformance.fuzz.gguf_bytes import SIZES, bytes_of, taken_apart
from conformance.fuzz.gguf_checking import check_gguf
from conformance.fuzz.mutators import mutator
from conformance.fuzz.places import scratch, seeds, words
from conformance.fuzz.targets import TARGETS
from conformance.fuzz.tiling import DisagreementError
from conformance.fuzz.watching import judge
from conformance.tools.gguf_file import Draft, Entry, Pair, render
from inferno_loader.gguf.container import read_gguf
from inferno_loader.gguf.types import GGML_TYPES
from inferno_loader.gguf.values import Array

if TYPE_CHECKING:
    from pathlib import Path

    from inferno_loader.gguf.container import GgufHeader

pytestmark = pytest.mark.torch_free

_PLAIN = b"by the plain mutator"
_SEEDS = sorted(seeds("gguf").iterdir())
_WHOLE = (seeds("gguf") / "arrays.bin").read_bytes()
_MUTATE = mutator("gguf", words("gguf"), lambda _data, _largest: _PLAIN)


def _mutants(count: int = 40) -> list[bytes]:
    """Mutants of every seed, but for what is left to the plain mutator."""
    made = [_MUTATE(path.read_bytes(), 4096, seed) for path in _SEEDS for seed in range(count)]
    return [data for data in made if data != _PLAIN]


def _read(data: bytes, folder: Path) -> GgufHeader:
    (folder / "model.gguf").write_bytes(data)
    return read_gguf(folder / "model.gguf")


@pytest.mark.parametrize("name", ["plain", "arrays", "every_kind", "every_type", "divisors", "yarn", "alignment"])
def test_a_file_taken_apart_is_put_together_again(name: str) -> None:
    """Metadata, tensors and data come back byte for byte."""
    data = (seeds("gguf") / f"{name}.bin").read_bytes()
    assert render(taken_apart(data).draft) == data


@pytest.mark.parametrize("data", [b"", b"GGUF", b"\xff" * 40, _WHOLE[:100], b"PK\3\4" + bytes(60)])
def test_what_is_no_gguf_goes_to_the_plain_mutator(data: bytes) -> None:
    """Bytes that cannot be taken apart are mutated as bytes."""
    with pytest.raises(ValueError, match=r"text|GGUF|array|type|axes"):
        taken_apart(data)
    assert {_MUTATE(data, 4096, seed) for seed in range(20)} == {_PLAIN}


def test_the_sizes_of_types_are_those_of_the_loader() -> None:
    """Two tables, each from the source of ggml, say the same: a slip in one is seen."""
    assert all((GGML_TYPES[kind].elements, GGML_TYPES[kind].nbytes) == sizes for kind, sizes in SIZES.items())
    assert bytes_of(Entry("a", 2, (64, 3), b"")) == 108
    senseless = (Entry("a", kind, sizes, b"") for kind, sizes in ((2, (33, 3)), (99, (32,)), (0, (0,))))
    assert [bytes_of(entry) for entry in senseless] == [None, None, None]


def test_a_mutant_depends_on_its_seed_alone() -> None:
    """The same file and seed give the same mutant, and other seeds give others."""
    made = [_MUTATE(_WHOLE, 4096, seed) for seed in range(200)]
    assert made == [_MUTATE(_WHOLE, 4096, seed) for seed in range(200)]
    assert len(set(made)) > 100
    assert 0.6 < sum(data != _PLAIN for data in made) / len(made) < 0.9
    assert all(len(_MUTATE(_WHOLE, len(_WHOLE), seed)) <= len(_WHOLE) for seed in range(200))


def test_an_alignment_that_is_only_said_costs_nothing() -> None:
    """Of a file that says 2^31 the mutants are as short as of any other."""
    data = render(Draft([Pair("general.alignment", "u32", 1 << 31)], [Entry("a", 0, (8,), bytes(32))]))
    made = [_MUTATE(data, 4096, seed) for seed in range(100)]
    assert sum(data != _PLAIN for data in made) > 60


def test_mutants_reach_what_lies_behind_the_header() -> None:
    """One in twelve is accepted whole, and the others are refused for a dozen reasons, each an error of the loader."""
    with scratch() as stage:
        run = TARGETS["gguf"].prepare(stage)
        verdicts = [judge(run, data, traced=False) for data in _mutants()]
    assert verdicts.count("accepted") > len(verdicts) / 12
    assert len(set(verdicts)) > 11


def test_a_right_header_is_agreed_to(tmp_path: Path) -> None:
    """What obeys every rule raises nothing."""
    check_gguf(_WHOLE, _read(_WHOLE, tmp_path))


def _changed(header: GgufHeader, how: str) -> Any:
    """The header as a worse reader would have it."""
    name, info = next(iter(header.tensors.items()))
    found = {
        "twice": lambda: replace(header, tensors={}),
        "value": lambda: replace(header, values={**header.values, "llama.block_count": 2}),
        "float": lambda: replace(header, values={**header.values, "llama.attention.layer_norm_rms_epsilon": 1e-6}),
        "array": lambda: replace(header, values={**header.values, "a.none": Array(12, 1)}),
        "alignment": lambda: replace(header, alignment=64),
        "start": lambda: replace(header, start=header.start + 32),
        "shape": lambda: replace(
            header, tensors={**header.tensors, name: replace(info, shape=(info.shape[0] + 1, *info.shape[1:]))}
        ),
        "span": lambda: replace(header, tensors={**header.tensors, name: replace(info, end=info.end - 1)}),
        "version": lambda: replace(header, version=2),
    }
    return found[how]()


@pytest.mark.parametrize(
    ("how", "rule"),
    [
        ("twice", "names are those of the bytes"),
        ("value", "llama.block_count has the value"),
        ("float", "epsilon has the value"),
        ("array", "a.none has the value"),
        ("alignment", "the alignment is"),
        ("start", "the data begin"),
        ("shape", "the axes are"),
        ("span", "the span is"),
        ("version", "the version is"),
    ],
)
def test_a_header_that_was_read_wrong_is_noticed(how: str, rule: str, tmp_path: Path) -> None:
    """A header that tells of another file than these bytes are is contradicted."""
    with pytest.raises(DisagreementError, match=rule):
        check_gguf(_WHOLE, _changed(_read(_WHOLE, tmp_path), how))


@pytest.mark.parametrize(
    ("draft", "rule"),
    [
        (Draft([], [Entry("a", 0, (8,), bytes(32)), Entry("b", 0, (8,), bytes(32), offset=64)]), "no hole"),
        (Draft([], [Entry("a", 0, (8,), bytes(32)), Entry("b", 0, (8,), bytes(32), offset=0)]), "no hole"),
        (Draft([], [Entry("a", 0, (8,), bytes(32))], cut=-8), "every byte"),
    ],
    ids=["hole", "overlap", "cut"],
)
def test_places_that_were_accepted_are_noticed(
    draft: Draft, rule: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the reader lets tensors leave a hole, overlap or pass the end, the checker does not."""
    monkeypatch.setattr("inferno_loader.gguf.container._check_tiling", lambda *_: None)
    data = render(draft)
    with pytest.raises(DisagreementError, match=rule):
        check_gguf(data, _read(data, tmp_path))


def test_names_that_were_accepted_twice_are_noticed(tmp_path: Path) -> None:
    """Where the reader takes the last of two pairs, the checker does not."""
    data = render(Draft([Pair("a", "u8", 1), Pair("a", "u8", 2)]))
    plain = _read(render(Draft([Pair("a", "u8", 2)])), tmp_path)
    with pytest.raises(DisagreementError, match="each key"):
        check_gguf(data, plain)
