"""MappedVarBuilder: tensors by the name that a model uses, mapped when they are asked for. Imports torch on `get`."""

from __future__ import annotations

from dataclasses import replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Unpack

from inferno_loader.dtypes import parse_dtype
from inferno_loader.errors import DtypeMismatchError, MissingTensorError, ShapeMismatchError
from inferno_loader.planner import PlanOptions, plan

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import torch

    from inferno_loader.dtypes import Dtype
    from inferno_loader.load_plan import LoadPlan, PlannedTensor


class MappedVarBuilder:
    """A view of a load plan under a prefix.

    The shape is held against the file before a byte is read, and what was never asked for is known: `unused`.

    Args:
        load_plan: What can be asked for, by delivered name.
        prefix: Put in front of every name, with a dot.
        asked: Names asked for so far, shared with the builder that this one is made from.
    """

    def __init__(self, load_plan: LoadPlan, prefix: str = "", *, asked: set[str] | None = None) -> None:
        self._plan = load_plan
        self._tensors = load_plan.by_name
        self._asked = set() if asked is None else asked
        self.prefix = prefix

    @classmethod
    def open(cls, path: str | Path, **options: Unpack[PlanOptions]) -> MappedVarBuilder:
        """Plan the checkpoint at `path`, with the options of `inferno_loader.plan`.

        Raises:
            InfernoError: As `inferno_loader.plan`.
        """
        return cls(plan(path, **options))

    def pp(self, prefix: str | int) -> MappedVarBuilder:
        """The same builder one step down: ``pp("layers").pp(0)`` asks under ``layers.0.``."""
        return MappedVarBuilder(self._plan, self._full(str(prefix)), asked=self._asked)

    def _full(self, name: str) -> str:
        return f"{self.prefix}.{name}" if self.prefix else name

    def names(self) -> list[str]:
        """Every name under the prefix, without it."""
        start = f"{self.prefix}." if self.prefix else ""
        return [name.removeprefix(start) for name in self._tensors if name.startswith(start)]

    def contains(self, name: str) -> bool:
        """Whether `name` can be asked for under the prefix."""
        return self._full(name) in self._tensors

    def get_shape(self, name: str) -> tuple[int, ...]:
        """The shape of `name` under the prefix, without reading it.

        Raises:
            MissingTensorError: There is none; the remedy says what is close.
        """
        return self._find(name).shape

    def unused(self) -> list[str]:
        """Full names that no `get`, of this builder or of one made from it by `pp`, has asked for."""
        return [name for name in self._tensors if name not in self._asked]

    def get(self, shape: Iterable[int], name: str, dtype: object = None) -> torch.Tensor:
        """The tensor `name` under the prefix.

        Args:
            shape: The shape that the model expects.
            name: Without the prefix.
            dtype: Cast to this dense dtype; None keeps what the plan delivers.

        Raises:
            MissingTensorError: There is none; the remedy says what is close.
            ShapeMismatchError: It has another shape. No byte has been read.
            FileError, QuantizationError: Reading failed.
        """
        from inferno_loader.reader import read_tensor  # noqa: PLC0415 - looking needs no torch

        tensor = self._find(name)
        if tuple(shape) != tensor.shape:
            raise _wrong_shape(tensor, tuple(shape))
        self._asked.add(tensor.name)
        return read_tensor(_recast(self._resolve(tensor), None if dtype is None else parse_dtype(dtype)), self._plan)

    def _resolve(self, tensor: PlannedTensor) -> PlannedTensor:
        return self._tensors[tensor.alias_of] if tensor.alias_of else tensor

    def _find(self, name: str) -> PlannedTensor:
        full = self._full(name)
        if full in self._tensors:
            return self._tensors[full]
        close = get_close_matches(full, self._tensors, n=1)
        raise MissingTensorError(
            "the checkpoint has no tensor of this name",
            names=(full,),
            path=self._plan.path,
            tensor=full,
            expected=f"one of {len(self._tensors)} names in the dialect {self._plan.names}",
            remedy=f"did you mean {close[0]}?" if close else "look at names()",
        )


def _recast(tensor: PlannedTensor, dtype: Dtype | None) -> PlannedTensor:
    if dtype is None or dtype == tensor.dtype:
        return tensor
    if not (dtype.dense and tensor.dtype.dense):
        raise DtypeMismatchError(
            "codes and scales cannot be cast",
            names=(tensor.name,),
            tensor=tensor.name,
            expected=tensor.dtype,
            actual=dtype,
            remedy="ask for them as stored, or plan with dequantize=True",
        )
    return replace(tensor, dtype=dtype, action="cast" if tensor.action == "keep" else tensor.action)


def _wrong_shape(tensor: PlannedTensor, shape: tuple[int, ...]) -> ShapeMismatchError:
    stored = next(iter(tensor.parts.values()), None)
    return ShapeMismatchError(
        "the tensor has another shape than the model asks for",
        names=(tensor.name,),
        path=stored.shard.path if stored else None,
        tensor=stored.name if stored else tensor.name,
        expected=list(shape),
        actual=list(tensor.shape),
        remedy="the model is built for another configuration",
    )
