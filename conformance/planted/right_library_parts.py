"""The right loader for other libraries, second part: what a plan is, and whether parts of a weight fit."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from conformance.engine.reasons import Reason
from conformance.planted.right_library_codes import Formulas
from conformance.planted.right_types import Entry, no_constant, refuse, require_dtype, require_shape

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

    Parts = Mapping[str, Entry]

FLOATS = ("BF16", "F16", "F32")
DTYPES = {"bfloat16": "BF16", "float16": "F16", "float32": "F32"}
LONGEST = 4096


@dataclass(frozen=True, slots=True)
class Library:
    """How a weight of another library is stored.

    Attributes:
        kind: ``gptq``, ``gemm``, ``gemv``, ``rows``, ``blocks``, ``torchao``, ``whole``, ``packed`` or ``hqq``.
        parts: Its tensors by suffix.
        shape: Of the dense weight.
        facts: What its formula needs to know beside them.
        dtype: Of the dense weight where none is asked for; empty for that of the model.
    """

    kind: str
    parts: Parts
    shape: tuple[int, int]
    facts: Mapping[str, Any]
    dtype: str = ""


class Fitting(Formulas):
    """Holds the parts of a weight against what they must be."""

    read: Any
    say: Any

    def lacking(self, module: str, parts: Parts, *suffixes: str) -> None:
        """Parts that there must be."""
        if absent := [each for each in suffixes if each not in parts]:
            refuse(Reason.MISSING_SCALE, f"{module} is quantized, and has no {', '.join(absent)}")

    def of_dtype(self, entry: Entry, *dtypes: str) -> None:
        """A part is stored in one of some dtypes."""
        require_dtype(entry, *dtypes)

    def of_shape(self, entry: Entry, *shapes: tuple[int, ...]) -> None:
        """A part has one of some shapes."""
        require_shape(entry, *shapes)

    def own(self, scale: Entry) -> str:
        """The dtype of a dense weight by its scales; empty where they do not tell."""
        return scale.dtype if scale.dtype in ("BF16", "F16") else ""

    def group_size(self, told: Any, columns: int) -> int:
        """The size of a group that the configuration tells."""
        if type(told) is not int or (told < 1 and told != -1):
            refuse(Reason.CONFIG_VALUE, f"no group has the size {told!r}")
        return columns if told == -1 else told

    def json_of(self, text: bytes | str, what: str) -> dict[str, Any]:
        """The object in a text."""
        try:
            found = json.loads(text, parse_constant=no_constant)
        except (ValueError, RecursionError) as error:
            refuse(Reason.SCALE_VALUE, f"{what} is no JSON: {str(error)[:80]}")
        if not isinstance(found, dict):
            refuse(Reason.SCALE_VALUE, f"{what} holds no object")
        return found

    def figure(self, entry: Entry) -> int:
        """The one whole number of a tensor."""
        self.of_dtype(entry, "I32", "I64", "U8")
        values: torch.Tensor = self.read(entry)
        if values.numel() != 1:
            refuse(Reason.SHAPE, f"{entry.name} is {list(entry.shape)}, expected one number")
        return int(values)

    def text(self, entry: Entry) -> str:
        """A text that is stored as its letters."""
        self.of_dtype(entry, "U8")
        if entry.nbytes > LONGEST:
            refuse(Reason.SCALE_VALUE, f"{entry.name} is too long for a word")
        data: bytes = self.read(entry).numpy().tobytes()
        return data.decode("ascii", errors="replace")
