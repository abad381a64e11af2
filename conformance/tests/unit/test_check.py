"""`check` tells everything that is wrong, not only the first; and it looks at values that no load can use."""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING

import pytest

from conformance.tests import tiny_llama
from conformance.tests.support import become_nobody, payload, unprivileged
from conformance.tests.tiny_llama import Tensor, build, tensors, write_tensors
from inferno_loader import scale_values
from inferno_loader.checking import check
from inferno_loader.checkpoint import open_checkpoint
from inferno_loader.errors import ChangedFileError, MissingFileError, UnreadableFileError
from inferno_loader.scale_values import value_findings

if TYPE_CHECKING:
    from pathlib import Path

    from inferno_loader.checking import CheckReport
    from inferno_loader.findings import Finding

pytestmark = pytest.mark.torch_free

_GATE = "model.layers.0.mlp.gate_proj"
_SCALE = f"{_GATE}.weight_scale"
_FIRST, _SECOND = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"


def told(report: CheckReport) -> list[tuple[str, str]]:
    """Severity and code of each finding."""
    return [(finding.severity, finding.code) for finding in report.findings]


def at(report: CheckReport) -> set[tuple[str, str]]:
    """Code and file name of each error."""
    return {
        (found.code, (found.path or "").rpartition("/")[2]) for found in report.findings if found.severity == "error"
    }


def shorten(path: Path) -> None:
    """Take the last byte off a file."""
    os.truncate(path, path.stat().st_size - 1)


def quantized(scale: bytes) -> dict[str, Tensor]:
    """The model with one weight in int8, a scale a row."""
    codes = {f"{_GATE}.weight": Tensor("I8", [6, 4], payload(24)), _SCALE: Tensor("BF16", [6, 1], scale)}
    return {**tensors(), **codes}


def scales(path: Path, dtype: str, data: bytes, size: int, name: str = _SCALE) -> list[Finding]:
    """What is found of a file that holds one scale, or one tensor of another `name`."""
    write_tensors(path / "model.safetensors", {name: Tensor(dtype, [len(data) // size], data)})
    return list(value_findings(open_checkpoint(path).tensors.values()))


@pytest.mark.parametrize("shards", [1, 2])
def test_a_sound_checkpoint_has_no_findings(tmp_path: Path, shards: int) -> None:
    """Whole, sound, and every field of the configuration there: nothing is said."""
    report = check(build(tmp_path, shards=shards))
    assert report.findings == ()
    assert (report.sound, report.clean) == (True, True)


def test_one_file_can_be_checked(tmp_path: Path) -> None:
    """A path to a file takes the configuration beside it."""
    report = check(build(tmp_path) / "model.safetensors")
    assert report.findings == ()


def test_configuration_and_shards_are_both_told(tmp_path: Path) -> None:
    """A broken configuration does not hide a broken shard."""
    directory = build(tmp_path, shards=2, num_key_value_heads=3)
    shorten(directory / _FIRST)
    assert at(check(directory)) == {("file.truncated", _FIRST), ("config.value", "config.json")}


def test_every_header_is_validated(tmp_path: Path) -> None:
    """A broken shard does not hide the next."""
    directory = build(tmp_path, shards=2)
    shorten(directory / _FIRST)
    (directory / _SECOND).write_bytes(b"GGUF" + bytes(20))
    assert at(check(directory)) == {("file.truncated", _FIRST), ("file.not_safetensors", _SECOND)}


def test_missing_shards_are_told_once(tmp_path: Path) -> None:
    """One error tells of all shards that are missing, and a broken one beside them is told too."""
    directory = build(tmp_path, shards=4)
    for number in (2, 3):
        (directory / f"model-{number:05}-of-00004.safetensors").unlink()
    shorten(directory / "model-00004-of-00004.safetensors")
    report = check(directory)
    assert sorted(told(report)) == [("error", "file.truncated"), ("error", "index.missing_shard")]
    (missing,) = (found for found in report.findings if found.code == "index.missing_shard")
    assert missing.expected == "model-00002-of-00004.safetensors, model-00003-of-00004.safetensors"


def test_headers_are_validated_where_no_set_can_be_chosen(tmp_path: Path) -> None:
    """Two sets of weights: that is told, and so is what is wrong with one of the files."""
    directory = build(tmp_path, shards=2)
    shorten(write_tensors(directory / "model.safetensors", tensors()))
    report = check(directory)
    assert at(report) == {("checkpoint.ambiguous", directory.name), ("file.truncated", "model.safetensors")}


def test_a_set_can_be_chosen(tmp_path: Path) -> None:
    """The set that the caller names is checked, and the other one is noted."""
    directory = build(tmp_path, shards=2)
    shorten(write_tensors(directory / "model.safetensors", tensors()))
    report = check(directory, weights="index")
    assert told(report) == [("note", "checkpoint.ignored_file")]


def test_tensors_and_scales_are_both_told(tmp_path: Path) -> None:
    """A tensor that is missing does not hide a scale that is not finite, nor one of a wrong shape."""
    stored = quantized(b"\x80\x3f" * 5 + b"\x80\x7f")
    del stored["model.norm.weight"]
    stored["lm_head.weight"] = Tensor("BF16", [4, 5], payload(40))
    report = check(build(tmp_path, stored))
    errors = {code for severity, code in told(report) if severity == "error"}
    assert errors == {"plan.missing", "plan.shape", "quant.scale"}


def test_unknown_settings_do_not_hide_scales(tmp_path: Path) -> None:
    """Where the quantization settings cannot be read, the scales are looked at all the same."""
    directory = build(tmp_path, quantized(b"\x80\x7f" * 6), quantization_config={"quant_method": "abacus"})
    assert at(check(directory)) == {("quant.unknown_scheme", "config.json"), ("quant.scale", "model.safetensors")}


def test_notes_of_the_files_are_told_although_the_configuration_is_broken(tmp_path: Path) -> None:
    """A stale copy in another shard is told, whatever the configuration says."""
    directory = build(tmp_path, shards=2, vocab_size="many")
    held = {name: tensor for place, (name, tensor) in enumerate(tensors().items()) if place % 2}
    write_tensors(directory / _SECOND, {**held, "model.embed_tokens.weight": Tensor("BF16", [5, 4], payload(40))})
    assert told(check(directory)) == [("error", "config.value"), ("warning", "index.stale_copy")]


def test_errors_come_first(tmp_path: Path) -> None:
    """Errors, then warnings, then notes."""
    stored = {**tensors(), "model.layers.0.self_attn.rotary_emb.inv_freq": Tensor("F32", [1], bytes(4))}
    del stored["model.norm.weight"]
    stored["lm_head.weight"] = Tensor("BF16", [5, 4], bytes(40))
    report = check(build(tmp_path, stored, tie_word_embeddings=True))
    assert told(report) == [("error", "plan.missing"), ("warning", "tie.different_head"), ("note", "plan.tolerated")]
    assert [report.count(severity) for severity in ("error", "warning", "note")] == [1, 1, 1]


@pytest.mark.parametrize(
    ("head", "code", "clean"),
    [(payload(40), "tie.redundant", True), (bytes(40), "tie.different_head", False)],
    ids=["equal", "different"],
)
def test_a_tied_head_is_compared(tmp_path: Path, head: bytes, code: str, clean: bool) -> None:
    """A head stored beside the embedding that it is tied to: a note where they are equal, else a warning."""
    stored = {**tensors(), "lm_head.weight": Tensor("BF16", [5, 4], head)}
    report = check(build(tmp_path, stored, tie_word_embeddings=True))
    assert [found for _, found in told(report)] == [code]
    assert (report.sound, report.clean) == (True, clean)


def test_every_finding_names_a_file(tmp_path: Path) -> None:
    """What speaks of no file in particular speaks of the directory."""
    stored = {**tensors(), "lm_head.weight": Tensor("BF16", [5, 4], bytes(40))}
    (finding,) = check(build(tmp_path, stored, tie_word_embeddings=True)).findings
    assert finding.path == str(tmp_path)


def test_the_report_is_json(tmp_path: Path) -> None:
    """The report as an object: verdicts, counts, and the findings."""
    (build(tmp_path) / "model.safetensors").unlink()
    found = check(tmp_path).to_json()
    findings = found.pop("findings")
    counts = {"errors": 1, "warnings": 0, "notes": 0}
    assert found == {"path": str(tmp_path), "sound": False, "clean": False, **counts}
    assert [finding["code"] for finding in findings] == ["checkpoint.no_weights"]


def test_a_path_to_nothing_is_an_error(tmp_path: Path) -> None:
    """Nothing is there to have findings."""
    with pytest.raises(MissingFileError) as caught:
        check(tmp_path / "absent")
    assert caught.value.path == str(tmp_path / "absent")


def test_a_path_that_is_neither_file_nor_directory_is_an_error(tmp_path: Path) -> None:
    """A pipe would block whoever opens it, and a loop of links leads nowhere."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for name in ("pipe", "loop"):
        with pytest.raises(UnreadableFileError):
            check(tmp_path / name)


def test_a_directory_that_may_not_be_read_is_an_error() -> None:
    """The system refuses the directory: that is no finding about what it holds."""
    with unprivileged() as place:
        locked = build(place / "locked")
        locked.chmod(0)
        become_nobody()
        with pytest.raises(UnreadableFileError) as caught:
            check(locked)
    assert caught.value.path == str(locked)


# For each dtype: the elements that are not finite, and those that come closest to them and are.
_VALUES = {
    "F64": (["7ff0000000000000", "fff0000000000000", "7ff8000000000000"], ["7fefffffffffffff", "ffefffffffffffff"]),
    "F32": (["7f800000", "ff800000", "7fc00000", "ff800001"], ["7f7fffff", "ff7fffff", "00800000"]),
    "BF16": (["7f80", "ff80", "7fc0", "ffff"], ["7f7f", "ff7f", "0080", "8000"]),
    "F16": (["7c00", "fc00", "7e00", "ffff"], ["7bff", "fbff", "0400"]),
    "F8_E4M3": (["7f", "ff"], ["7e", "fe", "80", "00"]),
    "F8_E5M2": (["7c", "7d", "7f", "fc", "fe"], ["7b", "fb", "80"]),
    "F8_E4M3FNUZ": (["80"], ["7f", "ff", "00"]),
    "F8_E5M2FNUZ": (["80"], ["7f", "ff", "00"]),
    "F8_E8M0": (["ff"], ["fe", "7f", "00"]),
    "U8": (["ff"], ["fe", "7f", "00"]),
}


@pytest.mark.parametrize("dtype", _VALUES)
def test_values_that_are_not_finite_are_counted(tmp_path: Path, dtype: str) -> None:
    """NaN and both infinities of every dtype of a scale, and none of the largest values that are finite."""
    bad, good = _VALUES[dtype]
    size = len(good[0]) // 2
    data = b"".join(bytes.fromhex(value)[::-1] for value in (*good, *bad, *good))
    (finding,) = scales(tmp_path, dtype, data, size)
    assert (finding.code, finding.severity, finding.tensor) == ("quant.scale", "error", _SCALE)
    assert finding.path == str(tmp_path / "model.safetensors")
    assert finding.actual == f"{len(bad)} of {len(bad) + 2 * len(good)} are NaN or infinite"
    assert finding.remedy


@pytest.mark.parametrize("dtype", _VALUES)
def test_the_largest_finite_values_are_none(tmp_path: Path, dtype: str) -> None:
    """Not a single false alarm."""
    good = _VALUES[dtype][1]
    data = b"".join(bytes.fromhex(value)[::-1] for value in good) * 3
    assert scales(tmp_path, dtype, data, len(good[0]) // 2) == []


def test_large_scales_are_read_in_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The count is the same whatever the size of the chunks, and where the last one is not full."""
    monkeypatch.setattr(scale_values, "_CHUNK", 16)
    data = struct.pack("<11f", *(float("inf") if place in (0, 3, 4, 10) else 1.0 for place in range(11)))
    (finding,) = scales(tmp_path, "F32", data, 4)
    assert finding.actual == "4 of 11 are NaN or infinite"


def test_reading_has_a_bound(tmp_path: Path) -> None:
    """What would pass the bound is not read, and a note says so; what fits is."""
    stored = {
        "a.weight_scale": Tensor("BF16", [4], b"\x80\x7f" * 4),
        "b.weight_scale": Tensor("BF16", [2], b"\x80\x7f" * 2),
        "c.weight_scale": Tensor("BF16", [1], b"\x80\x7f"),
    }
    write_tensors(tmp_path / "model.safetensors", stored)
    found = list(value_findings(open_checkpoint(tmp_path).tensors.values(), most=10))
    assert [(finding.code, finding.tensor) for finding in found] == [
        ("quant.scale", "a.weight_scale"),
        ("quant.scale", "c.weight_scale"),
        ("check.not_read", None),
    ]
    assert "1 scales" in found[-1].message


def test_flags_above_one_are_noted(tmp_path: Path) -> None:
    """A BOOL holds 0 or 1; other bytes are noted, and stop nothing."""
    (finding,) = scales(tmp_path, "BOOL", b"\0\1\2\xff\1", 1, name="mask")
    assert (finding.code, finding.severity, finding.tensor) == ("data.bool", "note", "mask")
    assert finding.message.startswith("2 bytes")
    assert scales(tmp_path, "BOOL", b"\0\1\1", 1, name="mask") == []


@pytest.mark.parametrize("name", ["model.layers.0.self_attn.k_scale", f"{_GATE}.input_scale"])
def test_a_scale_that_is_left_out_is_a_warning(tmp_path: Path, name: str) -> None:
    """No load uses it, but its values are wrong for whoever does."""
    (finding,) = scales(tmp_path, "F32", struct.pack("<f", float("nan")), 4, name=name)
    assert (finding.code, finding.severity) == ("quant.scale", "warning")


def test_weights_are_not_read(tmp_path: Path) -> None:
    """A check takes time by the scales, not by the weights: NaN in a weight is not looked for."""
    assert scales(tmp_path, "BF16", b"\x80\x7f", 2, name=f"{_GATE}.weight") == []
    assert scales(tmp_path, "I32", b"\xff\xff\xff\x7f", 4, name=f"{_GATE}.weight_zero_point") == []


def test_a_file_that_changes_meanwhile_is_noticed(tmp_path: Path) -> None:
    """The bytes of another file are never held against this header."""
    path = write_tensors(tmp_path / "model.safetensors", {_SCALE: Tensor("BF16", [4], bytes(8))})
    checkpoint = open_checkpoint(tmp_path)
    shorten(path)
    with pytest.raises(ChangedFileError):
        list(value_findings(checkpoint.tensors.values()))


def test_a_scale_that_no_load_reads_is_not_looked_at(tmp_path: Path) -> None:
    """A stale copy of a scale is a warning; that it is not finite is no error."""
    stored = quantized(b"\x80\x3f" * 6)
    directory = build(tmp_path, stored, shards=2, quantization_config={"quant_method": "compressed-tensors"})
    placed = [name for place, name in enumerate(stored) if place % 2 == stored_place(stored, _SCALE) ^ 1]
    other = directory / (_SECOND if stored_place(stored, _SCALE) == 0 else _FIRST)
    write_tensors(other, {**{name: stored[name] for name in placed}, _SCALE: Tensor("BF16", [6, 1], b"\x80\x7f" * 6)})
    report = check(directory)
    assert ("warning", "index.stale_copy") in told(report)
    assert "quant.scale" not in {code for _, code in told(report)}


def stored_place(stored: dict[str, Tensor], name: str) -> int:
    """Which of two shards `tiny_llama.build` puts a tensor in."""
    return list(stored).index(name) % 2


def test_the_tiny_model_is_what_it_says() -> None:
    """The elements of its tensors add up to the figure that other tests rely on."""
    assert sum(len(tensor.data) for tensor in tensors().values()) == 2 * tiny_llama.PARAMETERS
