"""The command line as a user runs it: what it prints, where it prints it, and how it ends. Only looking: no torch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

import inferno_loader
from conformance.tests.support import become_nobody, unprivileged
from conformance.tests.tiny_llama import PARAMETERS, Tensor, build, tensors, write_tensors
from inferno_loader.cli.app import app

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from click.testing import Result

pytestmark = pytest.mark.torch_free

_LOOKING = ("inspect", "check", "names", "plan", "discover")
_COMMANDS = (*_LOOKING, "load", "generate")
_STRANGER = "model.layers.0.self_attn.q_norm.weight"


def run(*arguments: object) -> Result:
    """Run the command line in this process."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def start(*arguments: object, program: str = "", env: Mapping[str, str] | None = None) -> tuple[int, str, str]:
    """Run the command line as a process, or a `program` that ends with it; its status, its stdout and its stderr."""
    module = ["-c", f"{program}\nfrom inferno_loader.cli import main\nimport sys\nsys.exit(main(sys.argv[1:]))"]
    command = [sys.executable, *(module if program else ["-m", "inferno_loader"]), *map(str, arguments)]
    environment = {**os.environ, **(env or {})}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=120)
    return done.returncode, done.stdout, done.stderr


def on_terminal(*arguments: object, env: Mapping[str, str]) -> str:
    """What the command line writes where stdout is a terminal."""
    ours, theirs = os.openpty()
    command = [sys.executable, "-m", "inferno_loader", *map(str, arguments)]
    process = subprocess.Popen(command, stdout=theirs, stderr=subprocess.DEVNULL, env={**os.environ, **env})
    os.close(theirs)
    pieces = []
    try:
        while piece := os.read(ours, 4096):
            pieces.append(piece)
    except OSError:  # Linux tells of the end of a terminal by an error
        pass
    os.close(ours)
    process.wait()
    return b"".join(pieces).decode()


def told(result: Result) -> Any:
    """The JSON on stdout."""
    return json.loads(result.stdout)


def row(result: Result, first: str) -> list[str]:
    """The words of the line whose first word is `first`."""
    return next(line.split() for line in result.stdout.splitlines() if line.split()[:1] == [first])


def lines(result: Result) -> list[str]:
    """The lines of stdout, each run of spaces as one."""
    return [" ".join(line.split()) for line in result.stdout.splitlines()]


def broken(directory: Path) -> Path:
    """A checkpoint that lacks two tensors, has one too many and one of a wrong shape."""
    stored = {**tensors(), _STRANGER: Tensor("BF16", [2], bytes(4)), "lm_head.weight": Tensor("BF16", [5], bytes(10))}
    del stored["model.norm.weight"], stored["model.layers.0.input_layernorm.weight"]
    return build(directory, stored)


@pytest.mark.parametrize("command", _COMMANDS)
def test_help_has_an_example(command: str) -> None:
    """Whoever asks for help gets a line to copy."""
    result = run(command, "--help")
    assert result.exit_code == 0
    examples = result.stdout.partition("Examples:")[2]
    assert f"inferno-loader {command} " in examples
    assert "--verbose" in result.stdout


def test_help_of_the_whole_tells_the_statuses() -> None:
    """Every command, every exit status, and examples."""
    result = run("--help")
    assert result.exit_code == 0
    first_words = [line.split()[0] for line in result.stdout.splitlines() if line.split()]
    assert set(_COMMANDS) < set(first_words)
    assert {"0", "1", "2", "3", "130", "141"} < set(first_words)
    assert "Examples:" in result.stdout
    assert result.stdout.count("...") == 1  # of "[ARGS]...": no sentence of a command is cut off


def test_version() -> None:
    """The version of the package."""
    assert run("--version").stdout == f"inferno-loader, version {inferno_loader.__version__}\n"


def test_inspect_tells_what_is_there(tmp_path: Path) -> None:
    """Figures counted by hand: 172 parameters of two bytes, in two files, and the memory that they take."""
    result = run("inspect", build(tmp_path, shards=2), "--dtype", "float32", "--batch", 2, "--length", 3)
    assert (result.exit_code, result.stderr) == (0, "")
    assert row(result, "parameters") == ["parameters", str(PARAMETERS)]
    assert row(result, "layout") == ["layout", "index"]
    assert row(result, "BF16") == ["BF16", "12", "172", "344", "bytes", "344"]
    assert "Memory (F32, batch 2, 3 positions)" in lines(result)
    assert "weights as stored 344 bytes 344" in lines(result)
    assert "weights as loaded 688 bytes 688" in lines(result)
    # Keys and values of one head of two dimensions, at two times three positions of four bytes.
    assert "key-value cache 96 bytes 96" in lines(result)


def test_inspect_folds_many_files(tmp_path: Path) -> None:
    """Of twelve files, the first and the last four are shown, and how many are not."""
    result = run("inspect", build(tmp_path, shards=12))
    assert "Files (12)" in result.stdout
    assert "... 4 more" in result.stdout
    shown = [line.split()[0] for line in result.stdout.splitlines() if "of-00012" in line]
    assert [int(name[6:11]) for name in shown] == [1, 2, 3, 4, 9, 10, 11, 12]


def test_inspect_tells_what_is_wrong(tmp_path: Path) -> None:
    """A checkpoint that cannot be loaded can be described: the status is 0, and the findings say why."""
    result = run("inspect", broken(tmp_path))
    assert result.exit_code == 0
    assert "incomplete 0" in lines(result)
    for code in ("plan.missing", "plan.unexpected", "plan.shape"):
        assert f"[{code}]" in result.stdout


def test_inspect_says_more_on_stderr(tmp_path: Path) -> None:
    """-v adds to the log, -q and the default do not, and stdout stays the same."""
    build(tmp_path)
    loud, plain, quiet = (run("inspect", tmp_path, *flags) for flags in (["-v"], [], ["-q"]))
    assert "read 1 headers" in loud.stderr
    assert (plain.stderr, quiet.stderr) == ("", "")
    assert loud.stdout.splitlines()[:20] == plain.stdout.splitlines()[:20]


def test_verbosity_may_stand_before_the_command(tmp_path: Path) -> None:
    """`inferno-loader -v inspect` is `inferno-loader inspect -v`."""
    assert "read 1 headers" in run("-v", "inspect", build(tmp_path)).stderr


@pytest.mark.parametrize("command", _LOOKING)
def test_json_has_the_keys_that_help_names(tmp_path: Path, command: str) -> None:
    """What --json writes is one JSON value, and every key of it is in the help."""
    build(tmp_path / "sound")
    result = run(command, "--json", broken(tmp_path / "broken") if command == "inspect" else tmp_path / "sound")
    found = told(result)
    words = run(command, "--help").stdout.partition("JSON")[2].replace(";", " ").replace(",", " ").split()
    first = found[0] if isinstance(found, list) else found
    assert first.keys() <= set(words)
    inner = [value[0] for value in first.values() if isinstance(value, list) and value and isinstance(value[0], dict)]
    if command in ("names", "plan"):
        assert len(inner) == 1
        assert inner[0].keys() <= set(words)


def test_inspect_json_answers_the_question_asked(tmp_path: Path) -> None:
    """The memory is that of the dtype, batch and length of the command line."""
    found = told(run("inspect", build(tmp_path), "--json", "--dtype", "F64", "--batch", 2, "--length", 3))
    assert (found["parameters"], found["bytes"], found["memory"]["weights"]) == (172, 344, 1376)
    assert (found["memory"]["kv_cache"], found["memory"]["batch"], found["memory"]["length"]) == (192, 2, 3)


@pytest.mark.parametrize(
    ("changes", "status", "verdict"),
    [
        ({}, 0, "sound"),
        ({"eos_token_id": -1}, 0, "sound: 1 note"),
        ({"eos_token_id": 9}, 1, "sound: 1 warning"),
        ({"vocab_size": 6}, 1, "broken: 2 errors"),
    ],
    ids=["sound", "notes", "warnings", "errors"],
)
def test_check_ends_with_a_verdict(tmp_path: Path, changes: dict[str, Any], status: int, verdict: str) -> None:
    """0 for a sound checkpoint, notes aside; 1 where something may surprise, or stops a load."""
    result = run("check", build(tmp_path, **changes))
    assert (result.exit_code, result.stderr) == (status, "")
    assert result.stdout.splitlines()[-1] == f"{tmp_path}: {verdict}"


def test_check_tells_everything(tmp_path: Path) -> None:
    """Every finding with its code, its file, its tensor, what was expected, what is there, and what to do."""
    result = run("check", broken(tmp_path))
    for code in ("plan.missing", "plan.unexpected", "plan.shape"):
        assert f"error: [{code}]" in result.stdout
    shape = result.stdout.partition("[plan.shape]")[2].splitlines()[1:6]
    assert [line.split()[0] for line in shape] == ["file:", "tensor:", "expected:", "actual:", "remedy:"]
    assert [line.split(maxsplit=1)[1] for line in shape[:4]] == [
        str(tmp_path / "model.safetensors"), "lm_head.weight", "[5, 4]", "[5]",
    ]  # fmt: skip


def test_findings_that_differ_only_in_the_tensor_are_told_once(tmp_path: Path) -> None:
    """Two buffers in two files make one note, which names both; the JSON has both."""
    names = [f"model.layers.{layer}.self_attn.rotary_emb.inv_freq" for layer in (0, 1)]
    directory = build(tmp_path, {**tensors(), **{name: Tensor("F32", [1], bytes(4)) for name in names}}, shards=2)
    result = run("check", directory)
    assert result.stdout.count("[plan.tolerated]") == 1
    assert "model.layers.{0-1}.self_attn.rotary_emb.inv_freq" in result.stdout
    assert "-of-00002.safetensors, and 1 more" in result.stdout
    assert told(run("check", directory, "--json"))["notes"] == 2


def test_names_lists_every_tensor(tmp_path: Path) -> None:
    """The stored name, the other name, and where rows move."""
    result = run("names", build(tmp_path), "--to", "meta")
    assert len(result.stdout.splitlines()) == 13
    assert row(result, "model.layers.0.mlp.up_proj.weight")[1:] == ["layers.0.feed_forward.w3.weight"]
    moved = row(result, "model.layers.0.self_attn.q_proj.weight")
    assert moved[1:] == ["layers.0.attention.wq.weight", "rotary-half->rotary-interleaved"]


def test_names_explains(tmp_path: Path) -> None:
    """The rule that fired, and what was probably meant where none did."""
    stored = {**tensors(), "model.layers.0.mlp.gate_prj.weight": Tensor("BF16", [1], bytes(2))}
    result = run("names", build(tmp_path, stored), "--to", "gguf", "--explain")
    line = next(line for line in result.stdout.splitlines() if "gate_prj" in line)
    assert line.split()[1] == "-"
    assert line.split()[-1] == "model.layers.0.mlp.gate_proj.weight"
    assert "model.layers.{layer}.mlp.up_proj -> blk.{layer}.ffn_up" in result.stdout


def test_plan_tells_what_a_load_would_do(tmp_path: Path) -> None:
    """Counts and bytes; a lossy cast among the findings."""
    result = run("plan", build(tmp_path), "--dtype", "half")
    assert result.exit_code == 0
    assert row(result, "tensors") == ["tensors", "12", "cast"]
    assert row(result, "delivers") == ["delivers", "344", "bytes"]
    assert "warning: [plan.lossy_cast]" in result.stdout


@pytest.mark.parametrize(
    ("size", "fits"),
    [("344", True), ("343", False), ("0.336 KiB", True), ("0.343kB", False), ("344b", True), ("1GiB", True)],
)
def test_sizes_have_units(tmp_path: Path, size: str, fits: bool) -> None:
    """The 344 bytes of the weights, against limits in bytes, in 1000 and in 1024."""
    result = run("plan", build(tmp_path), "--max-memory", size)
    assert result.exit_code == (0 if fits else 1)
    assert ("[plan.memory]" in result.stderr) is not fits


def test_discover_lists_checkpoints(tmp_path: Path) -> None:
    """Sorted, with size and layout, and with the code of what is wrong."""
    build(tmp_path / "b" / "sharded", shards=2)
    build(tmp_path / "a")
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "pytorch_model.bin").write_bytes(b"")
    result = run("discover", tmp_path)
    assert [line.split()[1] for line in result.stdout.splitlines()] == ["layout", "single", "index", "unusable"]
    assert row(result, str(tmp_path / "c"))[-1] == "[checkpoint.pickle]"
    found = told(run("discover", tmp_path, "--json"))
    assert [each["path"] for each in found] == [str(tmp_path / place) for place in ("a", "b/sharded", "c")]
    assert [each.get("problem", {}).get("code") for each in found] == [None, None, "checkpoint.pickle"]
    assert found[0]["bytes"] == (tmp_path / "a" / "model.safetensors").stat().st_size


def test_discover_finds_nothing(tmp_path: Path) -> None:
    """A directory without weights is no error."""
    assert told(run("discover", tmp_path, "--json")) == []
    assert run("discover", tmp_path).exit_code == 0


@pytest.mark.parametrize("command", _LOOKING)
def test_a_path_that_is_not_there(tmp_path: Path, command: str) -> None:
    """Status 3, a message with the path, and with --json the same on stdout."""
    absent = tmp_path / "absent"
    result = run(command, absent)
    assert (result.exit_code, result.stdout) == (3, "")
    assert result.stderr.startswith("error: [file.")
    assert f"file: {absent}" in result.stderr
    error = told(run(command, absent, "--json"))["error"]
    assert (error["path"], error["severity"]) == (str(absent), "error")


def test_a_path_that_is_refused() -> None:
    """Status 3 as well."""
    with unprivileged() as place:
        locked = build(place / "locked")
        locked.chmod(0)
        become_nobody()
        result = run("check", locked)
    assert result.exit_code == 3
    assert "[file.unreadable]" in result.stderr


def test_a_part_that_is_not_there_is_no_unreadable_path(tmp_path: Path) -> None:
    """Status 1: the directory is there, and what it holds is not enough."""
    directory = build(tmp_path)
    (directory / "config.json").unlink()
    assert run("inspect", directory).exit_code == 1
    (directory / "model.safetensors").unlink()
    (directory / "model.safetensors").symlink_to("nowhere")
    assert run("inspect", directory).exit_code == 1


def test_an_error_tells_all_its_facts(tmp_path: Path) -> None:
    """Code, file, tensor, expected, actual, remedy; each problem of several by itself, on stderr and in the JSON."""
    directory = broken(tmp_path)
    result = run("plan", directory)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.count("error: [plan.") == 3
    for word in ("file", "tensor", "expected", "actual", "remedy"):
        assert result.stderr.count(f"\n  {word}: ") == 3
    error = told(run("plan", directory, "--json"))["error"]
    assert {problem["code"] for problem in error["problems"]} == {"plan.missing", "plan.unexpected", "plan.shape"}


def test_names_cannot_steer_the_terminal(tmp_path: Path) -> None:
    """A file may name a tensor as it likes: escape sequences are shown, and not sent."""
    name = "model.layers.0.mlp.\x1b[2J\x1b]0;owned\x07"
    directory = build(tmp_path, {**tensors(), name: Tensor("BF16", [1], bytes(2))})
    for command in ("check", "names", "inspect", "plan"):
        result = run(command, directory)
        assert "\\x1b[2J" in result.stdout + result.stderr
        assert "\x1b" not in result.stdout + result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["weigh", "DIR"],
        ["inspect"],
        ["inspect", "DIR", "--batch", "0"],
        ["inspect", "DIR", "--dtype", "I8"],
        ["inspect", "DIR", "--dtype", "bf17"],
        ["plan", "DIR", "--max-memory", "8 bags"],
        ["plan", "DIR", "--max-memory", "-1"],
        ["names", "DIR", "--to", "klingon"],
        ["check", "DIR", "--weights", "both"],
        ["generate", "DIR"],
    ],
    ids=" ".join,
)
def test_wrong_usage(arguments: list[str]) -> None:
    """Status 2, and nothing on stdout."""
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Usage: " in result.stderr


@pytest.mark.parametrize("command", _LOOKING)
def test_looking_imports_no_torch(tmp_path: Path, command: str) -> None:
    """Neither torch nor numpy, nor what only a progress bar needs, and as a process of its own."""
    program = "import atexit, sys\n@atexit.register\ndef tell():\n print(*sorted({'torch', 'numpy', 'safetensors', \
'rich'} & set(sys.modules)), 'none', file=sys.stderr)"
    status, stdout, stderr = start(command, build(tmp_path), program=program)
    assert (status, stderr) == (0, "none\n")
    assert stdout


def test_importing_the_package_needs_no_command_line() -> None:
    """A library does not bring the command line with it."""
    program = "import sys, inferno_loader, inferno_loader.cli\nassert not {'click', 'rich'} & set(sys.modules)"
    assert start("--version", program=program)[0] == 0


def test_without_click() -> None:
    """The command that installs what is missing, and status 2."""
    status, stdout, stderr = start("--help", program="import sys\nsys.modules['click'] = None")
    assert (status, stdout) == (2, "")
    assert "pip install 'inferno-loader[cli]'" in stderr
    assert "Traceback" not in stderr


def test_a_defect_of_our_own_is_not_taken_for_a_missing_package() -> None:
    """Only click that is missing is said to be missing."""
    status, _, stderr = start("--help", program="import sys\nsys.modules['inferno_loader.cli.app'] = None")
    assert status == 1
    assert "Traceback" in stderr


@pytest.mark.parametrize(("command", "package"), [("load", "torch"), ("generate", "tokenizers")])
def test_without_what_loading_needs(tmp_path: Path, command: str, package: str) -> None:
    """Loading says which package it lacks, and how to get it; looking would have worked."""
    program = f"import sys, types\nsys.modules['torch'] = types.ModuleType('torch')\nsys.modules['{package}'] = None"
    options = ["--prompt", "x"] if command == "generate" else []
    status, stdout, stderr = start(command, build(tmp_path), *options, program=program)
    assert (status, stdout) == (2, "")
    assert f"needs {package}" in stderr
    assert "pip install 'inferno-loader" in stderr


def test_interrupted(tmp_path: Path) -> None:
    """Ctrl-C ends with status 130 and a word, not with a traceback."""
    program = """import os, signal, inferno_loader
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has its background jobs ignore it
inferno_loader.analyze = lambda *_, **__: os.kill(os.getpid(), signal.SIGINT)"""
    assert start("inspect", tmp_path, program=program) == (130, "", "interrupted\n")


def test_interrupted_before_there_is_a_command_line() -> None:
    """Ctrl-C during the imports: the same status."""
    program = """import sys
class Interrupting:
    def find_spec(self, name, *_):
        if name == 'click': raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupting())"""
    assert start("--help", program=program) == (130, "", "")


def test_the_reader_goes_away(tmp_path: Path) -> None:
    """`inferno-loader names DIR | head -0` is quiet."""
    build(tmp_path)
    theirs, ours = os.pipe()
    os.close(theirs)
    command = [sys.executable, "-m", "inferno_loader", "names", str(tmp_path)]
    # Buffered, as usual: what could not be written is tried once more when the interpreter ends.
    env = {**os.environ, "PYTHONUNBUFFERED": ""}
    done = subprocess.run(command, stdout=ours, stderr=subprocess.PIPE, text=True, check=False, env=env)
    os.close(ours)
    assert (done.returncode, done.stderr) == (141, "")


def test_colours_are_for_terminals(tmp_path: Path) -> None:
    """Colours on a terminal, none with NO_COLOR, none in a pipe; an empty NO_COLOR is none."""
    directory = broken(tmp_path)
    with_colours = on_terminal("check", directory, env={"NO_COLOR": "", "TERM": "xterm"})
    assert "\x1b[31merror\x1b[0m: [plan.missing]" in with_colours
    without = on_terminal("check", directory, env={"NO_COLOR": "1", "TERM": "xterm"})
    assert "error: [plan.missing]" in without
    assert "\x1b" not in without
    assert "\x1b" not in start("check", directory, env={"NO_COLOR": ""})[1]


def test_any_name_can_be_printed(tmp_path: Path) -> None:
    """Where the encoding of stdout lacks a letter, the letter is escaped; the command does not fail."""
    directory = build(tmp_path, {**tensors(), "model.\u0416": Tensor("BF16", [1], bytes(2))})
    status, stdout, _ = start("names", directory, env={"PYTHONIOENCODING": "latin-1"})
    assert status == 0
    assert "model.\\u0416" in stdout


def test_a_single_file_can_be_named(tmp_path: Path) -> None:
    """DIR may be a file; one that is truncated is broken, and not unreadable."""
    path = write_tensors(build(tmp_path) / "model.safetensors", tensors())
    assert run("check", path).exit_code == 0
    os.truncate(path, path.stat().st_size - 1)
    for command in ("check", "inspect"):
        assert run(command, path).exit_code == 1
