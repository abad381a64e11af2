"""The judges of the fuzzer: each of them notices what it is there to notice."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from conformance.fuzz.pairs import Pairs, loads
from conformance.fuzz.places import dictionary, scratch, seeds, words
from conformance.fuzz.planted import locate_scales
from conformance.fuzz.recorded import recorded, short_of
from conformance.fuzz.replaying import Reached
from conformance.fuzz.report import coverage_lines
from conformance.fuzz.surroundings import CONFIG, INDEX, ONE, blanks
from conformance.fuzz.targets import CLEAN, TARGETS
from conformance.fuzz.tiling import DisagreementError, check_header
from conformance.fuzz.watching import ALLOWANCE, LimitError, judge
from inferno_loader.errors import ConfigValueError, HeaderError, InfernoError
from inferno_loader.header import header_of_bytes
from inferno_loader.quantization.settings import read_settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.torch_free

_A = '"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}'
_B = '"b":{"dtype":"BF16","shape":[2],"data_offsets":[8,12]}'


def framed(text: str, body: int = 12) -> bytes:
    """A file with `text` as its header and `body` bytes behind it."""
    return len(text.encode()).to_bytes(8, "little") + text.encode() + bytes(body)


GOOD = framed(f"{{{_A},{_B}}}")


def test_a_right_header_is_agreed_to() -> None:
    """What obeys every rule raises nothing."""
    check_header(GOOD, header_of_bytes(GOOD))


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (framed(f"{{{_A},{_A},{_B}}}"), "each name occurs once"),
        (framed(f"{{{_A},{_B.replace('[8,12]', '[9,13]')}}}", 13), "as the text has it"),
        (framed(f"{{{_A},{_B.replace('[2]', '[3]')}}}"), "span"),
        (framed(f"{{{_A}}}"), "names of the text"),
        (framed(f"{{{_A},{_B}}}", 13), "end where the file does"),
        (framed(f"{{{_A},{_B}}}", 11), "end where the file does"),
        (framed(f"{{{_A},{_B}}}") + b"\0", "end where the file does"),
        (GOOD.replace(b"BF16", b"F166"), "F166"),
        (GOOD.replace(b'"a"', b'"c"'), "names of the text"),
        (GOOD[:30], "length word"),
    ],
)
def test_a_header_that_was_read_wrong_is_noticed(data: bytes, rule: str) -> None:
    """A header that tells of another file than these bytes are is contradicted, whichever rule they break."""
    length = min(int.from_bytes(data[:8], "little"), len(data))
    with pytest.raises((DisagreementError, KeyError), match=rule):
        check_header(data, replace(header_of_bytes(GOOD), length=length))


@pytest.mark.parametrize(("second", "rule"), [("[9,13]", "no hole"), ("[4,8]", "no hole")])
def test_a_hole_or_overlap_that_was_accepted_is_noticed(
    second: str, rule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the reader lets tensors leave a hole or overlap, the checker does not."""
    monkeypatch.setattr("inferno_loader.header._check_tiling", lambda *_: None)
    data = framed(f"{{{_A},{_B.replace('[8,12]', second)}}}", 13)
    with pytest.raises(DisagreementError, match=rule):
        check_header(data, header_of_bytes(data))


def test_an_error_of_the_tree_is_a_rejection() -> None:
    """The code of an error of the loader is the verdict, and nothing raised is an acceptance."""

    def reject(_data: bytes) -> None:
        raise HeaderError("no")

    assert judge(reject, b"", traced=False) == "header.invalid"
    assert judge(lambda _: None, b"", traced=True) == "accepted"


@pytest.mark.parametrize("traced", [False, True])
def test_an_error_outside_the_tree_is_a_finding(*, traced: bool) -> None:
    """Whatever else leaves the loader goes through."""

    def crash(data: bytes) -> None:
        data.index(b"absent")

    with pytest.raises(ValueError, match="not found"):
        judge(crash, b"", traced=traced)


def test_a_peak_of_memory_is_a_finding() -> None:
    """More than ten times the input and the allowance is too much, whether rejected or not; less is not."""

    def take(size: int) -> Callable[[bytes], None]:
        def run(_data: bytes) -> None:
            bytearray(size)
            raise HeaderError("no")

        return run

    with pytest.raises(LimitError, match="a peak of"):
        judge(take(ALLOWANCE + 12_000), bytes(1000), traced=True)
    assert judge(take(ALLOWANCE - 12_000), bytes(1000), traced=True) == "header.invalid"


def test_a_second_of_the_processor_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    """An input that keeps the processor busy for longer than a second is too slow."""
    clock = iter([0.0, 1.01])
    monkeypatch.setattr(time, "thread_time", lambda: next(clock))
    with pytest.raises(LimitError, match=r"1\.0 s of the processor"):
        judge(lambda _: None, b"", traced=False)


@pytest.mark.parametrize("name", CLEAN)
def test_every_seed_is_clean(name: str) -> None:
    """Each seed is accepted or rejected by its target, within the limits, and some are accepted."""
    with scratch() as stage:
        run = TARGETS[name].prepare(stage)
        verdicts = [judge(run, path.read_bytes(), traced=True) for path in sorted(seeds(name).iterdir())]
    assert 3 < verdicts.count("accepted") < len(verdicts)


@pytest.mark.parametrize(("name", "around"), [("index", INDEX), ("config", CONFIG)])
def test_every_surroundings_has_a_seed(name: str, around: tuple[object, ...]) -> None:
    """The seeds reach each directory in which a document is read."""
    reached = {blanks(path.read_bytes()) % len(around) for path in seeds(name).iterdir()}
    assert reached == set(range(len(around)))


@pytest.mark.parametrize("name", CLEAN)
def test_a_dictionary_is_read_whole(name: str) -> None:
    """Every line that is no remark is a word, and none is empty: libFuzzer refuses those."""
    lines = [line for line in dictionary(name).read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    assert len(words(name)) == len(lines) == len(set(lines))
    assert all(words(name))


def test_the_planted_bug_needs_structure(tmp_path: Path) -> None:
    """Only an accepted header with an F8_E4M3 of rank 3 whose name is escaped crashes; each neighbour does not."""
    run = TARGETS["planted"].prepare(tmp_path)

    def entry(name: str, dtype: str, shape: str) -> bytes:
        return framed(f'{{"{name}":{{"dtype":"{dtype}","shape":{shape},"data_offsets":[0,1]}}}}', 1)

    for data in (
        entry("a", "F8_E4M3", "[1,1,1]"),
        entry("\\u0061", "U8", "[1,1,1]"),
        entry("\\u0061", "F8_E4M3", "[1]"),
    ):
        run(data)
    with pytest.raises(ValueError, match="not found"):
        run(entry("\\u0061", "F8_E4M3", "[1,1,1]"))
    assert locate_scales(ONE, header_of_bytes(ONE)) == []


def test_the_index_is_held_against_its_text(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A reader that loses a tensor of the index is noticed."""
    run = TARGETS["index"].prepare(tmp_path)
    data = (seeds("index") / "two_shards.bin").read_bytes()
    run(data)
    monkeypatch.setattr("inferno_loader.index.JsonObject.items", lambda self: [*dict.items(self)], raising=False)
    monkeypatch.setattr("inferno_loader.index._total_size", lambda _: None)
    monkeypatch.setattr("conformance.fuzz.targets.loads", lambda text: _without_last(loads(text)))
    with pytest.raises(DisagreementError, match="exactly the tensors"):
        run(data)


def _without_last(root: Pairs) -> Pairs:
    root.find("weight_map").pop()
    return root


@pytest.mark.parametrize("data", [GOOD, GOOD[:5]])
def test_bytes_and_file_must_agree(data: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The header target reads each input twice, from memory and from a file, and the verdicts must be one."""

    def refuse(_data: bytes, _path: Path) -> None:
        raise HeaderError("no")

    run = TARGETS["header"].prepare(tmp_path)
    monkeypatch.setattr("conformance.fuzz.targets.header_of_bytes", refuse)
    with pytest.raises(DisagreementError, match=r"header\.invalid"):
        run(data)


def test_less_than_the_unit_tests_reach_is_told() -> None:
    """A module of which less is reached, or of which nothing is written down, is named; more is welcome."""
    units = {"a": Reached(9, 10), "b": Reached(9, 10), "c": Reached(9, 10)}
    reached = {"a": Reached(8, 10), "b": Reached(9, 10), "c": Reached(10, 10), "d": Reached(10, 10)}
    assert short_of(reached, units) == ["a", "d"]
    lines = coverage_lines("x", reached, units, ["a", "d"])
    assert [line.endswith("LOWER") for line in lines] == [False, True, False, False, True]


def test_a_figure_is_recorded_for_every_module() -> None:
    """The record has each module that a target measures, and more than half of it was reached."""
    wanted = {module for name in CLEAN for module in TARGETS[name].modules}
    found = recorded()
    assert found.keys() == wanted
    assert all(reached.percent > 50 for reached in found.values())


@pytest.mark.parametrize("expression", ["a{4294967296}", "(" * 5000 + ")" * 5000, "("])
def test_a_regular_expression_that_cannot_be_compiled_is_an_error_of_the_loader(expression: str) -> None:
    """Too many repeats (OverflowError) and too deep groups (RecursionError) are bad values like any bad syntax."""
    block = {"quant_method": "compressed-tensors", "ignore": [f"re:{expression}"]}
    with pytest.raises(ConfigValueError) as caught:
        read_settings(block)
    assert isinstance(caught.value, InfernoError)
    assert caught.value.key == "quantization_config.ignore"
