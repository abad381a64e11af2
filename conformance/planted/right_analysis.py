"""The right loader: what can be said of a checkpoint from its headers."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any

from conformance.planted.right_forward import Forward
from conformance.planted.right_names import EMBEDDING, HEAD
from conformance.planted.right_types import BITS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from conformance.planted.right_parameters import Plan, Source
    from conformance.planted.right_types import Entry

_CHUNK = 1 << 20
_SCHEMES = {"I8": "ct-int", "F8_E4M3": "ct-float"}
_TORCH_WORDS = {"torch.float64": "F64", "torch.float32": "F32", "torch.float16": "F16", "torch.bfloat16": "BF16"}


class Analysis(Forward):
    """Describes a checkpoint."""

    def describe(self, directory: Path) -> Mapping[str, Any]:
        """Every fact of the contract."""
        self.begin()
        plan = self.plan(directory)
        used = [entry for source in plan.sources.values() for entry in self.parts(source)]
        once = self.counted_once(plan)
        dtypes = self.bytes_by_dtype(used)
        return {
            "parameters": sum(self.logical(plan.sources[name]) for name in once),
            "tensors": len(used),
            "bytes": sum(dtypes.values()),
            "shards": len({entry.path for entry in used}),
            "scheme": self.scheme(plan),
            "tied": self.is_tied(plan, once),
            "dtypes": dtypes,
            "dense_bytes": sum(self.dense_bytes(plan.sources[name], plan) for name in once),
        }

    def counted_once(self, plan: Plan) -> list[str]:
        """The stored parameters, without a head that is the embedding once more."""
        embedding, head = plan.sources.get(EMBEDDING), plan.sources.get(HEAD)
        if embedding and head and self.same_bytes(embedding.entry, head.entry):
            return [name for name in plan.sources if name != HEAD]
        return list(plan.sources)

    def is_tied(self, plan: Plan, once: list[str]) -> bool:
        """Whether one tensor is embedding and head, and the configuration ties them."""
        return plan.config.tied and not {EMBEDDING, HEAD} <= set(once)

    def same_bytes(self, first: Entry, second: Entry) -> bool:
        """Whether two stored tensors are the same, a piece at a time."""
        if (first.dtype, first.shape) != (second.dtype, second.shape):
            return False
        with first.path.open("rb") as one, second.path.open("rb") as other:
            one.seek(first.at)
            other.seek(second.at)
            sizes = [min(_CHUNK, first.nbytes - start) for start in range(0, first.nbytes, _CHUNK)]
            return all(one.read(size) == other.read(size) for size in sizes)

    def logical(self, source: Source) -> int:
        """The elements of a parameter: those of its shape, in whatever form they are stored."""
        return math.prod(source.shape)

    def bytes_by_dtype(self, used: Iterable[Entry]) -> dict[str, int]:
        """Bytes of each dtype of the container: the spans of the offsets."""
        sizes: Counter[str] = Counter()
        for entry in used:
            sizes[entry.dtype] += self.stored_bytes(entry)
        return dict(sizes)

    def stored_bytes(self, entry: Entry) -> int:
        """Bytes of a stored tensor."""
        return entry.nbytes

    def scheme(self, plan: Plan) -> str:
        """The word for how the weights are quantized."""
        found = {_SCHEMES[source.entry.dtype] for source in plan.sources.values() if source.codes}
        return " and ".join(sorted(found)) or "none"

    def dense_bytes(self, source: Source, plan: Plan) -> int:
        """Bytes of a parameter as it is handed out where no dtype is asked for."""
        codes = source.codes
        if codes is None:
            dtype = self.dense_dtype(source.entry, plan.config, None)
        else:
            dtype = self.decoded_dtype(codes.scale, plan.config)
        return math.prod(source.shape) * BITS[_TORCH_WORDS[str(dtype)]] // 8
