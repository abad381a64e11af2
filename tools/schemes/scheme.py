"""What an encoder of a quantization family does, as a recipe and the truth of a case use it. No loader, no torch.

A scheme is a frozen dataclass of plain data (numbers, strings, tuples, other schemes), for a recipe is keyed by it. It
derives from `Scheme`, imports neither torch nor a loader, and computes in NumPy by the published formula of its format.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from conformance.tools.encode import FloatDtype
    from conformance.tools.stored import Tensor


class Scheme(ABC):
    """One way to store the Linear weights of a checkpoint.

    Words: the *module* is the full name of a Linear (``model.layers.0.mlp.up_proj``), a *suffix* is what follows it and
    a dot in the name of a stored tensor (``weight_packed``, ``weight.absmax``).
    """

    @property
    @abstractmethod
    def feature(self) -> str:
        """The claim that a loader makes for it, without ``quant:`` (``ct-pack``); an analysis names it so."""

    @abstractmethod
    def config(self) -> dict[str, Any]:
        """The ``quantization_config`` as the real producer writes it; empty where ``config.json`` has none."""

    @abstractmethod
    def encode(self, module: str, weight: NDArray[np.float64], dtype: FloatDtype) -> tuple[Tensor, ...]:
        """The stored tensors of one weight.

        Args:
            module: The full name of the Linear.
            weight: ``[out, in]``, every value exact in `dtype`.
            dtype: That of the dense original, and of scales that follow the model.

        Returns:
            The tensors under their full names, in the order in which the producer registers them.

        Raises:
            ValueError: The shape does not go with the scheme.
        """

    @abstractmethod
    def decode(
        self,
        module: str,
        stored: Mapping[str, Tensor],
        shape: tuple[int, int],
        dtype: FloatDtype | None,
        fallback: FloatDtype,
    ) -> tuple[FloatDtype, NDArray[np.float64]]:
        """The dense weight that stored tensors are worth, by the formula of the format, rounded once.

        What is computed from are the tensors as the steps of a case left them, not what `encode` began with.

        Args:
            module: The full name of the Linear.
            stored: Its tensors by suffix; others of the module may be among them.
            shape: ``(out, in)`` of the dense weight.
            dtype: The dtype to round to; None for that which a loader owes when none is asked for: of the scales where
                they are BF16 or F16, the one that the format records, or `fallback`.
            fallback: The dtype of the model by its configuration.

        Returns:
            The dtype rounded to, and ``[out, in]`` with every value exact in it.

        Raises:
            KeyError: A tensor is missing without which there is no value.
            ValueError: The tensors do not fit each other.
        """

    def skips(self, module: str) -> bool:
        """Whether a Linear stays dense. Asked of every projection and of ``lm_head``."""
        return module == "lm_head"

    def metadata(self, parts: Mapping[str, tuple[Tensor, ...]]) -> dict[str, str]:  # noqa: ARG002 - most write none
        """What the header of a file says beside ``format``, as torchao writes it there.

        Args:
            parts: Of each parameter with a tensor in this file, by its dense name: those of its tensors that lie in it.
        """
        return {}

    def beside(self, modules: tuple[str, ...]) -> dict[str, Any]:  # noqa: ARG002 - most write none
        """Other JSON files of the directory by name, as ``quanto_qmap.json``.

        Args:
            modules: The Linear modules that are quantized, in state-dict order.
        """
        return {}

    def uses(self, suffix: str) -> bool:
        """Whether a dense load needs a stored tensor; the scales of activations it does not."""
        return not suffix.startswith(("input_", "output_"))
