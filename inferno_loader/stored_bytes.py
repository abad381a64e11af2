"""The bytes of stored tensors: from the files into memory of our own, or mapped. Imports torch.

A file that is cut while it is read gives an error, where a mapping would give SIGBUS and kill the process.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
from safetensors import SafetensorError, safe_open

from inferno_loader.errors import ChangedFileError, SizeMismatchError, UnreadableFileError, UnsupportedDtypeError
from inferno_loader.files import FileIdentity, reopen_unchanged
from inferno_loader.gguf.container import GgufHeader
from inferno_loader.pages import new_tensor

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from inferno_loader.checkpoint import StoredTensor
    from inferno_loader.dtypes import Dtype
    from inferno_loader.header import Header
    from inferno_loader.header_entries import TensorInfo

#: Called with the bytes done, the bytes in all, and the tensor just read.
Progress = Callable[[int, int, str], None]

_CHUNK = 4 << 20
#: Bytes of a line of cache: where every tensor in a room begins.
_ALIGNMENT = 64
_THREADS = min(4, os.cpu_count() or 1)


class _Piece(NamedTuple):
    """A run of bytes of one tensor, and where they go."""

    name: str
    offset: int
    target: memoryview


def torch_dtype(dtype: Dtype) -> torch.dtype:
    """The torch dtype of a container dtype.

    Raises:
        UnsupportedDtypeError: This torch has none.
    """
    found = getattr(torch, dtype.torch_name, None) if dtype.torch_name else None
    if not isinstance(found, torch.dtype):
        raise UnsupportedDtypeError(
            "torch has no dtype of this layout",
            expected="a dtype of torch",
            actual=dtype,
            remedy="update torch, or read the raw bytes",
        )
    return found


@dataclass
class Tally:
    """Bytes done, told to whoever asked."""

    total: int
    progress: Progress | None
    done: int = 0

    def add(self, count: int, name: str) -> None:
        """Count bytes of the tensor `name` as done."""
        self.done += count
        if self.progress:
            self.progress(self.done, self.total, name)


def room_for(parts: Iterable[StoredTensor]) -> int:
    """Bytes of the room that holds some stored tensors."""
    return sum(-(-part.info.nbytes // _ALIGNMENT) * _ALIGNMENT for part in parts)


class Room:
    """Memory for the stored bytes of one tensor after another.

    The first touch of a page costs the system several times what is then written there, so it is paid once.
    """

    def __init__(self, nbytes: int) -> None:
        self._memory = new_tensor((nbytes,), torch.uint8)
        self._taken = 0

    def clear(self) -> None:
        """Let what was handed out be written over."""
        self._taken = 0

    def take(self, nbytes: int) -> torch.Tensor:
        """Memory of `nbytes`: of the room, or of its own where that is full."""
        first, self._taken = self._taken, self._taken + -(-nbytes // _ALIGNMENT) * _ALIGNMENT
        if self._taken > len(self._memory):
            return _own_memory(nbytes)
        return self._memory[first : first + nbytes]

    def holds(self, tensor: torch.Tensor) -> bool:
        """Whether `tensor` lies in it, and would be written over."""
        return bool(len(self._memory)) and tensor.untyped_storage().data_ptr() == self._memory.data_ptr()


def read_stored(
    parts: Iterable[StoredTensor], *, mmap: bool, tally: Tally, room: Room | None = None
) -> dict[str, torch.Tensor]:
    """The tensors as stored, by stored name, shard by shard in the order of the files."""
    shards: dict[Path, list[StoredTensor]] = {}
    for part in sorted(parts, key=lambda part: (str(part.shard.path), part.offset)):
        shards.setdefault(part.shard.path, []).append(part)
    found: dict[str, torch.Tensor] = {}
    for group in shards.values():
        shard = group[0].shard
        found.update(_map_shard(shard, group, tally) if mmap else _copy_shard(shard, group, tally, room))
    return found


def _own_memory(nbytes: int) -> torch.Tensor:
    # In small pages: several threads fill it, and share what their first touch costs. The system clears a large page
    # in one thread, and a virtual machine may first have to ask its host for it.
    return torch.empty(nbytes, dtype=torch.uint8)


def _copy_shard(shard: Header, parts: list[StoredTensor], tally: Tally, room: Room | None) -> dict[str, torch.Tensor]:
    take = room.take if room else _own_memory
    buffers = {part.name: take(part.info.nbytes) for part in parts}
    pieces = [piece for part in parts for piece in _pieces(part, buffers[part.name])]
    # Threads share the cost of memory that is new, and are not worth their own where it is not, or little is read.
    alone = room is not None or sum(part.info.nbytes for part in parts) <= 2 * _CHUNK
    descriptor = reopen_unchanged(shard.path, shard.identity)
    try:
        with nullcontext() if alone else ThreadPoolExecutor(_THREADS) as pool:
            for piece in (pool.map if pool else map)(lambda piece: _fill(descriptor, piece, shard), pieces):
                tally.add(len(piece.target), piece.name)
        _check_unchanged(descriptor, shard)
    finally:
        os.close(descriptor)
    return {part.name: shaped(buffers[part.name], part.info, shard.path) for part in parts}


def shaped(flat: torch.Tensor, info: TensorInfo, path: Path | None) -> torch.Tensor:
    """Bytes as the tensor that they are.

    Raises:
        SizeMismatchError: Torch cannot count in sizes as large as a tensor without elements may have.
    """
    try:
        return flat.view(torch_dtype(info.dtype)).view(info.shape)
    except (TypeError, RuntimeError) as error:
        raise SizeMismatchError(
            "torch holds no tensor of this shape",
            path=path,
            tensor=info.name,
            expected="sizes below 2**63, and strides too",
            actual=list(info.shape),
            remedy="write the tensor again without the sizes that no element needs",
        ) from error


def _pieces(part: StoredTensor, buffer: torch.Tensor) -> Iterator[_Piece]:
    size = part.info.nbytes
    # Through the address: a tensor has no buffer protocol of its own, and NumPy is no dependency.
    view = memoryview((ctypes.c_char * size).from_address(buffer.data_ptr())).cast("B") if size else memoryview(b"")
    for start in range(0, size, _CHUNK):
        yield _Piece(part.name, part.offset + start, view[start : start + _CHUNK])


def _fill(descriptor: int, piece: _Piece, shard: Header) -> _Piece:
    filled = 0
    while filled < len(piece.target):
        try:
            count = os.preadv(descriptor, [piece.target[filled:]], piece.offset + filled)
        except OSError as error:
            raise UnreadableFileError(
                "the file cannot be read",
                path=shard.path,
                tensor=piece.name,
                actual=error,
                remedy="read it again, or copy it from its source",
            ) from error
        if not count:
            raise _changed(shard, piece.name, os.fstat(descriptor).st_size)
        filled += count
    return piece


def _map_shard(shard: Header, parts: list[StoredTensor], tally: Tally) -> dict[str, torch.Tensor]:
    if isinstance(shard, GgufHeader):
        return _map_gguf(shard, parts, tally)
    found: dict[str, torch.Tensor] = {}
    os.close(reopen_unchanged(shard.path, shard.identity))
    try:
        with safe_open(shard.path, framework="pt", device="cpu") as file:
            for part in parts:
                found[part.name] = file.get_tensor(part.name)
                tally.add(part.info.nbytes, part.name)
    except (SafetensorError, OSError) as error:
        raise UnreadableFileError(
            "safetensors does not map the file",
            path=shard.path,
            actual=error,
            remedy="load without mmap=True, or write the file again",
        ) from error
    # Opened by its name twice, so that what was mapped in between is the file whose header was read.
    os.close(reopen_unchanged(shard.path, shard.identity))
    return found


def _map_gguf(shard: GgufHeader, parts: list[StoredTensor], tally: Tally) -> dict[str, torch.Tensor]:
    os.close(reopen_unchanged(shard.path, shard.identity))
    try:
        whole = torch.from_file(str(shard.path), shared=False, size=shard.identity.size, dtype=torch.uint8)
    except RuntimeError as error:
        raise UnreadableFileError(
            "torch does not map the file", path=shard.path, actual=error, remedy="load without mmap=True"
        ) from error
    # As above: opened by its name once more.
    os.close(reopen_unchanged(shard.path, shard.identity))
    found: dict[str, torch.Tensor] = {}
    for part in parts:
        found[part.name] = shaped(whole[part.offset : part.offset + part.info.nbytes], part.info, shard.path)
        tally.add(part.info.nbytes, part.name)
    return found


def _check_unchanged(descriptor: int, shard: Header) -> None:
    now = FileIdentity.of(descriptor)
    if now != shard.identity:
        raise _changed(shard, None, now.size)


def _changed(shard: Header, name: str | None, size: int) -> ChangedFileError:
    return ChangedFileError(
        "the file changed while it was read",
        path=shard.path,
        tensor=name,
        expected=f"{shard.identity.size} bytes, unchanged",
        actual=f"{size} bytes",
        remedy="wait until nothing writes to it, then load again",
    )
