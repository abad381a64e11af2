"""Ways to put things into the directory of a checkpoint that are no part of it, or in place of a file. No loader."""

from __future__ import annotations

import io
import json
import os
import stat
import struct
import zipfile
from types import MappingProxyType
from typing import TYPE_CHECKING

from conformance.tools.container import Spec, write_file
from conformance.tools.edits import read_tensors, remove_weights, weight_files, write_tensors
from conformance.tools.slicing import block
from conformance.tools.stored import Tensor
from conformance.tools.values import tensor_bytes
from conformance.tools.way import Way

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_MESSAGE = b"the pickle of this checkpoint was executed"
#: Calls ``sys.exit`` with the message: nothing is touched, and it cannot be missed.
_PICKLE = b"\x80\x02csys\nexit\nX" + struct.pack("<I", len(_MESSAGE)) + _MESSAGE + b"\x85R."
#: What a module does when it is imported: the process ends at once, whatever thread it is in.
_MODULE = """import os

os.write(2, b"the module {name} of this checkpoint was executed")
os._exit(70)
"""
#: The first bytes of the file that macOS puts beside each one where it cannot keep attributes (RFC 1740, AppleDouble).
_APPLE_DOUBLE = struct.pack(">II16sH", 0x00051607, 0x00020000, b"Mac OS X        ", 0) + bytes(64)


def write_hex(directory: Path, file: str, digits: str) -> None:
    """A file holds the bytes that hexadecimal `digits` spell, and nothing else; directories are made."""
    path = directory / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes.fromhex(digits))


def apple_double(directory: Path) -> None:
    """Beside each file there is one of attributes, as macOS leaves them, whose name has ``._`` in front."""
    for path in sorted(directory.iterdir()):
        (directory / f"._{path.name}").write_bytes(_APPLE_DOUBLE)


def zeros(directory: Path, file: str) -> None:
    """A file has its size, and zeros throughout."""
    path = directory / file
    size = path.stat().st_size
    with path.open("wb") as opened:
        opened.truncate(size)


def keep_header(directory: Path, file: str) -> None:
    """A file ends where its data would begin."""
    path = directory / file
    content = path.read_bytes()
    path.write_bytes(content[: 8 + int.from_bytes(content[:8], "little")])


def make_special(directory: Path, file: str, kind: str) -> None:
    """In place of a file there is something that is none.

    Args:
        directory: The checkpoint.
        file: Its name, whether it is there or not.
        kind: ``fifo``, ``socket``, ``directory``; or a link: ``dangling``; ``loop``, to itself; ``folder``, to a
            directory; ``endless``, to ``/dev/zero``, which never ends.

    Raises:
        KeyError: There is no such kind.
    """
    path = directory / file
    path.unlink(missing_ok=True)
    links = {"dangling": "../blobs/absent", "loop": path.name, "folder": ".", "endless": "/dev/zero"}
    if kind == "directory":
        path.mkdir()
    elif kind in links:
        path.symlink_to(links[kind])
    else:
        os.mknod(path, {"fifo": stat.S_IFIFO, "socket": stat.S_IFSOCK}[kind] | 0o644)


def values_beside(directory: Path, file: str, seed: int) -> None:
    """One more file, maybe in a directory below, holds every tensor by its name, with the values of another seed."""
    path = directory / file
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = [tensor for each in weight_files(directory) for tensor in read_tensors(each).values()]
    write_tensors(path, {tensor.spec.name: _with_seed(tensor.spec, seed) for tensor in tensors})


def _with_seed(spec: Spec, seed: int) -> Tensor:
    return Tensor(spec, tensor_bytes(spec.name, spec.dtype, spec.shape, seed=seed))


def foreign_file(directory: Path, file: str, *names: str) -> None:
    """One more file holds small BF16 matrices of other names, as of an adapter or of another part."""
    specs = [Spec(name, "BF16", (3, 5)) for name in names]
    write_tensors(directory / file, {spec.name: _with_seed(spec, 0) for spec in specs})


def copies_everywhere(directory: Path, tensor: str, home: str) -> None:
    """Every shard but `home` also holds a copy of a tensor, each with values of its own."""
    files = weight_files(directory)
    spec = next(read_tensors(path)[tensor].spec for path in files if path.name == home)
    for seed, path in enumerate((path for path in files if path.name != home), 1):
        write_tensors(path, {**read_tensors(path), tensor: _with_seed(spec, seed)})


def same_copy(directory: Path, tensor: str, source: str, target: str) -> None:
    """A second shard holds a tensor as well: the same bytes."""
    path = directory / target
    write_tensors(path, {**read_tensors(path), tensor: read_tensors(directory / source)[tensor]})


def exchange_copies(directory: Path, first: str, second: str) -> None:
    """Each of two tensors that lie in different shards has a copy, with other values, in the shard of the other."""
    held = {name: path for path in weight_files(directory) for name in read_tensors(path) if name in {first, second}}
    specs = {name: read_tensors(path)[name].spec for name, path in held.items()}
    for name, path in ((first, held[second]), (second, held[first])):
        write_tensors(path, {**read_tensors(path), name: _with_seed(specs[name], 1)})


def arm(directory: Path, file: str, form: str) -> None:
    """A file is a pickle that ends the process of whoever executes it: ``raw``, or ``zip`` as torch.save writes.

    Raises:
        KeyError: There is no such form.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in (("data.pkl", _PICKLE), ("byteorder", b"little"), ("version", b"3\n")):
            archive.writestr(zipfile.ZipInfo(f"archive/{name}"), content)
    path = directory / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes({"raw": _PICKLE, "zip": buffer.getvalue()}[form])


def arm_modules(directory: Path, *names: str) -> None:
    """Python modules lie in the directory; whoever imports one of them ends."""
    for name in names:
        (directory / f"{name}.py").write_text(_MODULE.format(name=name), encoding="ascii")


def rank_files(directory: Path, ranks: int) -> None:
    """Each rank has written a file with its rows of every tensor, under the names of the whole ones.

    As ``torch.distributed.checkpoint`` writes where it does not consolidate; the metadata say where each piece begins.
    Source: https://docs.pytorch.org/docs/stable/distributed.checkpoint.html (``HuggingFaceStorageWriter``)
    """
    tensors = [tensor for path in weight_files(directory) for tensor in read_tensors(path).values()]
    remove_weights(directory)
    for rank in range(ranks):
        pieces = {tensor.spec.name: _rows(tensor, rank, ranks) for tensor in tensors}
        info = {
            name: {"saved_offsets": [first] + [0] * (len(piece.spec.shape) - 1)}
            for name, (first, piece) in pieces.items()
        }
        metadata = {"format": "pt", "DCP_VERSION": "1.0", "DCP_SHARDING_INFO": json.dumps(info)}
        write_file(
            directory / f"shard-{rank + 1:05d}-model-00001-of-00001.safetensors",
            [piece.spec for _, piece in pieces.values()],
            {name: piece.data for name, (_, piece) in pieces.items()},
            metadata=metadata,
        )


def _rows(tensor: Tensor, rank: int, ranks: int) -> tuple[int, Tensor]:
    """The first row of a rank's piece, and the piece."""
    rows = tensor.spec.shape[0]
    first, end = rows * rank // ranks, rows * (rank + 1) // ranks
    return first, block(tensor, 0, first, end - first)


#: The ways of this module, by name.
BESIDE_WAYS: Mapping[str, Way] = MappingProxyType(
    {
        way.__name__: Way(way)
        for way in (
            write_hex,
            apple_double,
            zeros,
            keep_header,
            make_special,
            values_beside,
            foreign_file,
            copies_everywhere,
            same_copy,
            exchange_copies,
            arm,
            arm_modules,
            remove_weights,
            rank_files,
        )
    },
)
