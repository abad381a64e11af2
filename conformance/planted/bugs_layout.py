"""Planted loaders: one bug each in where the tensors of a file lie, and in what their bytes are."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from conformance.engine.claims import Level
from conformance.planted.right import Right
from conformance.planted.right_types import BITS, Entry

if TYPE_CHECKING:
    from pathlib import Path

_WORD = 8


class RoundedStart(Right):
    """The data are taken to begin at a multiple of 8: every tensor of an unaligned file is shifted.

    llama.cpp's reader did so for a while; such files were the rule in spring 2023. A07,
    https://github.com/ggml-org/llama.cpp/pull/18291
    """

    name = "rounded-start"
    clause = "container.alignment"
    level = Level.CONTAINER

    def placed(self, entries: list[Entry], header: bytes) -> list[Entry]:
        """Rounds the start up, but never past the end of the file."""
        shift = -len(header) % _WORD
        last = max((entry.end for entry in entries), default=0)
        start = _WORD + len(header)
        return [replace(entry, at=start + min(entry.start + shift, last - entry.nbytes)) for entry in entries]


class EndsAtBrace(Right):
    """The data are taken to begin behind the closing brace: padding, which the length counts, is read as data.

    A20, https://github.com/safetensors/safetensors/pull/235
    """

    name = "ends-at-brace"
    clause = "container.alignment"
    level = Level.CONTAINER

    def placed(self, entries: list[Entry], header: bytes) -> list[Entry]:
        """Forgets the padding."""
        return super().placed(entries, header.rstrip())


class HeaderOrder(Right):
    """The bytes are dealt out in the order of the header, whatever its offsets say.

    runai-model-streamer sorted the tensors by offset and kept their sizes in the order of the header. A05,
    https://github.com/run-ai/runai-model-streamer (commit 7cde1da, #117)
    """

    name = "header-order"
    clause = "container.order"
    level = Level.CONTAINER

    def placed(self, entries: list[Entry], header: bytes) -> list[Entry]:
        """Lays the tensors back to back in the order of the header."""
        at, placed = _WORD + len(header), []
        for entry in entries:
            placed.append(replace(entry, at=at))
            at += entry.nbytes
        return placed


class TrailingAccepted(Right):
    """Bytes behind the last tensor are not noticed: a second file may hide there.

    ComfyUI's own reader accepted what the reference refuses, so that a flag decided whether a file loaded. A10,
    https://github.com/Comfy-Org/ComfyUI/issues/15602
    """

    name = "trailing-accepted"
    clause = "container.tiling"
    level = Level.CONTAINER

    def trailing(self, path: Path, count: int) -> None:
        """Lets it pass."""


class HoleAccepted(Right):
    """Bytes between tensors are not noticed, as with every parser that only checks bounds.

    A08, https://github.com/safetensors/safetensors/pull/206
    """

    name = "hole-accepted"
    clause = "container.tiling"
    level = Level.CONTAINER

    def hole(self, entry: Entry, count: int) -> None:
        """Lets it pass."""


class OverlapAccepted(Right):
    """Two tensors may share bytes: writers that dropped tied copies made such files, and so do memory bombs.

    A09, https://github.com/safetensors/safetensors/pull/586
    """

    name = "overlap-accepted"
    clause = "container.disjoint"
    level = Level.CONTAINER

    def overlap(self, entry: Entry, count: int) -> None:
        """Lets it pass."""


class ZeroFilledTail(Right):
    """What is missing at the end of a file reads as zeros, as behind a mapping that reaches too far.

    mlx read past the file and got zeros; on short shards of another reader one launch in five was gibberish. A04, B07,
    https://github.com/ml-explore/mlx/issues/3409, https://github.com/osaurus-ai/vmlx-swift/pull/217
    """

    name = "zero-filled-tail"
    clause = "container.whole-file"
    level = Level.CONTAINER

    def truncated(self, path: Path, count: int) -> None:
        """Lets it pass: the memory is zero already."""


class WrappingSizes(Right):
    """Sizes are counted in 64 bits, where a huge one wraps to the small number that the offsets span.

    LiteRT's copy of a header-only reader wrote outside its memory so. A11, A13,
    https://github.com/google-ai-edge/LiteRT/issues/9255
    """

    name = "wrapping-sizes"
    clause = "container.overflow"
    level = Level.CONTAINER

    def bits(self, dtype: str, shape: tuple[int, ...], name: str) -> int:  # noqa: ARG002 - the bug
        """Counts bytes modulo 2^64."""
        return 8 * (self.elements(shape) * BITS[dtype] // 8 % 2**64)


class UncheckedSizes(Right):
    """Nobody compares the bytes of a tensor with its shape: a quarter of the data comes back under the whole shape.

    A Go loader kept the shape over the short data and died later, in the embedding. A21,
    https://github.com/anthony-chaudhary/fak/issues/12603
    """

    name = "unchecked-sizes"
    clause = "container.size"
    level = Level.CONTAINER

    def check_size(self, entry: Entry) -> None:
        """Looks at nothing."""


class EmptyScalar(Right):
    """A tensor without dimensions is taken to have no elements: its four bytes are then too many.

    A23, https://github.com/safetensors/safetensors/pull/208
    """

    name = "empty-scalar"
    clause = "container.scalars"
    level = Level.CONTAINER

    def elements(self, shape: tuple[int, ...]) -> int:
        """The product of the sizes, and nothing where there are none."""
        return math.prod(shape) if shape else 0


class OddNibbleDropped(Right):
    """Half a byte at the end of an F4 tensor is rounded away instead of refused.

    fastsafetensors added a check "instead of silently truncating odd logical dimensions". D01,
    https://github.com/foundation-model-stack/fastsafetensors/pull/79
    """

    name = "odd-nibble-dropped"
    clause = "container.size"
    level = Level.CONTAINER

    def bits(self, dtype: str, shape: tuple[int, ...], name: str) -> int:
        """Whole bytes, rounded down."""
        return super().bits(dtype, shape, name) // 8 * 8


class BrainFloatAsHalf(Right):
    """BF16 is read as F16, for both have two bytes: numbers near 1 become numbers near 0.02.

    Loaders that know few dtypes must refuse the others and never reinterpret them. D13,
    https://github.com/huggingface/candle/issues/2875
    """

    name = "brain-float-as-half"
    clause = "container.dtype"
    level = Level.CONTAINER

    def torch_dtype(self, entry: Entry) -> torch.dtype:
        """Has one word for two bytes."""
        return torch.float16 if entry.dtype == "BF16" else super().torch_dtype(entry)


class ThroughFloats(Right):
    """Integers pass through floating point on their way: beyond 2^53 their low bits are gone.

    accelerate cast integer tensors to the dtype of the weights. D06, https://github.com/huggingface/accelerate/pull/2116
    """

    name = "through-floats"
    clause = "container.dtype"
    level = Level.CONTAINER

    def as_tensor(self, data: bytearray, entry: Entry) -> Any:
        """Goes through float64, which holds 53 bits."""
        tensor = super().as_tensor(data, entry)
        return tensor.to(torch.float64).to(torch.int64) if entry.dtype == "I64" else tensor


class WidenedBytes(Right):
    """I8 comes back as I64, eight times the memory, because the library has no I8.

    candle first failed on such tensors, and widens them now. D19, https://github.com/huggingface/candle/pull/3042
    """

    name = "widened-bytes"
    clause = "container.dtype"
    level = Level.CONTAINER

    def as_tensor(self, data: bytearray, entry: Entry) -> Any:
        """Has no I8."""
        tensor = super().as_tensor(data, entry)
        return tensor.to(torch.int64) if entry.dtype == "I8" else tensor


class SecondCopy(Right):
    """The whole file is read into memory first, and each tensor is copied out of it: twice the file for a moment.

    transformers needed twice the checkpoint before it was cut into shards. H02,
    https://github.com/huggingface/transformers/pull/13466
    """

    name = "second-copy"
    clause = "limits.memory"
    level = Level.CONTAINER

    def read_file(self, path: Path) -> dict[str, Any]:
        """Slurps the file, and copies."""
        self.begin()
        entries, content = self.entries_of(path), path.read_bytes()
        pieces = {entry.name: bytearray(content[entry.at : entry.at + entry.nbytes]) for entry in entries}
        return {entry.name: self.as_tensor(pieces[entry.name], entry) for entry in entries}


class LeakingDescriptor(Right):
    """A file whose header is refused stays open.

    fastsafetensors leaked the descriptor where a header was short. A37, I12,
    https://github.com/foundation-model-stack/fastsafetensors (commit a030478, PR 84)
    """

    name = "leaking-descriptor"
    clause = "limits.descriptors"
    level = Level.CONTAINER

    def entries_of(self, path: Path) -> list[Entry]:
        """Opens the file once more, and closes it only where the header is sound."""
        file = path.open("rb")
        vars(self).setdefault("open", []).append(file)
        found = super().entries_of(path)
        file.close()
        return found
