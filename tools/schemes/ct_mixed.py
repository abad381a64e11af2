"""compressed-tensors with several config groups in one checkpoint: format ``mixed-precision``, or one for all.

Source: https://github.com/vllm-project/compressed-tensors, ``quantization/quant_config.py`` (``mixed-precision`` since
0.12) and ``utils/match.py``: an exact name counts before a regular expression, and that before a class.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from conformance.tools.schemes import ct_config
from conformance.tools.schemes.ct_micro import Mx, Nvfp4
from conformance.tools.schemes.ct_pack import Packed
from conformance.tools.schemes.ct_plain import Plain
from conformance.tools.schemes.scheme import Scheme

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from conformance.tools.encode import FloatDtype
    from conformance.tools.stored import Tensor

Part = Packed | Nvfp4 | Mx | Plain


@dataclass(frozen=True, slots=True)
class Mixed(Scheme):
    """Several schemes, each for the modules that its targets mean.

    Attributes:
        groups: Pairs of targets (names, ``re:`` and a regular expression, ``Linear``) and a scheme.
        ignore: What the configuration lists as dense: names, or regular expressions.
        dense: The modules that are dense; None for those that `ignore` means.
    """

    groups: tuple[tuple[tuple[str, ...], Part], ...] = ()
    ignore: tuple[str, ...] = ("lm_head",)
    dense: tuple[str, ...] | None = None

    @property
    def feature(self) -> str:
        """That of the first group. See `Scheme.feature`."""
        return self.groups[0][1].feature

    def config(self) -> dict[str, Any]:
        """See `Scheme.config`."""
        groups = []
        for targets, part in self.groups:
            form = part.config()["format"]
            groups.append(ct_config.group(form, part.arguments(), targets))
        forms = {each["format"] for each in groups}
        return ct_config.block(forms.pop() if len(forms) == 1 else "mixed-precision", groups, self.ignore)

    def skips(self, module: str) -> bool:
        """See `Scheme.skips`."""
        if self.dense is not None:
            return module in self.dense
        return any(_rank(each, module) is not None for each in self.ignore) or self._part(module) is None

    def encode(self, module: str, weight: NDArray[np.float64], dtype: FloatDtype) -> tuple[Tensor, ...]:
        """See `Scheme.encode`."""
        return self._of(module).encode(module, weight, dtype)

    def decode(
        self,
        module: str,
        stored: Mapping[str, Tensor],
        shape: tuple[int, int],
        dtype: FloatDtype | None,
        fallback: FloatDtype,
    ) -> tuple[FloatDtype, NDArray[np.float64]]:
        """See `Scheme.decode`."""
        return self._of(module).decode(module, stored, shape, dtype, fallback)

    def _of(self, module: str) -> Part:
        part = self._part(module)
        if part is None:
            raise ValueError(f"no group is meant for {module}")
        return part

    def _part(self, module: str) -> Part | None:
        ranked = sorted(
            (rank, target, number)
            for number, (targets, _) in enumerate(self.groups)
            for target in targets
            if (rank := _rank(target, module)) is not None
        )
        return self.groups[ranked[0][2]][1] if ranked else None


def _rank(target: str, module: str) -> int | None:
    """How exactly a target means a module, 0 for its name; None where it does not."""
    if target == module:
        return 0
    if target.startswith("re:"):
        return 1 if re.match(target.removeprefix("re:"), module) else None
    return 2 if target == "Linear" else None
