"""A Llama checkpoint as GGUF: the tensors of a recipe under the names of llama.cpp, in blocks. No loader, no torch.

The truth is that of the closed form: each parameter encoded by `gguf_blocks`, decoded by its formula, rounded once.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from conformance.tools.container import Spec
from conformance.tools.digest import short_key
from conformance.tools.forward import input_ids, logits
from conformance.tools.gguf_file import Draft, Entry, Pair, render
from conformance.tools.gguf_metadata import divisors_of, pairs_of
from conformance.tools.gguf_tensor import GgufTensor, gguf_name, in_pairs
from conformance.tools.recipe import Recipe, build
from conformance.tools.schemes.gguf_blocks import BLOCKS, PLAIN_NUMBERS, encode_rows
from conformance.tools.slicing import slice_of
from conformance.tools.stored import Tensor, decode, parameters
from conformance.tools.truth import Facts, Logits, Tensors, tensor_digest
from conformance.tools.values import encode_values

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from conformance.tools.gguf_edits import Edit

__all__ = ["SMALL", "SUPER", "GgufRecipe", "GgufTensor"]

_EMBEDDING, _HEAD = "model.embed_tokens.weight", "lm_head.weight"
_MATRIX = 2
_ROPE_FREQS = "rope_freqs.weight"

#: Sizes for blocks of 32: rows of 64, 128 and 160 elements, eight heads over two.
SMALL: Mapping[str, Any] = MappingProxyType(
    {
        "head_dim": 16,
        "hidden_size": 64,
        "intermediate_size": 160,
        "num_attention_heads": 8,
        "num_hidden_layers": 2,
        "num_key_value_heads": 2,
        "vocab_size": 37,
    },
)
#: Sizes for blocks of 256: rows of 256 and 512 elements, eight heads over two.
SUPER: Mapping[str, Any] = MappingProxyType(
    {
        "head_dim": 32,
        "hidden_size": 256,
        "intermediate_size": 512,
        "num_attention_heads": 8,
        "num_hidden_layers": 1,
        "num_key_value_heads": 2,
        "vocab_size": 37,
    },
)


@dataclass(frozen=True, slots=True)
class GgufRecipe:
    """A GGUF checkpoint as data.

    Attributes:
        config: Changes to the figures of the default recipe: `SMALL` or `SUPER`, and more.
        types: Pairs of a pattern (``fnmatch``) on the Hugging Face name and a type; the last one counts. Vectors are
            F32 unless a pattern of theirs says otherwise, as converters have it.
        edits: What is done to the file.
        parts: Files that it is split into.
        name: The stem of the file.
        divisors: Of ``rope_freqs.weight``; None for those that the configuration makes: of Llama 3.1 some, else none.
        seed: Another seed gives other values.
        beside: A checkpoint of safetensors in the same directory.
        rounded: The dtype to which a loader is taken to round the numbers of blocks before it computes: it changes
            nothing but the logits. None for none.
        blank: The Hugging Face names of parameters that are all zero.
    """

    config: Mapping[str, Any] = field(default_factory=lambda: dict(SMALL), hash=False)
    types: tuple[tuple[str, str], ...] = (("*", "Q4_0"),)
    edits: tuple[Edit, ...] = ()
    parts: int = 1
    name: str = "model"
    divisors: tuple[float, ...] | None = None
    seed: int = 0
    beside: Recipe | None = None
    rounded: str | None = None
    blank: tuple[str, ...] = ()

    def key(self) -> str:
        """16 hexadecimal digits that are the same for the same recipe, in every process."""
        edits = [[each.way, each.arguments, each.part] for each in self.edits]
        facts = [self.base.key(), self.types, edits, self.parts, self.name, self.divisors]
        facts += [self.beside.key()] if self.beside else []
        facts += [{"rounded": self.rounded}] if self.rounded else []
        facts += [{"blank": self.blank}] if self.blank else []
        return short_key(["gguf", *facts])

    @property
    def base(self) -> Recipe:
        """The dense model, in F32: blocks are made from values that no other dtype has rounded."""
        return Recipe(config=dict(self.config), dtype="F32", seed=self.seed)

    @property
    def figures(self) -> Mapping[str, Any]:
        """Every figure that the tensors follow. Divisors of no rule are those of a rule that has a list of them."""
        if self.divisors is None:
            return self.base.figures
        divisors = {key: list(self.divisors) for key in ("short_factor", "long_factor")}
        return {
            **self.base.figures,
            "rope_parameters": {"rope_type": "longrope", "attention_factor": 1.0, **divisors},
        }

    def build(self, directory: Path) -> None:
        """Writes the file or the parts, and what lies beside them."""
        if self.beside:
            build(self.beside, directory)
        directory.mkdir(parents=True, exist_ok=True)
        for number, draft in enumerate(self.drafts()):
            split = f"-{number + 1:05}-of-{self.parts:05}" if self.parts > 1 else ""
            (directory / f"{self.name}{split}.gguf").write_bytes(render(draft))

    def drafts(self) -> list[Draft]:
        """The files, edited."""
        entries = [self._entry(each) for each in self.tensors()]
        if self._rope_freqs:
            entries.insert(0, Entry(_ROPE_FREQS, 0, self._rope_freqs.spec.shape, self._rope_freqs.data))
        size = -(-len(entries) // self.parts)
        drafts = []
        for part in range(self.parts):
            pairs = pairs_of(self.figures) if part == 0 else []
            drafts.append(Draft(pairs + self._split(part, len(entries)), entries[part * size : (part + 1) * size]))
        for each in self.edits:
            each.apply(drafts[each.part])
        return drafts

    @property
    def _rope_freqs(self) -> Tensor | None:
        """``rope_freqs.weight``, where there is one."""
        divisors = self.divisors or divisors_of(self.figures)
        if divisors is None:
            return None
        return Tensor(Spec(_ROPE_FREQS, "F32", (len(divisors),)), np.array(divisors, np.float32).tobytes())

    def _split(self, part: int, tensors: int) -> list[Pair]:
        if self.parts == 1:
            return []
        return [
            Pair("split.no", "u16", part),
            Pair("split.count", "u16", self.parts),
            Pair("split.tensors.count", "i32", tensors),
        ]

    def _entry(self, each: GgufTensor) -> Entry:
        number = PLAIN_NUMBERS.get(each.kind)
        return Entry(each.name, BLOCKS[each.kind].number if number is None else number, each.shape[::-1], each.data)

    def tensors(self) -> Iterator[GgufTensor]:
        """Every parameter, in state-dict order, without regard to the edits."""
        for each in parameters(self.base):
            dense = each.dense
            kind, values = self._kind(dense.spec), decode(dense) * (dense.spec.name not in self.blank)
            plain = encode_rows(kind, values)
            data = in_pairs(plain, dense.spec, self.figures["head_dim"])
            yield GgufTensor(gguf_name(dense.spec.name), dense.spec.name, kind, dense.spec.shape, data, plain)

    def _kind(self, spec: Spec) -> str:
        vector = len(spec.shape) < _MATRIX
        patterns = [(pattern, kind) for pattern, kind in self.types if not (vector and kind in BLOCKS)]
        return next((kind for pattern, kind in reversed(patterns) if fnmatchcase(spec.name, pattern)), "F32")

    def stored(self, file: str | None = None) -> Tensors:  # noqa: ARG002 - all files are one checkpoint
        """Every tensor as stored: blocks as U8, rows of bytes."""
        found = [each.stored for each in self.tensors()]
        found += [self._rope_freqs] if self._rope_freqs else []
        return Tensors({each.spec.name: (_digest(each),) for each in found})

    def dense(self, dtype: str | None = None) -> Tensors:
        """Every parameter as a loader must hand it out. One that rounds blocks to BF16 first is right as well."""
        wanted = {}
        for each in self.tensors():
            once = each.tensor(dtype)
            right = [once]
            if dtype and each.kind in BLOCKS:
                twice = decode(each.tensor(None)).reshape(-1)
                right.append(Tensor(once.spec, encode_values(twice, dtype)))
            wanted[each.dense] = tuple(dict.fromkeys(map(_digest, right)))
        optional = frozenset({_HEAD} - wanted.keys())
        wanted.setdefault(_HEAD, wanted[_EMBEDDING])
        return Tensors(wanted, optional)

    def slices(self, rank: int, world_size: int) -> Tensors:
        """The slice of each parameter that belongs to a rank."""
        whole = {each.dense: each.tensor(None) for each in self.tensors()}
        cuts = {name: slice_of(tensor, self.figures, rank, world_size) for name, tensor in whole.items()}
        optional = frozenset(name for name, cut in cuts.items() if cut.optional)
        return Tensors({name: tuple(map(_digest, cut.tensors)) for name, cut in cuts.items()}, optional)

    def logits(self, tokens: Any) -> Logits:
        """The logits of every position, from the numbers in float64.

        Args:
            tokens: Has ``batch``, ``positions`` and ``seed``.
        """
        weights = self.weights()
        ids, headless = self.input_ids(tokens), _HEAD not in weights
        return Logits(logits(self.figures, weights.__getitem__, ids, tied=headless))

    def weights(self) -> dict[str, NDArray[np.float64]]:
        """The values of every parameter by its Hugging Face name; of a head that is not stored, none."""
        return {each.dense: self._values(each) for each in self.tensors()}

    def _values(self, each: GgufTensor) -> NDArray[np.float64]:
        if self.rounded and each.kind in BLOCKS:
            return decode(each.tensor(self.rounded))
        return np.asarray(each.values(), dtype=np.float64)

    def input_ids(self, tokens: Any) -> NDArray[np.int64]:
        """Token ids, int64 ``[batch, positions]``, the same for the same `tokens`."""
        return input_ids(self.figures["vocab_size"], tokens)

    def facts(self) -> Facts:
        """What an analysis must say. Dtypes are those of ggml."""
        held = list(self.tensors())
        dtypes: Counter[str] = Counter()
        for each in held:
            dtypes[each.kind] += len(each.data)
        return Facts(
            {
                "parameters": sum(math.prod(each.shape) for each in held),
                "tensors": len(held),
                "bytes": sum(dtypes.values()),
                "shards": self.parts,
                "scheme": "gguf" if dtypes.keys() & BLOCKS.keys() else "none",
                "tied": _HEAD not in {each.dense for each in held},
                "dtypes": dict(dtypes),
                "dense_bytes": sum(len(each.tensor(None).data) for each in held),
            }
        )


def _digest(tensor: Tensor) -> Any:
    return tensor_digest(tensor.spec.dtype, tensor.spec.shape, tensor.data)
