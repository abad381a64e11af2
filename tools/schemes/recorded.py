"""One weight as a real library wrote it, byte for byte, in a model that is dense but for it. No loader, no torch.

The other encoders make what they judge by themselves; here the codes, the scales and the values are those of the
library, and the encoder of its scheme says only how they are told and read.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from conformance.tools.container import Spec
from conformance.tools.schemes.scheme import Scheme
from conformance.tools.stored import Tensor

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from conformance.tools.encode import FloatDtype

#: The suffix, the dtype, the shape and the bytes, as hexadecimal digits, of a stored tensor.
Part = tuple[str, str, tuple[int, ...], str]


@dataclass(frozen=True, slots=True)
class Recorded(Scheme):
    """A weight that is stored in given tensors.

    Attributes:
        how: The encoder of its scheme.
        module: The full name of the Linear whose weight it is; every other one is dense.
        parts: Its tensors.
        block: The ``quantization_config`` as JSON; empty for none.
        told: What the header says of the weight, as JSON; empty where its scheme tells nothing there.
    """

    how: Scheme
    module: str
    parts: tuple[Part, ...]
    block: str = ""
    told: str = ""

    @property
    def feature(self) -> str:
        """See `Scheme.feature`."""
        return self.how.feature

    def config(self) -> dict[str, Any]:
        """See `Scheme.config`."""
        block: dict[str, Any] = json.loads(self.block) if self.block else {}
        return block

    def skips(self, module: str) -> bool:
        """See `Scheme.skips`."""
        return module != self.module

    def encode(
        self,
        module: str,
        weight: NDArray[np.float64],  # noqa: ARG002 - it is another one
        dtype: FloatDtype,  # noqa: ARG002 - the tensors have theirs
    ) -> tuple[Tensor, ...]:
        """See `Scheme.encode`: the tensors that were recorded."""
        return tuple(
            Tensor(Spec(f"{module}.{suffix}", kind, shape), bytes.fromhex(digits))
            for suffix, kind, shape, digits in self.parts
        )

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
        return {**self.how.metadata(parts), f"{self.module}.weight": self.told} if self.told else {}

    def beside(self, modules: tuple[str, ...]) -> dict[str, Any]:
        """See `Scheme.beside`."""
        return self.how.beside(modules)

    def uses(self, suffix: str) -> bool:
        """See `Scheme.uses`."""
        return self.how.uses(suffix)
