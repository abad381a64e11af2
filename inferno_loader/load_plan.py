"""The load plan: everything that a load will do, known before one weight byte is read. No torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from inferno_loader.checkpoint import Checkpoint, StoredTensor
    from inferno_loader.config import LlamaConfig
    from inferno_loader.dtypes import Dtype
    from inferno_loader.findings import Finding
    from inferno_loader.names import Dialect, RowPermutation
    from inferno_loader.quantization import QuantizedWeight

Action = Literal["keep", "cast", "dequantize", "alias"]


@dataclass(frozen=True, slots=True)
class RowMove:
    """A change of the row order of q or k between the rotary layouts.

    Attributes:
        rows: The heads, and the two orders within each.
        kind: ``split`` to the half layout of Hugging Face, ``interleave`` to the one of Meta.
    """

    rows: RowPermutation
    kind: Literal["split", "interleave"]


@dataclass(frozen=True, slots=True)
class PlannedTensor:
    """One tensor that the load delivers.

    Attributes:
        name: In the dialect that was asked for.
        source: Hugging Face's name.
        shape: As delivered.
        dtype: As delivered.
        action: ``keep`` as stored, ``cast``, ``dequantize``, or ``alias`` of another tensor.
        parts: The stored tensors that are read for it, by suffix; none for an alias.
        quantized: The planned quantized weight, for ``dequantize``, and for a part of one that stays quantized.
        dense_dtype: Of a part of a weight that stays quantized: the dtype that the weight is dequantized to in use.
        move: A change of row order, or None.
        alias_of: The delivered name whose memory it shares, for ``alias``.
    """

    name: str
    source: str
    shape: tuple[int, ...]
    dtype: Dtype
    action: Action
    parts: Mapping[str, StoredTensor]
    quantized: QuantizedWeight | None = None
    move: RowMove | None = None
    alias_of: str | None = None
    dense_dtype: Dtype | None = None

    @property
    def elements(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of memory of its own: none for an alias."""
        return 0 if self.action == "alias" else self.elements * self.dtype.bits // 8

    @property
    def stored_bytes(self) -> int:
        """Bytes that are read for it."""
        return sum(part.info.nbytes for part in self.parts.values())

    @property
    def lossy(self) -> bool:
        """Whether a cast may change a value."""
        stored = next(iter(self.parts.values())).info.dtype if self.action == "cast" else self.dtype
        return stored.loses_to(self.dtype)

    @property
    def copied(self) -> bool:
        """Whether the delivered tensor is made from the stored one, and cannot be the stored one itself."""
        return self.action in ("cast", "dequantize") or self.move is not None

    @property
    def transient_bytes(self) -> int:
        """Memory that it takes on the way, beside the result: what is stored, and a step or a second copy."""
        if not self.copied:
            return 0
        step = self.quantized.step_bytes(self.dtype) if self.quantized and self.action == "dequantize" else 0
        reordered = self.nbytes if self.move and self.action != "keep" else 0
        return self.stored_bytes + max(step, reordered)


@dataclass(frozen=True)
class LoadPlan:
    """What a load will do.

    Attributes:
        path: The checkpoint.
        checkpoint: Its headers.
        config: Its configuration.
        names: Dialect of the delivered names.
        device: Where the tensors go.
        mmap: Whether tensors kept as stored alias the file.
        dequantize: Whether quantized weights are delivered dense.
        tensors: What is delivered, in the order of the model.
        scheme: ``none``, or the words of the quantization schemes, joined by ``+``.
        tied: Whether head and embedding are one.
        ignored: Stored names that a load leaves out.
        findings: What is odd and allowed, each cast among it.
    """

    path: Path
    checkpoint: Checkpoint
    config: LlamaConfig
    names: Dialect
    device: str
    mmap: bool
    dequantize: bool
    tensors: tuple[PlannedTensor, ...]
    scheme: str
    tied: bool
    ignored: tuple[str, ...]
    findings: tuple[Finding, ...]

    @cached_property
    def by_name(self) -> Mapping[str, PlannedTensor]:
        """What is delivered, by delivered name."""
        return {tensor.name: tensor for tensor in self.tensors}

    @cached_property
    def weight_bytes(self) -> int:
        """Exact bytes of the delivered tensors; a tied head once."""
        return sum(tensor.nbytes for tensor in self.tensors)

    @cached_property
    def mapped_bytes(self) -> int:
        """Of these, the bytes that alias the file, and are resident only once they are touched."""
        if not self.mmap:
            return 0
        return sum(tensor.nbytes for tensor in self.tensors if not tensor.copied)

    @cached_property
    def read_bytes(self) -> int:
        """Bytes that are read from the files."""
        return sum(tensor.stored_bytes for tensor in self.tensors)

    @cached_property
    def peak_bytes(self) -> int:
        """The most memory of its own that the load takes: the weights, and the largest tensor on its way.

        Pages of a mapped file are not counted: the system takes them back when it needs room.
        """
        own = self.weight_bytes - self.mapped_bytes
        made = [tensor for tensor in self.tensors if tensor.action == "dequantize"]
        # One room holds the stored bytes of one quantized weight after another: it has the size of the largest.
        room = max((tensor.stored_bytes for tensor in made), default=0)
        step = max((tensor.transient_bytes - tensor.stored_bytes for tensor in made), default=0)
        # They are made last: what is cast before them takes its memory while none of them is there.
        others = (tensor.transient_bytes for tensor in self.tensors if tensor.action != "dequantize")
        before = own - sum(tensor.nbytes for tensor in made) + max(others, default=0)
        return max(before, own + room + step)

    @property
    def casts(self) -> tuple[PlannedTensor, ...]:
        """The tensors that change their dtype."""
        return tuple(tensor for tensor in self.tensors if tensor.action == "cast")

    def to_json(self) -> dict[str, Any]:
        """The plan as a JSON object: totals, findings, and one line a tensor."""
        return {
            "path": str(self.path),
            "names": self.names,
            "device": self.device,
            "mmap": self.mmap,
            "dequantize": self.dequantize,
            "scheme": self.scheme,
            "tied": self.tied,
            "weight_bytes": self.weight_bytes,
            "read_bytes": self.read_bytes,
            "peak_bytes": self.peak_bytes,
            "ignored": list(self.ignored),
            "findings": [finding.to_json() for finding in self.findings],
            "tensors": [_tensor_json(tensor) for tensor in self.tensors],
        }


def _tensor_json(tensor: PlannedTensor) -> dict[str, Any]:
    return {
        "name": tensor.name,
        "shape": list(tensor.shape),
        "dtype": tensor.dtype.name,
        "action": tensor.action,
        "from": {part.name: f"{part.shard.path.name} {part.info.dtype}" for part in tensor.parts.values()},
        **({"alias_of": tensor.alias_of} if tensor.alias_of else {}),
    }
