"""The contract of an adapter: what a class offers so that the suite can judge the loader behind it.

    class MyLoader:
        name = "my-loader"
        claims = {"sharded", "tied", "dtype:BF16"}

        def load_weights(self, directory, dtype=None):
            return my_loader.load(directory, dtype)

Every method is optional, and a level whose method is not there is *not claimed*. Any ``Exception`` that a level method
raises is a rejection of the checkpoint. `UNCLAIMED` tells what an adapter need not have.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import torch

    from conformance.engine.reasons import Reason

#: The categories of a report: what a loader may leave to be told instead of rejecting it.
REPORTED = ("missing", "unexpected", "ignored", "cast", "defaulted", "conflicting")

#: The facts that `describe` may return.
FACTS = ("parameters", "tensors", "bytes", "shards", "scheme", "tied", "dtypes", "dense_bytes")


class Unsupported(Exception):  # noqa: N818 - the word of the contract
    """Raised by an adapter for what its loader does not do, in a case all of whose needs it claims."""


class RawTensor(NamedTuple):
    """A tensor as bytes, for adapters whose library is neither torch nor numpy.

    Attributes:
        dtype: As a safetensors header names it: ``BF16``.
        shape: The logical shape.
        data: The elements in row-major order, little-endian.
    """

    dtype: str
    shape: tuple[int, ...]
    data: bytes | memoryview


if TYPE_CHECKING:
    #: What an adapter hands out: a torch tensor on the CPU, a numpy array, or a `RawTensor`. Strides are free, and
    #: tensors may alias the file or each other: they are read before the next call.
    Tensor = torch.Tensor | RawTensor | Any


@runtime_checkable
class Adapter(Protocol):
    """What every adapter has. The methods below belong to levels, and each is optional.

    Attributes:
        name: The name of the loader, as the reports show it.
        claims: The features that it claims, of `claims.FEATURES`.
    """

    name: str
    claims: frozenset[str] | set[str]


class FullAdapter(Adapter, Protocol):
    """An adapter that offers everything: the signatures of all methods."""

    def read_file(self, path: Path) -> Mapping[str, Tensor]:
        """Every tensor of one .safetensors file, names, dtypes, shapes and values as stored. F4 and F6 as raw U8."""

    def read_bytes(self, data: bytes) -> Mapping[str, Tensor]:
        """What `read_file` returns, of a file whose bytes are in memory; the claim ``bytes`` goes with it."""

    def read_checkpoint(self, directory: Path) -> Mapping[str, Tensor]:
        """Every tensor of the checkpoint, names as stored."""

    def load_weights(self, directory: Path, dtype: torch.dtype | None = None) -> Mapping[str, Tensor]:
        """One dense tensor per Llama parameter, Hugging Face names, dequantized. A tied head may be there (equal)."""

    def load_shard(self, directory: Path, rank: int, world_size: int) -> Mapping[str, Tensor]:
        """This rank's slice of each of those."""

    def logits(self, directory: Path, input_ids: torch.Tensor) -> Tensor:
        """``[batch, positions, vocab]``, float32, computed in float32, for int64 ``[batch, positions]``."""

    def describe(self, directory: Path) -> Mapping[str, Any]:
        """Any of `FACTS`; those returned are judged."""

    def report(self, directory: Path) -> Mapping[str, Sequence[str]]:
        """Lists of names under any of `REPORTED`, of the last load."""

    def reason(self, error: Exception) -> Reason | str | None:
        """The suite's code for one of the loader's exceptions, None for one that tells no reason."""
