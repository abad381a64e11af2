"""Planted loaders: one bug each in the data of a file: what is covered, what is empty, and a file in memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conformance.engine.claims import Level
from conformance.engine.reasons import Reason
from conformance.planted.right import Right
from conformance.planted.right_types import BITS, Entry, refuse

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_WORD = 8
_NOWHERE = Path("<bytes>")
#: Axes that a tensor of ggml can have.
_AXES = 4


class SumOfSizes(Right):
    """The sizes of all tensors are added up and held against the file: a hole and an overlap make up for each other.

    A08, A09, https://github.com/safetensors/safetensors/pull/206
    """

    name = "sum-of-sizes"
    clause = "container.disjoint"
    level = Level.CONTAINER

    def check_tiling(self, entries: Iterable[Entry], available: int, path: Path) -> None:
        """Compares two numbers."""
        total = sum(entry.nbytes for entry in entries)
        if total != available:
            refuse(Reason.HOLE if total < available else Reason.OVERLAP, f"{path}: {total} bytes of {available}")


class BoundsOnly(Right):
    """Each tensor is held against the size of the file, and against no other tensor.

    The parser of ComfyUI and others that map files do no more. A08, A10,
    https://github.com/Comfy-Org/ComfyUI/issues/15602
    """

    name = "bounds-only"
    clause = "container.tiling"
    level = Level.CONTAINER

    def check_tiling(self, entries: Iterable[Entry], available: int, path: Path) -> None:
        """Looks at each end."""
        for entry in entries:
            if entry.end > available:
                self.truncated(path, entry.end - available)


class WordsOf32Bits(Right):
    """Sizes and offsets are kept in 32 bits: what is beyond 4 GiB is somewhere else.

    MLX cut the products of sizes to an int. A13, https://github.com/google-ai-edge/LiteRT/issues/9255
    """

    name = "words-of-32-bits"
    clause = "container.overflow"
    level = Level.CONTAINER

    def whole_number(self, value: Any, name: str, path: Path) -> int:
        """Keeps the low half of a number."""
        return super().whole_number(value, name, path) % 2**32


class LengthOf32Bits(Right):
    """The length of the header is read from four of its eight bytes.

    A19, https://github.com/safetensors/safetensors (``tensor.rs``, ``test_invalid_header_length``)
    """

    name = "length-of-32-bits"
    clause = "container.header-length"
    level = Level.CONTAINER

    def header_length(self, word: bytes, size: int, path: Path) -> int:
        """Ignores the high half."""
        return super().header_length(word[:4] + bytes(4) if len(word) == _WORD else word, size, path)


class DropsWhatIsMissing(Right):
    """Of a file that is cut off those tensors come back that are still whole.

    A file that is still being written passes for one with fewer tensors. A33,
    https://github.com/exo-explore/exo/pull/1956
    """

    name = "drops-what-is-missing"
    clause = "container.whole-file"
    level = Level.CONTAINER

    def check_tiling(self, entries: Iterable[Entry], available: int, path: Path) -> None:
        """Leaves out what ends behind the file."""
        whole = [entry for entry in entries if entry.end <= available]
        if isinstance(entries, list) and len(whole) < len(entries):
            available = max((entry.end for entry in whole), default=0)
            entries[:] = whole
        super().check_tiling(whole, available, path)


class EmptyDropped(Right):
    """Tensors without elements are left out: there is nothing of them to read.

    A02, https://github.com/safetensors/safetensors#format
    """

    name = "empty-dropped"
    clause = "container.empty"
    level = Level.CONTAINER

    def placed(self, entries: list[Entry], header: bytes) -> list[Entry]:
        """Keeps those that have bytes."""
        return [entry for entry in super().placed(entries, header) if entry.nbytes]


class OneIsScalar(Right):
    """A tensor of one element comes back as a scalar, however many axes it has.

    A23, https://github.com/safetensors/safetensors/pull/514
    """

    name = "one-is-scalar"
    clause = "container.scalars"
    level = Level.CONTAINER

    def as_tensor(self, data: bytearray, entry: Entry) -> Any:
        """Squeezes what has one element."""
        return super().as_tensor(data, replace(entry, shape=()) if self.elements(entry.shape) == 1 else entry)


class AlignmentRequired(Right):
    """A tensor that does not begin at a multiple of its element size is refused.

    Typed loads ask for it, and the format does not. I09, https://github.com/onnxruntime/mobius/pull/248
    """

    name = "alignment-required"
    clause = "container.alignment"
    level = Level.CONTAINER

    def as_tensor(self, data: bytearray, entry: Entry) -> Any:
        """Looks at the place in the file."""
        if entry.at % max(BITS[entry.dtype] // 8, 1):
            raise ValueError(f"{entry.name}: byte {entry.at} is no boundary of {entry.dtype}")
        return super().as_tensor(data, entry)


class FourAxes(Right):
    """A tensor of more than four axes comes back with four, the first ones as one.

    ggml has four; a shape is kept or refused. A23, https://github.com/ggml-org/llama.cpp/pull/18291
    """

    name = "four-axes"
    clause = "container.dtype"
    level = Level.CONTAINER

    def as_tensor(self, data: bytearray, entry: Entry) -> Any:
        """Folds the first axes."""
        more = len(entry.shape) - _AXES
        if more > 0:
            entry = replace(entry, shape=(self.elements(entry.shape[: more + 1]), *entry.shape[more + 1 :]))
        return super().as_tensor(data, entry)


class SortedValues(Right):
    """The tensors are dealt out in the order of their names, to the ranges in the order of the data.

    A05, https://github.com/run-ai/runai-model-streamer (commit 7cde1da, #117)
    """

    name = "sorted-values"
    clause = "container.order"
    level = Level.CONTAINER

    def placed(self, entries: list[Entry], header: bytes) -> list[Entry]:
        """Lays the tensors back to back in the order of their names."""
        at, placed = _WORD + len(header), []
        for entry in sorted(entries, key=lambda each: each.name):
            placed.append(replace(entry, at=at))
            at += entry.nbytes
        return placed


class BytesUnchecked(Right):
    """A file in memory is held against nothing: its length was right where it came from.

    D14, https://github.com/safetensors/safetensors/issues/839
    """

    name = "bytes-unchecked"
    clause = "container.as-bytes"
    level = Level.CONTAINER

    def read_bytes(self, data: bytes) -> Mapping[str, Any]:
        """Believes the header."""
        header = data[_WORD : _WORD + int.from_bytes(data[:_WORD], "little")]
        root = self.parse(self.header_text(header, _NOWHERE), _NOWHERE)
        tensors = self.without_metadata(root, _NOWHERE)
        entries = [self.entry(name, fields, _NOWHERE) for name, fields in tensors.items()]
        placed = self.placed(entries, header)
        return {entry.name: self.as_tensor(self.piece_of(data, entry), entry) for entry in placed}


class BytesWithoutScales(Right):
    """A table of dtypes for files in memory lacks the younger ones.

    ``safetensors.torch.load`` raises ``KeyError: 'F8_E8M0'``, where ``load_file`` loads. D14,
    https://github.com/safetensors/safetensors/issues/839
    """

    name = "bytes-without-scales"
    clause = "container.as-bytes"
    level = Level.CONTAINER

    def piece_of(self, data: bytes, entry: Entry) -> bytearray:
        """Has no F8_E8M0."""
        if entry.dtype == "F8_E8M0":
            raise KeyError(entry.dtype)
        return super().piece_of(data, entry)
