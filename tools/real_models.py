"""The cache of real models: which forms there are, where they lie, and whether they are whole. No torch, no network.

A form is one way of storing the same trained Llama (SmolLM2-135M-Instruct, Apache 2.0). Each lies in a directory of its
own with a ``manifest.json``: the sha256 of every file, the recipe that made it, and the versions of what made it.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from filelock import FileLock

from conformance.cache import cache_directory
from inferno_loader.errors import InfernoError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True)
class Form:
    """One way of storing the model.

    Attributes:
        name: The name of its directory in the cache.
        dtype: The dtype of the dense tensors, as torch names it.
        max_shard_bytes: Where the writer starts a new shard; None for one file.
        scheme: The preset of llm-compressor that quantizes it; None for a dense form.
    """

    name: str
    dtype: Literal["bfloat16", "float16"]
    max_shard_bytes: int | None = None
    scheme: Literal["W8A8", "FP8_DYNAMIC"] | None = None


#: Every form, by name.
FORMS: Mapping[str, Form] = MappingProxyType(
    {
        form.name: form
        for form in (
            Form("bf16", "bfloat16"),
            Form("bf16-sharded", "bfloat16", max_shard_bytes=100_000_000),
            Form("f16", "float16"),
            Form("w8a8", "bfloat16", scheme="W8A8"),
            Form("fp8-dynamic", "bfloat16", scheme="FP8_DYNAMIC"),
        )
    },
)


def find_form(name: str) -> Form:
    """The form called `name`.

    Raises:
        InfernoError: There is none of that name.
    """
    if name not in FORMS:
        raise InfernoError(
            f"{name!r} is no form of the real model",
            expected=", ".join(FORMS),
            actual=name,
            remedy="name one of the forms listed",
        )
    return FORMS[name]


def facts() -> Mapping[str, Any]:
    """What is known of the model beforehand: its source, its published figures, the digests of its files."""
    text = resources.files("conformance").joinpath("fixtures", "real_models.json").read_text(encoding="utf-8")
    known: dict[str, Any] = json.loads(text)
    return known


def sha256_of(path: Path) -> str:
    """The sha256 of a file, in lower-case hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def locked(name: str) -> Iterator[Path]:
    """Hold the lock of one entry of the cache, across processes, and give the directory of the cache."""
    root = cache_directory()
    root.mkdir(parents=True, exist_ok=True)
    with FileLock(root / f".{name}.lock"):
        yield root


@contextmanager
def staged(directory: Path) -> Iterator[Path]:
    """Give an empty directory that takes the place of `directory` at the end, if nothing was raised.

    The caller holds the lock of `directory`, so whatever an earlier build left behind belongs to nobody.
    """
    for stale in directory.parent.glob(f".{directory.name}.stage-*"):
        shutil.rmtree(stale)
    stage = Path(tempfile.mkdtemp(prefix=f".{directory.name}.stage-", dir=directory.parent))
    try:
        yield stage
        if directory.exists():
            shutil.rmtree(directory)
        stage.chmod(0o755)
        stage.rename(directory)
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def write_manifest(directory: Path, form: Form, inputs: Mapping[str, str], versions: Mapping[str, str]) -> None:
    """Write ``manifest.json`` over the files that lie in `directory`.

    Args:
        directory: A whole model, as its producer wrote it.
        form: The form that it is.
        inputs: The sha256 of everything that the files depend on: the source, the producers, their pins.
        versions: The versions of the packages that made it. For the record: a newer package makes no cache stale.
    """
    known = facts()
    manifest = {
        "model": known["model"],
        "license": known["license"],
        "form": asdict(form),
        "inputs": dict(inputs),
        "versions": dict(versions),
        "files": {
            path.name: {"bytes": path.stat().st_size, "sha256": sha256_of(path)} for path in sorted(directory.iterdir())
        },
    }
    (directory / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")


def fault(directory: Path, form: Form, inputs: Mapping[str, str]) -> str | None:
    """Why `directory` is not the whole form that its manifest tells of, in a few words; None where it is."""
    try:
        manifest = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))
        files = {name: entry["sha256"] for name, entry in manifest["files"].items()}
        recipe = manifest["form"], manifest["inputs"]
    except FileNotFoundError:
        return "not there yet"
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return f"{MANIFEST} cannot be read"
    if recipe != (asdict(form), dict(inputs)):
        return "made by another recipe"
    return _changed(directory, files)


def _changed(directory: Path, files: Mapping[str, str]) -> str | None:
    present = {path.name for path in directory.iterdir()} - {MANIFEST}
    if present != files.keys():
        return "files are missing or new: " + ", ".join(sorted(present ^ files.keys()))
    changed = [name for name, digest in files.items() if sha256_of(directory / name) != digest]
    return "changed: " + ", ".join(changed) if changed else None
