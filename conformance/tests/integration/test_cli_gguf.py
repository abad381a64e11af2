"""The command line on GGUF: a file and the directory that holds it, what is told of blocks, and what is refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from conformance.tools.gguf_edits import edit
from conformance.tools.gguf_recipe import SMALL, GgufRecipe
from inferno_loader import load_model
from inferno_loader.cli.app import app

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

    from conformance.tools.gguf_edits import Edit

#: Everything is Q4_0 but the down projections, the head is the embedding: 19 matrices, of 64, 128 and 160 columns.
_TYPES = (("*", "Q4_0"), ("*.down_proj.weight", "Q8_0"))
_CONFIG = {**SMALL, "tie_word_embeddings": True}
_PARAMETERS = {"Q4_0": 37 * 64 + 2 * (2 * 64 * 128 + 2 * 64 * 32 + 2 * 64 * 160), "Q8_0": 2 * 160 * 64, "F32": 5 * 64}
_BYTES = {"Q4_0": _PARAMETERS["Q4_0"] * 18 // 32, "Q8_0": _PARAMETERS["Q8_0"] * 34 // 32, "F32": 4 * 5 * 64}


def _run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def _lines(result: Result) -> list[str]:
    """The lines of stdout, each run of spaces as one."""
    return [" ".join(line.split()) for line in result.stdout.splitlines()]


def _build(directory: Path, *edits: Edit, **recipe: Any) -> Path:
    """The file of a recipe in `directory`."""
    GgufRecipe(**{"config": _CONFIG, "types": _TYPES, **recipe}, edits=edits).build(directory)
    return directory / "model.gguf"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of 37 tokens in two types of blocks, with a tokenizer of as many words beside it: w0, w1, ..."""
    file = _build(tmp_path_factory.mktemp("model"))
    tokenizer = Tokenizer(WordLevel({f"w{number}": number for number in range(37)}, unk_token="w0"))  # noqa: S106
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.save(str(file.parent / "tokenizer.json"))
    return file


@pytest.mark.parametrize("command", ["inspect", "check", "names", "plan"])
def test_a_file_and_its_directory_are_told_alike(command: str, file: Path) -> None:
    """What looks says the same of both, but for the path; and nothing is wrong."""
    by_file, by_directory = (_run(command, path, "--json") for path in (file, file.parent))
    assert (by_file.exit_code, by_file.stderr) == (by_directory.exit_code, by_directory.stderr) == (0, "")
    told, other = (json.loads(each.stdout) for each in (by_file, by_directory))
    assert (told.pop("path"), other.pop("path")) == (str(file), str(file.parent))
    for varying in ("machine", "recommendations"):
        assert (varying in told) == (command == "inspect")
        told.pop(varying, None), other.pop(varying, None)
    assert told == other


def test_inspect_counts_the_numbers_in_blocks(file: Path) -> None:
    """Elements of a type are those of the model, not bytes of blocks, and the bits of a weight follow from both."""
    told = json.loads(_run("inspect", file, "--json").stdout)
    assert {name: (use["elements"], use["bytes"]) for name, use in told["dtypes"].items()} == {
        name: (count, _BYTES[name]) for name, count in _PARAMETERS.items()
    }
    assert (told["parameters"], told["bytes"]) == (sum(_PARAMETERS.values()), sum(_BYTES.values()))
    blocks = (_BYTES["Q4_0"] + _BYTES["Q8_0"]) / (_PARAMETERS["Q4_0"] + _PARAMETERS["Q8_0"])
    assert [use["scheme"] for use in told["schemes"]] == ["gguf", "none"]
    assert [use["bits_per_weight"] for use in told["schemes"]] == [pytest.approx(8 * blocks), 32.0]
    assert [use["layers"] for use in told["schemes"]] == ["0-1", "0-1"]
    assert (told["dialect"], told["scheme"], told["tied"], told["dense_matrices"]) == ("gguf", "gguf", True, [])


def test_inspect_names_the_matrices_that_are_dense(tmp_path: Path) -> None:
    """What a converter has left in F16 is said, by the name that Hugging Face gives it."""
    file = _build(tmp_path, types=(("*", "Q4_0"), ("*.0.self_attn.v_proj.weight", "F16")))
    told = json.loads(_run("inspect", file, "--json").stdout)
    assert told["dense_matrices"] == ["model.layers.0.self_attn.v_proj.weight"]


def test_inspect_as_text_has_a_row_for_each_type(file: Path) -> None:
    """Type, tensors, elements and bytes of each; what a load takes, dense and as stored."""
    rows = _lines(_run("inspect", file))
    for name, tensors in (("Q4_0", 13), ("Q8_0", 2), ("F32", 5)):
        (row,) = (row for row in rows if row.startswith(f"{name} "))
        assert row.startswith(f"{name} {tensors} {_PARAMETERS[name]:,} ")
        assert row.endswith(f" {_BYTES[name]:,}")


def test_names_tell_where_rows_move(file: Path) -> None:
    """Every tensor has a name in the other dialect, and q and k alone another order of rows."""
    told = json.loads(_run("names", file, "--to", "huggingface", "--json").stdout)
    assert told["dialect"] == "gguf"
    assert all(each["result"] for each in told["names"])
    moved = {each["name"] for each in told["names"] if each["layout"]}
    assert moved == {f"blk.{layer}.attn_{part}.weight" for layer in (0, 1) for part in "qk"}


def test_plan_as_stored_takes_less(file: Path) -> None:
    """With --keep-quantized the Linears stay blocks, and only the embedding is made dense."""
    dense, kept = (json.loads(_run("plan", file, "--json", *more).stdout) for more in ((), ("--keep-quantized",)))
    assert [each["action"] for each in dense["tensors"]].count("dequantize") == 15
    made = [each["name"] for each in kept["tensors"] if each["action"] == "dequantize"]
    assert made == ["embed_tokens.weight"]
    assert kept["weight_bytes"] == sum(_BYTES.values()) - 37 * 64 * 18 // 32 + 37 * 64 * 2
    assert kept["weight_bytes"] < dense["weight_bytes"] / 2


@pytest.mark.parametrize("more", [(), ("--keep-quantized",)], ids=["dense", "kept"])
def test_generate_continues_as_the_model_does(more: tuple[str, ...], file: Path) -> None:
    """By the file and by the directory, dense and as stored: the tokens that the model itself gives."""
    import torch  # noqa: PLC0415 - of this test alone

    tokens = load_model(file).generate(torch.tensor([[3, 1, 4]]), max_new_tokens=4)[0].tolist()
    expected = " ".join(f"w{token}" for token in tokens)
    for path in (file, file.parent):
        result = _run("generate", path, "--prompt", "w3 w1 w4", "--max-new-tokens", 4, *more)
        assert (result.exit_code, result.stdout.strip()) == (0, expected)


def test_generate_says_that_the_tokenizer_in_the_file_is_not_read(tmp_path: Path) -> None:
    """A GGUF file has a vocabulary in it: who has no other one is told what to fetch."""
    result = _run("generate", _build(tmp_path), "--prompt", "x")
    assert result.exit_code == 1
    assert "[file.missing]" in result.stderr
    assert "the one in a GGUF file is not read" in result.stderr


def test_load_tells_the_memory_of_blocks(file: Path) -> None:
    """What was delivered, predicted and measured."""
    result = _run("load", file, "--keep-quantized")
    assert result.exit_code == 0
    assert "tensors 1 dequantize, 19 keep, 1 alias" in _lines(result)
    assert "loaded 21 tensors in" in result.stdout


def test_discover_finds_the_directory_and_takes_no_file(file: Path) -> None:
    """One row for the directory; a file is no place to look in, and the message says which is."""
    (found,) = json.loads(_run("discover", file.parent, "--json").stdout)
    assert found == {"path": str(file.parent), "layout": "single", "files": 1, "bytes": file.stat().st_size}
    result = _run("discover", file)
    assert result.exit_code == 3
    assert f"remedy: name the directory that holds it: {file.parent}" in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    ("how", "status", "code"),
    [
        (edit("set", "cut", 500), 1, "file.truncated"),
        (edit("magic", "504b0304"), 1, "file.not_gguf"),
        (edit("entry", "blk.1.ffn_up.weight", "kind", 10), 1, "header."),
        (edit("pair", "general.architecture", "string", "qwen2"), 1, "config.family"),
        (edit("poke", "blk.0.ffn_up.weight", 0, "007e"), 1, "quant.scale"),
    ],
    ids=["cut", "zip", "type", "architecture", "scale"],
)
def test_check_tells_what_is_wrong_with_a_file(how: Edit, status: int, code: str, tmp_path: Path) -> None:
    """One finding, with its code, what to do about it, and the status of a broken checkpoint."""
    result = _run("check", _build(tmp_path, how), "--json")
    told = json.loads(result.stdout)
    assert (result.exit_code, told["sound"]) == (status, False)
    (found,) = (each for each in told["findings"] if each["severity"] == "error")
    assert found["code"].startswith(code)
    assert found["remedy"]
