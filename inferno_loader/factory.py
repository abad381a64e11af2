"""UnifiedModelFactory: which model a directory holds, and the plan or the loaded form of it. No torch at import."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Unpack

from inferno_loader.analyzer import analyze
from inferno_loader.planner import PlanOptions, plan

if TYPE_CHECKING:
    from pathlib import Path

    from inferno_loader.load_plan import LoadPlan
    from inferno_loader.model import InfernoLlama
    from inferno_loader.variants import Variant


@dataclass(frozen=True, slots=True)
class Identity:
    """Which model it is, and how its weights are stored.

    Attributes:
        variant: Family, version and size, with the evidence.
        scheme: ``none``, or the words of the quantization schemes, told from the tensors.
    """

    variant: Variant
    scheme: str

    def __str__(self) -> str:
        words = (self.variant.family, self.variant.version, self.variant.size)
        return " ".join(word for word in (*words, "" if self.scheme == "none" else self.scheme) if word)


class UnifiedModelFactory:
    """One door for every variant: Meta Llama, TinyLlama, SmolLM, distilled, CodeLlama, custom, each quantized form."""

    @staticmethod
    def identify(path: str | Path) -> Identity:
        """Which model lies at `path`.

        Raises:
            InfernoError: As `inferno_loader.analyze`.
        """
        analysis = analyze(path)
        return Identity(analysis.variant, analysis.scheme)

    @staticmethod
    def plan(path: str | Path, **options: Unpack[PlanOptions]) -> LoadPlan:
        """The load plan of the model at `path`. See `inferno_loader.plan`."""
        return plan(path, **options)

    @staticmethod
    def create(path: str | Path, **options: Unpack[PlanOptions]) -> InfernoLlama:
        """The model at `path`, loaded. See `inferno_loader.load_model`."""
        from inferno_loader.loader import load_model  # noqa: PLC0415 - identifying needs no torch

        return load_model(path, **options)
