"""Right loaders that go other ways: other means to the same bytes, and the other branch wherever the suite leaves one.

None of them may ever be failed. A case that fails one asks for more than its clause does.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional

from conformance.engine.contract import RawTensor
from conformance.engine.reasons import Reason
from conformance.planted.right import CLAIMS, Right
from conformance.planted.right_analysis import Analysis
from conformance.planted.right_names import EMBEDDING, HEAD
from conformance.planted.right_types import BITS, TORCH, Entry, Object, refuse

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from conformance.planted.right_config import Config
    from conformance.planted.right_directory import WeightSet
    from conformance.planted.right_forward import Rotation
    from conformance.planted.right_parameters import Plan, Source

_PIECE = 1 << 20


class RightCopying(Right):
    """Copies whatever it hands out: the file a megabyte at a time, and every slice and every shared tensor."""

    name = "right-copying"

    def read(self, entry: Entry) -> Any:
        """Fills a tensor piece by piece from a buffer that is used again."""
        flat = torch.empty(entry.nbytes, dtype=torch.uint8)
        with entry.path.open("rb") as file:
            file.seek(entry.at)
            for start in range(0, entry.nbytes, _PIECE):
                piece = bytearray(file.read(min(_PIECE, entry.nbytes - start)))
                flat[start : start + len(piece)] = torch.frombuffer(piece, dtype=torch.uint8)
        if BITS[entry.dtype] < 8 or not flat.numel():  # noqa: PLR2004 - bits of a byte
            return super().as_tensor(bytearray(flat.numpy().tobytes()), entry)
        return flat.view(TORCH[entry.dtype]).reshape(entry.shape)

    def served(self, tensor: torch.Tensor) -> torch.Tensor:
        """A tied head of its own."""
        return tensor.clone()

    def share(self, *arguments: Any) -> torch.Tensor:
        """A slice that keeps nothing of the whole alive."""
        return super().share(*arguments).clone()

    def rotate(self, heads: torch.Tensor, rotation: Rotation) -> torch.Tensor:
        """Turns the pairs as complex numbers."""
        first, second = heads.chunk(2, dim=-1)
        turned = torch.complex(first, second) * torch.complex(*rotation)
        return torch.cat((turned.real, turned.imag), dim=-1)


class RightMapping(Right):
    """Maps the files: what it hands out are views of them, on whatever boundary they lie, with strides of its own."""

    name = "right-mapping"

    def read(self, entry: Entry) -> Any:
        """A view of the file, private to this process."""
        if not entry.nbytes:
            return self.as_tensor(bytearray(), entry)
        mapped = np.memmap(entry.path, np.uint8, mode="c", offset=entry.at, shape=(entry.nbytes,))
        flat = torch.from_numpy(mapped)
        if BITS[entry.dtype] < 8:  # noqa: PLR2004 - bits of a byte
            return RawTensor(entry.dtype, entry.shape, memoryview(mapped.data))
        return flat.view(TORCH[entry.dtype]).reshape(entry.shape)

    def dequantized(
        self,
        codes: torch.Tensor,
        scale: torch.Tensor,
        zero_point: torch.Tensor | None,
        block: tuple[int, int],
        dtype: torch.dtype,
    ) -> torch.Tensor:
        """Block by block, column-major."""
        result = torch.empty(codes.shape[::-1], dtype=dtype).T
        wide = -(-codes.shape[1] // block[1])
        scales = scale.to(torch.float32).reshape(-1, wide)
        zeros = torch.zeros_like(scales) if zero_point is None else zero_point.to(torch.float32).reshape(-1, wide)
        for row, column in np.ndindex(*scales.shape):
            place = (
                slice(row * block[0], (row + 1) * block[0]),
                slice(column * block[1], (column + 1) * block[1]),
            )
            result[place] = ((codes[place].to(torch.float32) - zeros[row, column]) * scales[row, column]).to(dtype)
        return result

    def mix(self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, config: Config) -> torch.Tensor:
        """With the attention of the library."""
        seen = self.seen(query.shape[2], config)
        return functional.scaled_dot_product_attention(
            query, key, value, attn_mask=seen, scale=1.0 / math.sqrt(config.head_dim)
        )


class RightLenient(Right):
    """Loads whatever may be loaded, by the index or the first set where there are several."""

    name = "right-lenient"

    def ambiguous(self, sets: list[WeightSet]) -> WeightSet:
        """The set of the index, or the first."""
        return next((each for each in sets if each.index is not None), sets[0])

    def headless(self) -> bool:
        """The embedding serves as head, whatever the configuration says."""
        return True

    def undeclared(self, entry: Entry) -> None:
        """The dtype and the scale tell enough."""
        self.say("defaulted", entry.name)


class RightReporting(Right):
    """Loads what may be loaded if it is reported, and reports it; of several sets it takes the single file."""

    name = "right-reporting"

    def ambiguous(self, sets: list[WeightSet]) -> WeightSet:
        """The single file, or the last set."""
        chosen = next((each for each in sets if len(each.files) == 1), sets[-1])
        self.say("ignored", ", ".join(file for each in sets if each is not chosen for file in each.files))
        return chosen

    def unexpected(self, names: list[str]) -> None:
        """Passes over them, and says so."""
        for name in names:
            self.say("unexpected", name)

    def headless(self) -> bool:
        """The embedding serves as head, and that is told."""
        self.say("defaulted", HEAD)
        return True

    def load_weights(self, directory: Path, dtype: torch.dtype | None = None) -> Mapping[str, Any]:
        """Casts dense parameters to the dtype of the configuration where none is asked for, and tells of each."""
        self.begin()
        plan = self.plan(directory)
        found = self.weights(plan, dtype)
        return found if dtype else {name: self.told(name, tensor, plan) for name, tensor in found.items()}

    def told(self, name: str, tensor: torch.Tensor, plan: Plan) -> torch.Tensor:
        """A parameter in the dtype of the configuration."""
        source, wanted = plan.sources.get(plan.shared.get(name, name)), TORCH[plan.config.dtype]
        if source is None or source.codes or tensor.dtype == wanted:
            return tensor
        self.say("cast", name)
        return self.cast(tensor, wanted)

    def dense_bytes(self, source: Source, plan: Plan) -> int:
        """What `load_weights` hands out, so casts count."""
        if source.codes:
            return super().dense_bytes(source, plan)
        return math.prod(source.shape) * BITS[plan.config.dtype] // 8


class RightRefusing(Right):
    """Refuses whatever may be refused."""

    name = "right-refusing"

    def check_start(self, text: str, path: Path) -> None:
        """The brace is the first byte, and only spaces follow the last one."""
        if not text.startswith("{") or text.rstrip(" ")[-1:] != "}":
            refuse(Reason.HEADER_JSON, f"{path}: white space stands where none belongs")

    def check_metadata(self, metadata: Any, path: Path) -> None:
        """A map in which each key stands once."""
        super().check_metadata(metadata, path)
        if not isinstance(metadata, Object) or metadata.repeated:
            refuse(Reason.METADATA, f"{path}: the metadata are {metadata!r}")

    def check_fields(self, fields: Object, name: str, path: Path) -> None:
        """Three fields and no others."""
        if len(fields) != 3:  # noqa: PLR2004 - dtype, shape, data_offsets
            refuse(Reason.HEADER_ENTRY, f"{path}: {name}: a field is not known: {', '.join(fields)}")

    def as_tensor(self, data: bytearray, entry: Entry) -> Any:
        """Only booleans that are 0 or 1, and only shapes that torch can hold."""
        tensor = super().as_tensor(data, entry)
        if isinstance(tensor, RawTensor) or (entry.dtype == "BOOL" and any(byte > 1 for byte in data)):
            refuse(Reason.DTYPE, f"{entry.path}: {entry.name} is no tensor of {entry.dtype}")
        return tensor

    def by_index(self, index: Mapping[str, str], held: Mapping[str, Mapping[str, Entry]]) -> dict[str, Entry]:
        """Every tensor of every shard is in the index, once."""
        found = super().by_index(index, held)
        for file, entries in held.items():
            if strays := [name for name in entries if index.get(name) != file]:
                refuse(Reason.INDEX_INVALID, f"{file} also holds {', '.join(strays[:5])}")
        return found

    def two_heads(self, embedding: Entry, head: Entry) -> None:
        """A head that is stored although it is tied must be the embedding."""
        if not self.same_bytes(embedding, head):
            refuse(Reason.UNEXPECTED_TENSOR, f"{HEAD} is tied to {EMBEDDING}, and stored with other values")


class RightBare(Analysis):
    """Tells no reason and reports nothing: the least that an adapter may offer, at every level."""

    name = "right-bare"
    claims = CLAIMS
