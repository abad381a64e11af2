"""What the parts of the right loader hand to each other: a refusal, a stored tensor, a JSON object, the dtypes."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn

import torch

from conformance.engine.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

#: Bits of an element, by dtype. Source: ``Dtype`` in https://github.com/safetensors/safetensors (``tensor.rs``).
BITS: Mapping[str, int] = MappingProxyType(
    {
        **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "F8_E8M0"), 8),
        **dict.fromkeys(("U16", "I16", "F16", "BF16"), 16),
        **dict.fromkeys(("U32", "I32", "F32"), 32),
        **dict.fromkeys(("U64", "I64", "F64", "C64"), 64),
        "F4": 4,
        **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
    },
)

#: Torch's dtype for each; those below a byte come as raw bytes.
TORCH: Mapping[str, torch.dtype] = MappingProxyType(
    {
        "BOOL": torch.bool, "U8": torch.uint8, "I8": torch.int8, "U16": torch.uint16, "I16": torch.int16,
        "U32": torch.uint32, "I32": torch.int32, "U64": torch.uint64, "I64": torch.int64, "F16": torch.float16,
        "BF16": torch.bfloat16, "F32": torch.float32, "F64": torch.float64, "C64": torch.complex64,
        "F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2, "F8_E4M3FNUZ": torch.float8_e4m3fnuz,
        "F8_E5M2FNUZ": torch.float8_e5m2fnuz, "F8_E8M0": torch.float8_e8m0fnu,
        "F4": torch.uint8, "F6_E2M3": torch.uint8, "F6_E3M2": torch.uint8,
    },
)  # fmt: skip

#: The dtypes in which a dense parameter may be stored.
FLOATS = ("F64", "F32", "F16", "BF16")


class RefusedError(Exception):
    """The checkpoint is refused.

    Attributes:
        why: The code of the defect.
    """

    def __init__(self, why: Reason, message: str) -> None:
        super().__init__(message)
        self.why = why


def refuse(why: Reason, message: str) -> NoReturn:
    """Refuses the checkpoint.

    Raises:
        RefusedError: Always.
    """
    raise RefusedError(why, message)


def require_dtype(entry: Entry, *dtypes: str) -> None:
    """A tensor is stored in one of some dtypes."""
    if entry.dtype not in dtypes:
        refuse(Reason.DTYPE, f"{entry.name} is stored as {entry.dtype}, expected {' or '.join(dtypes)}")


def require_shape(entry: Entry, *shapes: tuple[int, ...]) -> None:
    """A tensor has one of some shapes."""
    if entry.shape not in shapes:
        refuse(Reason.SHAPE, f"{entry.name} is {list(entry.shape)}, expected {' or '.join(map(str, shapes))}")


def with_codes(found: Mapping[str, Entry], stored: Mapping[str, Entry], suffixes: Iterable[str]) -> dict[str, Entry]:
    """Codes under these suffixes also count under the name of the weight that they stand for, where there is none."""
    named, endings = dict(found), tuple(suffixes)
    for name, entry in stored.items():
        for suffix in endings:
            if name.endswith(f".{suffix}"):
                named.setdefault(f"{name.removesuffix(suffix)}weight", entry)
    return named


@dataclass(frozen=True, slots=True)
class Entry:
    """One stored tensor.

    Attributes:
        name: As its header has it.
        dtype: Of the container.
        shape: Logical.
        start: Its first byte, counted from the start of the data.
        end: The first byte behind it.
        path: The file.
        at: Its first byte, counted from the start of the file.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int
    path: Path
    at: int = 0

    @property
    def nbytes(self) -> int:
        """The span of its offsets."""
        return self.end - self.start


class Object(dict[str, Any]):
    """A JSON object that remembers which of its keys stood there twice.

    Attributes:
        repeated: Those keys.
    """

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        counts = Counter(name for name, _ in pairs) if len(pairs) > len(self) else {}
        self.repeated = tuple(name for name, count in counts.items() if count > 1)


def no_constant(word: str) -> NoReturn:
    """Python's own words for what is no number: JSON has none of them."""
    raise ValueError(f"{word} is no JSON")


def read_json(path: Path, absent: Reason, invalid: Reason) -> dict[str, Any]:
    """The object in a JSON file beside the weights.

    Raises:
        RefusedError: The file is not there, or is no JSON object; with the codes given.
    """
    try:
        content = json.loads(path.read_bytes(), object_pairs_hook=Object, parse_constant=no_constant)
    except FileNotFoundError:
        refuse(absent, f"{path}: there is no such file")
    except (OSError, ValueError, RecursionError) as error:
        refuse(invalid, f"{path}: no JSON in UTF-8: {error}")
    if not isinstance(content, dict):
        refuse(invalid, f"{path}: expected an object, found {type(content).__name__}")
    return content
