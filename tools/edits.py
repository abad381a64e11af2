"""Edits the files of a checkpoint in place, byte by byte and without a loader: what `broken` is made with."""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any

from conformance.tools.container import PT_METADATA, Spec, write_file
from conformance.tools.stored import Tensor

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

INDEX_FILE = "model.safetensors.index.json"
_LENGTH = struct.Struct("<Q")


def weight_files(directory: Path) -> list[Path]:
    """The safetensors files of a checkpoint, sorted by name."""
    return sorted(directory.glob("*.safetensors"))


def remove_weights(directory: Path) -> None:
    """No file of weights is there, and no index."""
    for path in [*weight_files(directory), directory / INDEX_FILE]:
        path.unlink(missing_ok=True)


def split_raw(path: Path) -> tuple[bytes, bytes]:
    """The header of a whole file as it stands, padding included, and the bytes behind it."""
    content = path.read_bytes()
    (length,) = _LENGTH.unpack_from(content)
    start = _LENGTH.size + length
    return content[_LENGTH.size : start], content[start:]


def join_raw(path: Path, header: bytes, data: bytes) -> None:
    """Writes a file of `header` as it is, and `data`."""
    path.write_bytes(_LENGTH.pack(len(header)) + header + data)


def split(path: Path) -> tuple[dict[str, Any], bytes]:
    """The header of a whole file, parsed, and the bytes behind it."""
    header, data = split_raw(path)
    return json.loads(header), data


def join(path: Path, header: bytes, data: bytes) -> None:
    """Writes a file of `header`, padded with spaces to a multiple of 8, and `data`."""
    join_raw(path, header + b" " * (-len(header) % 8), data)


def compact(header: Mapping[str, Any]) -> bytes:
    """`header` as compact JSON, in the order given."""
    return json.dumps(header, separators=(",", ":")).encode()


def edit_header(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Lets `change` edit the header of a file; the data stay."""
    header, data = split(path)
    change(header)
    join(path, compact(header), data)


def edit_json(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Lets `change` edit the object in a JSON file."""
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Every tensor of a whole file, by name, in the order of the data."""
    header, data = split(path)
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"][0]):
        start, end = entry["data_offsets"]
        tensors[name] = Tensor(Spec(name, entry["dtype"], tuple(entry["shape"])), data[start:end])
    return tensors


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Writes a sound file of `tensors`; what the metadata of a file say that is there stays."""
    specs = [tensor.spec for tensor in tensors.values()]
    metadata = split(path)[0].get("__metadata__") if path.exists() else None
    write_file(path, specs, {name: tensor.data for name, tensor in tensors.items()}, metadata=metadata or PT_METADATA)


def find(directory: Path, name: str) -> tuple[Path, Tensor]:
    """The file that holds the tensor `name`, and the tensor.

    Raises:
        KeyError: No file holds it.
    """
    for path in weight_files(directory):
        tensors = read_tensors(path)
        if name in tensors:
            return path, tensors[name]
    raise KeyError(name)


def names(directory: Path) -> list[str]:
    """The names of all stored tensors, sorted."""
    return sorted(name for path in weight_files(directory) for name in split(path)[0] if name != "__metadata__")


def remove(directory: Path, *unwanted: str) -> None:
    """Removes tensors from the files and the index, as a writer would that never had them."""
    for path in weight_files(directory):
        tensors = read_tensors(path)
        kept = {name: tensor for name, tensor in tensors.items() if name not in unwanted}
        if len(kept) < len(tensors):
            write_tensors(path, kept)
    _reindex(directory)


def store(directory: Path, *tensors: Tensor) -> None:
    """Stores tensors in the last file, or in place of those of the same name, and in the index."""
    for tensor in tensors:
        name = tensor.spec.name
        path = find(directory, name)[0] if name in names(directory) else weight_files(directory)[-1]
        write_tensors(path, {**read_tensors(path), name: tensor})
    _reindex(directory)


def _reindex(directory: Path) -> None:
    """Makes the index, where there is one, say what the files hold."""
    path = directory / INDEX_FILE
    if not path.exists():
        return
    held = [(tensor, file.name) for file in weight_files(directory) for tensor in read_tensors(file).values()]
    index = {
        "metadata": {"total_size": sum(len(tensor.data) for tensor, _ in held)},
        "weight_map": {tensor.spec.name: file for tensor, file in held},
    }
    edit_json(path, lambda content: content.update(index))
