"""The commands that load: the memory table, the log, the progress bar, and text from a model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import torch
from click.testing import CliRunner
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from conformance.tests import tiny_llama
from conformance.tests.tiny_llama import Tensor, tensors
from conformance.tools.recipe import NAMED, build
from inferno_loader import load_model
from inferno_loader.cli import loading
from inferno_loader.cli.app import app

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

_MODEL = "bf16-single"
_STRANGER = "model.layers.0.self_attn.q_norm.weight"


def run(*arguments: object) -> Result:
    """Run the command line in this process."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def lines(result: Result) -> list[str]:
    """The lines of stdout, each run of spaces as one."""
    return [" ".join(line.split()) for line in result.stdout.splitlines()]


def with_terminal_as_stderr(*arguments: object) -> tuple[str, str]:
    """The command line as a process: its stdout, and what it writes to a terminal that is its stderr."""
    ours, theirs = os.openpty()
    command = [sys.executable, "-m", "inferno_loader", *map(str, arguments)]
    env = {**os.environ, "TERM": "xterm", "COLUMNS": "150"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, env=env, text=True)
    os.close(theirs)
    pieces = []
    try:
        while piece := os.read(ours, 4096):
            pieces.append(piece)
    except OSError:  # Linux tells of the end of a terminal by an error
        pass
    os.close(ours)
    stdout, _ = process.communicate()
    assert process.returncode == 0
    return stdout, b"".join(pieces).decode()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A synthetic Llama of 101 tokens, with a tokenizer of as many words: w0, w1, ..."""
    directory = build(NAMED[_MODEL], tmp_path_factory.mktemp("model")).directory
    tokenizer = Tokenizer(WordLevel({f"w{number}": number for number in range(101)}, unk_token="w0"))  # noqa: S106
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.save(str(directory / "tokenizer.json"))
    return directory


def test_load_holds_memory_against_the_prediction(model: Path, tmp_path: Path) -> None:
    """Predicted bytes, the growth that was measured beside them, and the time; nothing on stderr."""
    expected = build(NAMED[_MODEL], tmp_path).nbytes
    result = run("load", model)
    assert (result.exit_code, result.stderr) == (0, "")
    (resident,) = (line for line in lines(result) if line.startswith("resident "))
    assert f" {expected:,} " in resident
    assert resident.split()[-1].replace(",", "").lstrip("-").isdigit()
    assert "loaded 111 tensors in" in result.stdout  # 12 layers of 9, embedding, norm, and the head that is tied
    assert "tensors 110 keep, 1 alias" in lines(result)


def test_load_without_a_measure(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing tells the memory of a process, the prediction stands alone."""
    monkeypatch.setattr(loading, "_STATUS", model / "absent")
    (resident,) = (line for line in lines(run("load", model)) if line.startswith("resident "))
    assert len(resident.split()) == 4


@pytest.mark.parametrize(("tells", "told"), [({"memory_allocated": lambda _: 7}, 7), ({}, None)], ids=["yes", "no"])
def test_load_measures_other_devices(monkeypatch: pytest.MonkeyPatch, tells: dict[str, Any], told: int | None) -> None:
    """What the tensors of a device take is asked of torch, which does not know it of every device."""
    monkeypatch.setattr(torch, "get_device_module", lambda _: SimpleNamespace(**tells))
    assert loading._memory_of("cuda") == told


def test_load_maps_files(model: Path) -> None:
    """What aliases the file is told apart from what is resident."""
    result = run("load", model, "--mmap")
    assert result.exit_code == 0
    assert any(line.startswith("mapped, resident once touched") for line in lines(result))
    assert not any(line.startswith("resident ") for line in lines(result))


def test_load_tells_of_lossy_casts_on_stderr(model: Path) -> None:
    """A warning is in the log, not among the data; -q leaves it out."""
    loud, quiet = run("load", model, "--dtype", "F16"), run("load", model, "--dtype", "F16", "-q")
    assert "warning: [plan.lossy_cast]" in loud.stderr
    assert "lossy" not in loud.stdout
    assert (loud.exit_code, quiet.exit_code, quiet.stderr) == (0, 0, "")


def test_load_tells_of_notes_with_v(model: Path) -> None:
    """A cast that loses nothing is for the record."""
    assert "plan.cast" not in run("load", model, "--dtype", "F32").stderr
    assert "note: [plan.cast]" in run("load", model, "--dtype", "F32", "-v").stderr


def test_load_refuses_what_does_not_fit(model: Path) -> None:
    """The limit is held before a byte is read, and nothing is on stdout."""
    result = run("load", model, "--max-memory", "1KiB")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "[plan.memory]" in result.stderr
    assert "at most 1024 bytes" in result.stderr


@pytest.mark.parametrize(
    ("device", "code"), [("cuda:99", "capability.device"), ("abacus", "capability.device")], ids=["absent", "unknown"]
)
def test_load_refuses_a_device_that_is_not_there(model: Path, device: str, code: str) -> None:
    """The error says what is there."""
    result = run("load", model, "--device", device)
    assert result.exit_code == 1
    assert f"[{code}]" in result.stderr
    assert "expected: one of cpu" in result.stderr


def test_load_keeps_codes(tmp_path: Path) -> None:
    """--keep-quantized takes the bytes of the file; without it, the weights are dense."""
    directory = build(NAMED["w8a8"], tmp_path).directory
    kept, dense = run("load", directory, "--keep-quantized", "--names", "huggingface"), run("load", directory)
    assert kept.exit_code == dense.exit_code == 0
    assert "dequantize" not in kept.stdout
    assert "tensors 27 keep, 84 dequantize" in lines(dense)


def test_load_can_be_told_what_to_leave_out(tmp_path: Path) -> None:
    """A pattern that the caller names, and a head that the embedding may serve for."""
    stored = {**tensors(), _STRANGER: Tensor("BF16", [2], bytes(4))}
    del stored["lm_head.weight"]
    tiny_llama.build(tmp_path, stored)
    waivers = ["--allow-unexpected", "*.q_norm.*", "--tie-embedding"]
    assert run("load", tmp_path, *waivers).exit_code == 0
    assert run("load", tmp_path, *waivers[:2]).exit_code == 1
    assert run("load", tmp_path, *waivers[2:]).exit_code == 1


def test_progress_is_for_terminals(model: Path) -> None:
    """On a terminal, a bar that counts bytes, and none with -q; stdout is the same."""
    stdout, terminal = with_terminal_as_stderr("load", model)
    assert "100%" in terminal or "KiB" in terminal or "MiB" in terminal
    assert "\x1b" not in stdout
    assert "loaded 111 tensors" in stdout
    _, quiet = with_terminal_as_stderr("load", model, "-q")
    assert quiet == ""


def test_generate_continues_greedily(model: Path) -> None:
    """The prompt and the words of the most likely tokens, on stdout; the count in the log."""
    prompt = [7, 70, 30]
    tokens = load_model(model, dtype="F32").generate(torch.tensor([prompt]), 5)[0].tolist()
    result = run("generate", model, "--prompt", "w7 w70 w30", "--max-new-tokens", 5, "--dtype", "F32", "-v")
    assert result.exit_code == 0
    assert result.stdout == " ".join(f"w{token}" for token in tokens) + "\n"
    assert len(tokens) > len(prompt)
    assert f"{len(tokens) - len(prompt)} tokens in" in result.stderr


def test_generate_needs_a_tokenizer(tmp_path: Path) -> None:
    """Which file is missing, and what to do; before the weights are read."""
    tiny_llama.build(tmp_path)
    result = run("generate", tmp_path, "--prompt", "x")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "[file.missing]" in result.stderr
    assert str(tmp_path / "tokenizer.json") in result.stderr


@pytest.mark.parametrize(
    "text", ["", "{}", json.dumps({"model": {"type": "abacus"}})], ids=["empty", "none", "unknown"]
)
def test_generate_refuses_a_broken_tokenizer(tmp_path: Path, text: str) -> None:
    """No traceback of the library."""
    (tiny_llama.build(tmp_path) / "tokenizer.json").write_text(text, encoding="utf-8")
    result = run("generate", tmp_path, "--prompt", "x")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "[file.unreadable]" in result.stderr
    assert "download it again" in result.stderr


def test_generate_needs_a_token(model: Path) -> None:
    """A prompt of which the tokenizer makes nothing is wrong usage."""
    result = run("generate", model, "--prompt", "  ")
    assert result.exit_code == 2
    assert "--prompt" in result.stderr
