"""A scheme for some of the Linear modules: more of them stay dense than the scheme leaves by itself. No loader."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from conformance.tools.schemes.scheme import Scheme

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from conformance.tools.encode import FloatDtype
    from conformance.tools.stored import Tensor


@dataclass(frozen=True, slots=True)
class Partly(Scheme):
    """Another scheme, but for modules that are dense. What the configuration says of them is for that scheme to tell.

    Attributes:
        how: The scheme of the rest.
        dense: The last words of the names of the modules that stay dense.
    """

    how: Scheme
    dense: tuple[str, ...]

    @property
    def feature(self) -> str:
        """See `Scheme.feature`."""
        return self.how.feature

    def config(self) -> dict[str, Any]:
        """See `Scheme.config`."""
        return self.how.config()

    def skips(self, module: str) -> bool:
        """See `Scheme.skips`."""
        return module.rpartition(".")[2] in self.dense or self.how.skips(module)

    def encode(self, module: str, weight: NDArray[np.float64], dtype: FloatDtype) -> tuple[Tensor, ...]:
        """See `Scheme.encode`."""
        return self.how.encode(module, weight, dtype)

    def decode(
        self,
        module: str,
        stored: Mapping[str, Tensor],
        shape: tuple[int, int],
        dtype: FloatDtype | None,
        fallback: FloatDtype,
    ) -> tuple[FloatDtype, NDArray[np.float64]]:
        """See `Scheme.decode`."""
        return self.how.decode(module, stored, shape, dtype, fallback)

    def metadata(self, parts: Mapping[str, tuple[Tensor, ...]]) -> dict[str, str]:
        """See `Scheme.metadata`."""
        return self.how.metadata(parts)

    def beside(self, modules: tuple[str, ...]) -> dict[str, Any]:
        """See `Scheme.beside`."""
        return self.how.beside(modules)

    def uses(self, suffix: str) -> bool:
        """See `Scheme.uses`."""
        return self.how.uses(suffix)
