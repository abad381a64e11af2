"""What is true of a checkpoint, in the forms in which an observation is held against it. No loader, no torch."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy as np
    from numpy.typing import NDArray

#: How far a logit may be off, as a part of the largest one: float32 against float64 of the same weights.
LOGIT_BOUND = 1e-3
#: Dtypes whose elements are smaller than a byte: readers hand out their raw bytes as U8, in a shape of their own.
SUB_BYTE = frozenset({"F4", "F6_E2M3", "F6_E3M2"})


class TensorDigest(NamedTuple):
    """A tensor without its bytes: two are the same only if all three are.

    Attributes:
        dtype: As a safetensors header names it.
        shape: The logical shape.
        sha256: Of the elements in row-major order, little-endian; 64 hexadecimal digits.
    """

    dtype: str
    shape: tuple[int, ...]
    sha256: str

    def admits(self, other: TensorDigest) -> bool:
        """Whether `other` is this tensor. Elements below a byte may come as raw U8 in any shape."""
        if self.dtype in SUB_BYTE:
            return other.dtype in {self.dtype, "U8"} and other.sha256 == self.sha256
        return self == other


def tensor_digest(dtype: str, shape: Iterable[int], data: bytes | memoryview) -> TensorDigest:
    """The digest of a tensor of which all bytes are at hand."""
    return TensorDigest(dtype, tuple(shape), hashlib.sha256(data).hexdigest())


@dataclass(frozen=True, slots=True)
class Tensors:
    """The tensors that must come back, and no others.

    Attributes:
        wanted: By name, the tensors of which one must be there.
        optional: The names of `wanted` that may also be absent.
    """

    wanted: Mapping[str, tuple[TensorDigest, ...]]
    optional: frozenset[str] = frozenset()

    def to_json(self) -> dict[str, Any]:
        """As plain lists and dicts."""
        wanted = {
            name: [[each.dtype, list(each.shape), each.sha256] for each in of] for name, of in self.wanted.items()
        }
        return {"wanted": wanted, "optional": sorted(self.optional)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Tensors:
        """From what `to_json` gave."""
        wanted = {
            name: tuple(TensorDigest(dtype, tuple(shape), sha256) for dtype, shape, sha256 in alternatives)
            for name, alternatives in content["wanted"].items()
        }
        return cls(wanted, frozenset(content["optional"]))


@dataclass(frozen=True, slots=True)
class Logits:
    """The logits of a float64 forward pass.

    Attributes:
        values: float64 ``[batch, positions, vocab]``.
        bound: The largest difference that is allowed, as a part of the largest logit.
    """

    values: NDArray[np.float64]
    bound: float = LOGIT_BOUND


@dataclass(frozen=True, slots=True)
class Facts:
    """What an analysis must say, for each fact that it says.

    Attributes:
        values: By the name of the fact, in plain JSON types.
    """

    values: Mapping[str, Any]


Truth = Tensors | Logits | Facts
