"""The directories in which a document is read: what else lies there changes what it means.

An input is the document alone; the number of blanks behind it, modulo the number of surroundings, chooses among them,
so that each input has its own and no second file is needed to run it again.
"""

from __future__ import annotations

import json
import os
import resource
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from inferno_loader.weight_files import WeightsChoice

_FIRST, _SECOND = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
_INDEX = "model.safetensors.index.json"


def safetensors(**tensors: str) -> bytes:
    """A whole small file: each tensor has two elements of the dtype named."""
    header, position = {}, 0
    for name, dtype in tensors.items():
        size = {"F32": 8, "BF16": 4}[dtype]
        header[name] = {"dtype": dtype, "shape": [2], "data_offsets": [position, position + size]}
        position += size
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + bytes(position)


ONE, OTHER = safetensors(a="F32", b="BF16"), safetensors(b="BF16", c="F32")
TWO_SHARDS = {_FIRST: ONE, _SECOND: OTHER}


@dataclass(frozen=True, slots=True)
class Surroundings:
    """One directory.

    Attributes:
        document: The name under which the input is written.
        files: What lies beside it, by name; None is a link that leads nowhere.
        open_name: What is opened: this entry of the directory, or the directory itself where it is empty.
        choice: Which set of weights is asked for.
        starved: Whether the process has no file descriptor left when the loader is called.
        parsed: Whether the caller has parsed the document, and hands over an object.
    """

    document: str
    files: Mapping[str, bytes | None] = field(default_factory=dict)
    open_name: str = ""
    choice: WeightsChoice | None = None
    starved: bool = False
    parsed: bool = False


#: Around an index. The last ones put the document where it is no index: the rules for directories without one.
INDEX: Sequence[Surroundings] = (
    Surroundings(_INDEX, TWO_SHARDS),
    Surroundings(_INDEX, {**TWO_SHARDS, "model.safetensors": ONE}),
    Surroundings(_INDEX, {**TWO_SHARDS, "model.safetensors": ONE}, choice="index"),
    Surroundings(_INDEX, {"model.safetensors": ONE}),
    Surroundings(_INDEX, {_FIRST: ONE, f"{_SECOND}.incomplete": b""}),
    Surroundings(_INDEX, {**TWO_SHARDS, "spare.safetensors": OTHER}),
    Surroundings("consolidated.safetensors.index.json", {"consolidated.safetensors": ONE}),
    Surroundings(_INDEX, TWO_SHARDS, open_name=_INDEX),
    Surroundings("notes.json", TWO_SHARDS),
    Surroundings("notes.json", {_FIRST: ONE, "model-00002-of-00003.safetensors": b""}),
    Surroundings("pytorch_model.bin"),
    Surroundings("notes.json", {"consolidated-00001-of-00001.safetensors": ONE}),
    Surroundings("notes.json", {"weights.safetensors": ONE}),
    Surroundings("notes.json", {"one.safetensors": ONE, "two.safetensors": OTHER}),
    Surroundings("notes.json", {_FIRST: ONE, "other-00001-of-00001.safetensors": OTHER}),
    Surroundings("notes.json", {_FIRST: ONE, _SECOND: safetensors(c="F32")}, choice="shards"),
    Surroundings("notes.json", {"consolidated.safetensors": ONE}),
    Surroundings("notes.json", {"weights.npz": b""}),
    Surroundings("model.safetensors", choice="consolidated"),
    Surroundings("model.safetensors", open_name="absent"),
    Surroundings("model.safetensors", open_name="model.safetensors"),
    Surroundings("notes.json", {_FIRST: ONE}),
    Surroundings(_INDEX, TWO_SHARDS, starved=True),
    Surroundings("notes.json", {"model.gguf": b"GGUF"}),
    Surroundings("notes.json", {"model.gguf": b"GGUF", "other.gguf": b"GGUF"}),
    Surroundings("notes.json", {"model-00001-of-00002.gguf": b"GGUF", "model-00002-of-00002.gguf": b"GGUF"}),
    Surroundings("model-00001-of-00002.gguf", open_name="model-00001-of-00002.gguf"),
    Surroundings("notes.json", open_name="notes.json/model-00001-of-00002.gguf"),
)

_PLAIN: Mapping[str, object] = {
    "model_type": "llama", "vocab_size": 32, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1,
    "num_attention_heads": 4, "num_key_value_heads": 2, "bos_token_id": 1, "eos_token_id": [2, 3],
}  # fmt: skip
PLAIN = json.dumps(_PLAIN).encode()

#: Around a configuration: as itself, in Meta's words, and as each of the files beside a plain one.
CONFIG: Sequence[Surroundings] = (
    Surroundings("config.json"),
    Surroundings("params.json"),
    Surroundings("generation_config.json", {"config.json": PLAIN}),
    Surroundings("quantize_config.json", {"config.json": PLAIN}),
    Surroundings("config.json", {"generation_config.json": None}),
    Surroundings("notes.json"),
    Surroundings("config.json", open_name="absent"),
    Surroundings("notes.json", parsed=True),
    Surroundings("config.json", starved=True),
)


class Stage:
    """The surroundings on disk, each document held open, so that an input costs one write.

    Args:
        folder: An empty directory.
        surroundings: What to build in it.
    """

    def __init__(self, folder: Path, surroundings: Sequence[Surroundings]) -> None:
        self._surroundings = surroundings
        self._folders = [folder / str(number) for number in range(len(surroundings))]
        self._documents = [self._build(*both) for both in zip(self._folders, surroundings, strict=True)]

    @staticmethod
    def _build(folder: Path, around: Surroundings) -> int:
        folder.mkdir()
        for name, content in around.files.items():
            if content is None:
                (folder / name).symlink_to("nowhere")
            else:
                (folder / name).write_bytes(content)
        return os.open(folder / around.document, os.O_RDWR | os.O_CREAT, 0o600)

    def enter(self, data: bytes) -> tuple[Path, Surroundings]:
        """Write `data` into the surroundings that it chooses; what to open there, and what they are."""
        number = blanks(data) % len(self._surroundings)
        overwrite(self._documents[number], data)
        around = self._surroundings[number]
        return self._folders[number] / around.open_name, around


@contextmanager
def descriptors(*, starved: bool) -> Iterator[None]:
    """With `starved`, no file can be opened inside: the process is at its limit."""
    if not starved:
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def blanks(data: bytes) -> int:
    """How many blanks end `data`."""
    return len(data) - len(data.rstrip(b" "))


def overwrite(descriptor: int, data: bytes) -> None:
    """Make `data` the whole content of the open file."""
    os.ftruncate(descriptor, 0)
    written = 0
    while written < len(data):
        written += os.pwrite(descriptor, data[written:], written)
