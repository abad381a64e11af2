"""The right loader, fourth part: every parameter of the model from what is stored, and nothing that is not.

Planned whole before a byte is read: what is absent, what is left over, what has another shape or dtype is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from conformance.engine.reasons import Reason
from conformance.planted.right_names import EMBEDDING, HEAD, TOLERATED, expected, from_meta, halves, is_meta
from conformance.planted.right_quantized import Coded, Codes
from conformance.planted.right_types import FLOATS, TORCH, Entry, refuse

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from conformance.planted.right_config import Config


@dataclass(frozen=True, slots=True)
class Source:
    """What one parameter is made of.

    Attributes:
        entry: The tensor itself, or its codes.
        shape: The shape of the parameter.
        codes: How the codes are read; None for a dense parameter.
        pairs: The width of a head where the rows are in Meta's order; None where they are not.
    """

    entry: Entry
    shape: tuple[int, ...]
    codes: Codes | None = None
    pairs: int | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """A load, before a byte is read.

    Attributes:
        config: The figures.
        sources: What each stored parameter is made of, by name.
        shared: The parameter that serves for another one, by the name of the other.
        filled: Parameters that are not stored, with the values that they get instead: always empty in a right loader.
    """

    config: Config
    sources: Mapping[str, Source]
    shared: Mapping[str, str]
    filled: Mapping[str, torch.Tensor]


class Parameters(Coded):
    """Reads dense parameters."""

    def load_weights(self, directory: Path, dtype: torch.dtype | None = None) -> Mapping[str, Any]:
        """Every parameter, dense, under Hugging Face's names."""
        self.begin()
        return self.weights(self.plan(directory), dtype)

    def weights(self, plan: Plan, dtype: torch.dtype | None) -> dict[str, torch.Tensor]:
        """Every parameter of a plan."""
        found = {name: self.parameter(name, plan, dtype) for name in plan.sources}
        found |= {name: self.served(found[other]) for name, other in plan.shared.items()}
        return {**found, **plan.filled}

    def plan(self, directory: Path) -> Plan:
        """What every parameter is made of."""
        config = self.config(directory)
        stored = self.located(directory)
        meta = is_meta(stored)
        located = {from_meta(name): entry for name, entry in stored.items()} if meta else self.named(stored)
        wanted = self.expected(config)
        shared = self.shared(config, located)
        absent = [name for name in wanted if name not in located and name not in shared]
        filled = {name: self.missing(name, wanted[name], config) for name in absent}
        sources = {
            name: self.source(name, shape, located, config, meta=meta)
            for name, shape in wanted.items()
            if name in located
        }
        self.check_left_over(located, sources)
        return Plan(config, sources, shared, filled)

    def named(self, stored: Mapping[str, Entry]) -> Mapping[str, Entry]:
        """Each stored tensor by the name that it counts under: its own, to the letter."""
        return stored

    def expected(self, config: Config) -> dict[str, tuple[int, ...]]:
        """The parameters that there must be."""
        return expected(config)

    def shared(self, config: Config, located: Mapping[str, Entry]) -> dict[str, str]:
        """Of embedding and head the stored one serves for the other, where the configuration ties them."""
        absent = [name for name in (EMBEDDING, HEAD) if name not in located]
        if config.tied and not absent:
            self.two_heads(located[EMBEDDING], located[HEAD])
        if len(absent) != 1 or not (config.tied or (absent == [HEAD] and self.headless())):
            return {}
        return {absent[0]: EMBEDDING if absent[0] == HEAD else HEAD}

    def two_heads(self, embedding: Entry, head: Entry) -> None:  # noqa: ARG002 - a stricter one looks at both
        """A head is stored though the configuration ties it: what is stored is loaded, and reported."""
        self.say("conflicting", head.name)

    def headless(self) -> bool:
        """Whether the embedding serves as head where the configuration does not say so."""
        return False

    def missing(self, name: str, shape: tuple[int, ...], config: Config) -> torch.Tensor:  # noqa: ARG002 - a worse one fills
        """The values of a parameter that is nowhere: there are none."""
        refuse(Reason.MISSING_TENSOR, f"{name} {list(shape)} is nowhere")

    def source(
        self, name: str, shape: tuple[int, ...], located: Mapping[str, Entry], config: Config, *, meta: bool
    ) -> Source:
        """What a stored parameter is made of, once its shape and its dtype are right."""
        entry = located[name]
        self.fitted(name, torch.empty(entry.shape, device="meta"), shape)
        codes = self.codes(entry, located, config)
        if codes is None and entry.dtype not in FLOATS:
            self.not_dense(entry, config)
        rows = meta and name.endswith(("q_proj.weight", "k_proj.weight"))
        return Source(entry, shape, codes, config.head_dim if rows else None)

    def fitted(self, name: str, tensor: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
        """A stored tensor in the shape of its parameter: it must have that shape."""
        if tuple(tensor.shape) != shape:
            refuse(Reason.SHAPE, f"{name} is stored as {list(tensor.shape)}, expected {list(shape)}")
        return tensor

    def not_dense(self, entry: Entry, config: Config) -> None:
        """A tensor of integers, or of FP8, stands where a dense parameter belongs, without a scale."""
        declared = self.arguments(entry.name.rpartition(".")[0], config) is not None
        why = Reason.MISSING_SCALE if declared else Reason.DTYPE
        refuse(why, f"{entry.name} is stored as {entry.dtype}, without a scale")

    def check_left_over(self, located: Mapping[str, Entry], sources: Mapping[str, Source]) -> None:
        """Every stored tensor is used, but for those that no parameter needs."""
        used = {entry.name for source in sources.values() for entry in self.parts(source)}
        over = [name for name, entry in located.items() if entry.name not in used]
        for name in over:
            if TOLERATED.fullmatch(name):
                self.say("ignored", name)
        rest = [name for name in over if not TOLERATED.fullmatch(name)]
        if scales := [name for name in rest if "scale" in name.rpartition(".")[2] or name.endswith("zero_point")]:
            self.unused_scales(scales)
        if others := [name for name in rest if name not in scales]:
            self.unexpected(others)

    def parts(self, source: Source) -> list[Entry]:
        """The stored tensors of a parameter that a load reads."""
        codes = source.codes
        return [each for each in (source.entry, codes and codes.scale, codes and codes.zero_point) if each]

    def unused_scales(self, names: list[str]) -> None:
        """Scales beside dense parameters: either they or the parameters are wrong."""
        refuse(Reason.UNUSED_SCALE, f"nothing uses the scales {', '.join(names[:5])}")

    def unexpected(self, names: list[str]) -> None:
        """Tensors that the model has no place for."""
        refuse(Reason.UNEXPECTED_TENSOR, f"{len(names)} tensors belong nowhere: {', '.join(names[:5])}")

    def parameter(self, name: str, plan: Plan, asked: torch.dtype | None) -> torch.Tensor:
        """One parameter, dense."""
        source = plan.sources[name]
        if source.codes is not None:
            return self.decoded(source.entry, source.codes, plan.config, asked)
        tensor = self.fitted(name, self.read(source.entry), source.shape)
        if source.pairs is not None:
            tensor = self.halves(tensor, source.pairs)
        dtype = self.dense_dtype(source.entry, plan.config, asked)
        if tensor.dtype == dtype:
            return tensor
        self.say("cast", name)
        return self.cast(tensor, dtype)

    def dense_dtype(self, entry: Entry, config: Config, asked: torch.dtype | None) -> torch.dtype:
        """The dtype asked for, else the one stored."""
        return asked or TORCH[entry.dtype if entry.dtype in FLOATS else config.dtype]

    def cast(self, tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        """Each value rounded once, to nearest even.

        Torch takes float64 to the 16-bit dtypes through float32, which rounds twice: here that step rounds to odd,
        which leaves a tie of the second step none (Boldo and Melquiond, "Emulation of FMA and correctly rounded sums",
        2008).
        """
        if tensor.dtype != torch.float64 or dtype not in (torch.bfloat16, torch.float16):
            return tensor.to(dtype)
        exact = tensor.numpy()
        with np.errstate(over="ignore"):
            narrow = exact.astype(np.float32)
        inexact = np.isfinite(narrow) & (narrow.astype(np.float64) != exact)
        further = np.abs(narrow.astype(np.float64)) > np.abs(exact)
        bits = narrow.view(np.uint32)
        odd = np.where(inexact, (bits - (further & inexact)) | 1, bits).astype(np.uint32)
        return torch.from_numpy(odd.view(np.float32)).to(dtype)

    def halves(self, rows: torch.Tensor, head_dim: int) -> torch.Tensor:
        """Query or key rows in Meta's order, brought into Hugging Face's."""
        return halves(rows, head_dim)

    def served(self, tensor: torch.Tensor) -> torch.Tensor:
        """The tensor that one of embedding and head has from the other: the same one."""
        return tensor
