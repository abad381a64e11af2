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
        scheme: How its producer quantizes it, in the words of the producer's script; None for a dense form.
        producer: The name of the producer of a quantized form, see `producers`; None for what was downloaded.
        layers: How many layers of the model it has, where it is a cut of it.
        slow: Whether it takes too long to be made for every run of the tests.
    """

    name: str
    dtype: Literal["bfloat16", "float16"]
    max_shard_bytes: int | None = None
    scheme: str | None = None
    producer: str | None = None
    layers: int | None = None
    slow: bool = False


#: Layers of a cut. Whoever calibrates layer by layer, or searches for each scale, takes minutes for all thirty.
_CUT = 4


def _by_name(*forms: Form) -> Mapping[str, Form]:
    return MappingProxyType({form.name: form for form in forms})


def _quantized(name: str, producer: str, scheme: str, layers: int | None = None, *, slow: bool = True) -> Form:
    return Form(name, "bfloat16", scheme=scheme, producer=producer, layers=layers, slow=slow)


#: The forms on which every test of real models is run, by name.
FORMS: Mapping[str, Form] = _by_name(
    Form("bf16", "bfloat16"),
    Form("bf16-sharded", "bfloat16", max_shard_bytes=100_000_000),
    Form("f16", "float16"),
    _quantized("w8a8", "producer", "W8A8", slow=False),
    _quantized("fp8-dynamic", "producer", "FP8_DYNAMIC", slow=False),
)

#: More forms, by the real producer of each family, by name. The quick ones are there for every run of the tests.
PRODUCED: Mapping[str, Form] = _by_name(
    _quantized("fp8-block", "producer", "FP8_BLOCK", slow=False),
    _quantized("w4a16", "producer", "W4A16", slow=False),
    _quantized("w4a16-asym", "producer", "W4A16_ASYM", slow=False),
    _quantized("nvfp4a16", "producer", "NVFP4A16"),
    _quantized("nvfp4", "producer", "NVFP4"),
    _quantized("mxfp4", "producer", "MXFP4"),
    _quantized("bnb-nf4", "producer-plugins", "bnb-nf4"),
    _quantized("bnb-int8", "producer-plugins", "bnb-int8"),
    _quantized("torchao-int8", "producer-plugins", "torchao-int8"),
    _quantized("torchao-fp8", "producer-plugins", "torchao-fp8"),
    _quantized("torchao-int4", "producer-plugins", "torchao-int4"),
    _quantized("quanto-int4", "producer-plugins", "quanto-int4"),
    _quantized("hqq-int4", "producer-plugins", "hqq-int4", _CUT),
    _quantized("gptq", "producer-gptqmodel", "gptq"),
    _quantized("gptq-asym-desc-act", "producer-gptqmodel", "gptq-asym-desc-act", _CUT),
    _quantized("awq", "producer-gptqmodel", "awq", _CUT),
)

#: The model as the package carries it, before anything is made of it: blocks of GGUF.
GGUF = Form("gguf", "bfloat16", scheme="Q4_1")

#: Every form.
EVERY: Mapping[str, Form] = MappingProxyType({**FORMS, **PRODUCED, GGUF.name: GGUF})

#: The files of a tokenizer, as transformers writes them.
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")


def find_form(name: str) -> Form:
    """The form called `name`.

    Raises:
        InfernoError: There is none of that name.
    """
    if name not in EVERY:
        raise InfernoError(
            f"{name!r} is no form of the real model",
            expected=", ".join(EVERY),
            actual=name,
            remedy="name one of the forms listed",
        )
    return EVERY[name]


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


def write_manifest(
    directory: Path,
    form: Form,
    inputs: Mapping[str, str],
    versions: Mapping[str, str],
    seconds: Mapping[str, float] | None = None,
) -> None:
    """Write ``manifest.json`` over the files that lie in `directory`.

    Args:
        directory: A whole model, as its producer wrote it.
        form: The form that it is.
        inputs: The sha256 of everything that the files depend on: the source, the producers, their pins.
        versions: The versions of the packages that made it. For the record: a newer package makes no cache stale.
        seconds: How long it took, by the clock and of the processors. For the record as well.
    """
    known = facts()
    manifest = {
        "model": known["model"],
        "license": known["license"],
        "form": asdict(form),
        "inputs": dict(inputs),
        "versions": dict(versions),
        "seconds": dict(seconds or {}),
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


def references_of(file: Path) -> dict[str, dict[str, object]]:
    """Dtype as torch names it, shape, and sha256 of the little-endian bytes of every tensor in a .safetensors file.

    Without torch: what is read are the header, and the spans that it names.
    """
    with file.open("rb") as stream:
        header = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
        header.pop("__metadata__", None)
        start, found = stream.tell(), {}
        for name, entry in sorted(header.items()):
            first, last = entry["data_offsets"]
            stream.seek(start + first)
            digest = hashlib.sha256(stream.read(last - first)).hexdigest()
            found[name] = {"dtype": _TORCH_NAMES[entry["dtype"]], "shape": entry["shape"], "sha256": digest}
    return found


#: What dense weights are stored in.
_TORCH_NAMES = {"F32": "float32", "BF16": "bfloat16", "F16": "float16"}


def _changed(directory: Path, files: Mapping[str, str]) -> str | None:
    present = {path.name for path in directory.iterdir()} - {MANIFEST}
    if present != files.keys():
        return "files are missing or new: " + ", ".join(sorted(present ^ files.keys()))
    changed = [name for name, digest in files.items() if sha256_of(directory / name) != digest]
    return "changed: " + ", ".join(changed) if changed else None
