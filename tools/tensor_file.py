"""One safetensors file of any tensors, for the cases of the container: closed-form values, no model. No loader."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from conformance.tools.container import DTYPE_BITS, PT_METADATA, write_file, write_sparse
from conformance.tools.digest import short_key
from conformance.tools.stored import Tensor
from conformance.tools.truth import TensorDigest
from conformance.tools.values import tensor_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from conformance.tools.container import Rule, Spec

#: Elements with a value at each end of a sparse tensor.
_EDGE = 64
#: Bytes of a piece of zeros.
_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class TensorFile:
    """A file as data.

    Attributes:
        specs: Its tensors, in the order of their data under the rule ``given``.
        metadata: Pairs of ``__metadata__``; None leaves the entry out.
        rule: The writer whose order and padding the file follows.
        seed: Another seed gives other values everywhere.
        name: Its name.
        sparse: Whether all elements are zero but for the 64 at each end of a tensor: such a file takes disk for those
            alone, whatever its size.
    """

    specs: tuple[Spec, ...]
    metadata: tuple[tuple[str, str], ...] | None = tuple(PT_METADATA.items())
    rule: Rule = "given"
    seed: int = 0
    name: str = "model.safetensors"
    sparse: bool = False

    def key(self) -> str:
        """16 hexadecimal digits that are the same for the same file, in every process."""
        facts = {each.name: getattr(self, each.name) for each in fields(self)}
        # By hand: to take a hundred thousand of them apart with `asdict` takes seconds.
        facts["specs"] = [{"name": spec.name, "dtype": spec.dtype, "shape": spec.shape} for spec in self.specs]
        return short_key(facts)

    def tensors(self) -> dict[str, Tensor]:
        """Every tensor, by name, computed; those of a sparse file whole, zeros included."""
        return {spec.name: Tensor(spec, b"".join(self._pieces(spec))) for spec in self.specs}

    def digests(self) -> dict[str, TensorDigest]:
        """The digest of every tensor, by name, without holding one of a sparse file whole."""
        return {spec.name: self._digest(spec) for spec in self.specs}

    def build(self, directory: Path) -> None:
        """Writes the file into a directory, which is made."""
        directory.mkdir(parents=True, exist_ok=True)
        path, metadata = directory / self.name, None if self.metadata is None else dict(self.metadata)
        if self.sparse:
            write_sparse(path, self.specs, self._ends, rule=self.rule, metadata=metadata)
        else:
            write_file(path, self.specs, self._pieces, rule=self.rule, metadata=metadata)

    def _digest(self, spec: Spec) -> TensorDigest:
        sha = hashlib.sha256()
        for piece in self._pieces(spec):
            sha.update(piece)
        return TensorDigest(spec.dtype, spec.shape, sha.hexdigest())

    def _pieces(self, spec: Spec) -> Iterator[bytes]:
        """The bytes of a tensor, in order."""
        position = 0
        for offset, piece in self._ends(spec):
            yield from _zeros(offset - position)
            yield piece
            position = offset + len(piece)

    def _ends(self, spec: Spec) -> Iterator[tuple[int, bytes]]:
        """The parts of a tensor that have values, each with its byte offset; the last one ends with the tensor."""
        if not spec.elements:
            return
        whole = not self.sparse or spec.elements <= 2 * _EDGE
        for first in (0,) if whole else (0, spec.elements - _EDGE):
            count = spec.elements if whole else _EDGE
            data = tensor_bytes(spec.name, spec.dtype, spec.shape, seed=self.seed, first=first, count=count)
            yield first * DTYPE_BITS[spec.dtype] // 8, data


def _zeros(count: int) -> Iterator[bytes]:
    while count > 0:
        yield bytes(min(count, _PIECE))
        count -= _PIECE
