"""Looking at a 405B: the whole command, from its start to its end, and what it must not import."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from conformance.tests.benchmarks.report import Row
from conformance.tests.benchmarks.timing import in_turns
from conformance.tools.facts import facts
from conformance.tools.twins import build_twin

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_MODEL = "meta-llama/Llama-3.1-405B"
_TOPIC = "inspect of Llama-3.1-405B (1,137 tensors in 191 shards), a whole process"
_ROUNDS = 9

# The headers alone, through safetensors: no configuration, no name, nothing held against anything.
_HEADERS = """
import sys
from pathlib import Path
from safetensors import safe_open
for path in Path(sys.argv[1]).glob("*.safetensors"):
    with safe_open(path, "numpy") as file:
        for name in file.keys():
            view = file.get_slice(name)
            view.get_shape(), view.get_dtype()
"""


@pytest.fixture(scope="module")
def llama_405b(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The twin of Llama-3.1-405B."""
    directory = tmp_path_factory.mktemp("llama-405b")
    build_twin(_MODEL, directory)
    return directory


def _inspect(directory: Path) -> list[str]:
    return ["-m", "inferno_loader", "inspect", str(directory)]


@pytest.fixture
def seconds(tmp_path: Path) -> Callable[..., float]:
    """The time of a process. Its bytecode is kept, as that of an installed package is, wherever the tests run."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = str(tmp_path)

    def seconds(*arguments: str) -> float:
        start = time.perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL, env=environment)
        return time.perf_counter() - start

    return seconds


def _forget(directory: Path) -> None:
    """Drop the pages of every file, as far as the system will."""
    for path in directory.iterdir():
        descriptor = os.open(path, os.O_RDONLY)
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def _check(directory: Path) -> None:
    """The command imports neither torch nor numpy, and gives the figures that are on record."""
    command = [sys.executable, "-X", "importtime", *_inspect(directory), "--json"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert "inferno_loader.resolve" in imported
    assert not {name.partition(".")[0] for name in imported} & {"torch", "numpy", "safetensors", "transformers"}
    known, found = facts(_MODEL)["twin"], json.loads(done.stdout)
    assert (found["parameters"], found["tensors"]) == (known["parameters"], known["tensors"])
    assert (found["bytes"], len(found["shards"])) == (known["payload_bytes"], len(known["files"]))
    assert (found["layers"], found["findings"]) == ("0-125", [])


def test_time_of_inspect(llama_405b: Path, seconds: Callable[..., float], record: Callable[[Row], None]) -> None:
    """The time of the command, beside a Python that does nothing and one that reads the headers with safetensors."""
    _check(llama_405b)

    def cold() -> float:
        _forget(llama_405b)
        return seconds(*_inspect(llama_405b))

    nothing, headers = "python -c pass", "safetensors, headers alone"
    turns = in_turns(
        {
            "warm": lambda: seconds(*_inspect(llama_405b)),
            nothing: lambda: seconds("-c", "pass"),
            headers: lambda: seconds("-c", _HEADERS, str(llama_405b)),
            "cold": cold,
        },
        _ROUNDS,
    )
    for state, peer, target in (("warm", nothing, "below 0.3 s"), ("warm", headers, ""), ("cold", nothing, "")):
        record(Row(_TOPIC, "inferno-loader inspect", state, "s", turns[state], peer, turns[peer], target))
