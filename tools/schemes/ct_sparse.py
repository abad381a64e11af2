"""compressed-tensors, sparse-24-bitmask and sparse-bitmask (releases to 0.14): the values that are kept, and a mask.

2:4: ``compressed`` ``[out, in / 2]``, ``bitmask`` U8 ``[out, ceil(in / 8)]``, ``shape`` I64 ``[2, 1]``; of each four
columns two are kept, whatever their value. Unstructured: ``weight.compressed`` ``[n]``, ``weight.bitmask``,
``weight.shape`` I64 ``[2]``, ``weight.row_offsets`` I64 ``[out]``. Bit ``j % 8`` of byte ``j // 8`` says whether column
j is kept, from the lowest bit on. The values may be codes of `ct_plain`: first the mask, then the scales.
Source: https://github.com/vllm-project/compressed-tensors, release 0.12.2, ``compressors/sparse_compressors``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from conformance.tools.container import Spec
from conformance.tools.schemes import ct_config
from conformance.tools.schemes.parts import integers, octets
from conformance.tools.schemes.scheme import Scheme
from conformance.tools.stored import Tensor, decode
from conformance.tools.values import encode_values

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from conformance.tools.encode import FloatDtype
    from conformance.tools.schemes.ct_plain import Plain

_FOUR, _TWO = 4, 2
_ONE_BYTE = ("I8", "F8_E4M3")


@dataclass(frozen=True, slots=True)
class Sparse(Scheme):
    """A bitmask, and the values that it keeps.

    Attributes:
        structured: Whether two of each four columns are kept; else every third value goes, and one row whole.
        codes: How the values are quantized; None for dense ones.
        skip: Modules that stay dense.
    """

    structured: bool = True
    codes: Plain | None = None
    skip: tuple[str, ...] = ("lm_head",)

    @property
    def feature(self) -> str:
        """See `Scheme.feature`."""
        return "ct-sparse"

    def skips(self, module: str) -> bool:
        """See `Scheme.skips`."""
        return module in self.skip

    def config(self) -> dict[str, Any]:
        """See `Scheme.config`."""
        sparsity = {
            "format": "sparse-24-bitmask" if self.structured else "sparse-bitmask",
            "global_sparsity": 0.5 if self.structured else 0.36,
            "ignore": list(self.skip),
            "registry_requires_subclass": False,
            "sparsity_structure": "2:4" if self.structured else "unstructured",
            "targets": ["Linear"],
        }
        form = "dense" if self.codes is None else "naive-quantized"
        groups = [] if self.codes is None else [ct_config.group(form, self.codes.arguments())]
        return ct_config.block(form, groups, self.skip, version="0.12.2", sparsity=sparsity)

    def encode(self, module: str, weight: NDArray[np.float64], dtype: FloatDtype) -> tuple[Tensor, ...]:
        """See `Scheme.encode`."""
        kept = self._kept(module, weight)
        values = np.where(kept, weight, 0.0)
        beside: tuple[Tensor, ...] = ()
        spec = Spec(f"{module}.weight", dtype, weight.shape)
        whole = Tensor(spec, encode_values(values.reshape(-1), dtype))
        if self.codes is not None:
            whole, *rest = self.codes.encode(module, values, dtype)
            beside = tuple(rest)
        size = len(whole.data) // weight.size
        rows = np.frombuffer(whole.data, np.uint8).reshape(*weight.shape, size)[kept]
        shape = (len(weight), weight.shape[1] // _TWO) if self.structured else (int(kept.sum()),)
        prefix = f"{module}." if self.structured else f"{module}.weight."
        sides = np.array(weight.shape)
        stored = [
            integers(f"{prefix}shape", "I64", sides[:, None] if self.structured else sides),
            Tensor(replace(whole.spec, name=f"{prefix}compressed", shape=shape), rows.tobytes()),
            integers(f"{prefix}bitmask", "U8", np.packbits(kept, axis=1, bitorder="little")),
        ]
        if not self.structured:
            ends = np.concatenate([[0], np.cumsum(kept.sum(axis=1))])
            stored.append(integers(f"{prefix}row_offsets", "I64", ends[:-1]))
        return (*stored, *beside)

    def _kept(self, module: str, weight: NDArray[np.float64]) -> NDArray[np.bool_]:
        if not self.structured:
            kept = np.arange(weight.size).reshape(weight.shape) % 3 != 1
            kept[len(weight) // 2] = False
            return np.asarray(kept)
        if weight.shape[1] % _FOUR:
            raise ValueError(f"{module}: fours do not divide {weight.shape[1]} columns")
        fours = np.abs(weight).reshape(len(weight), -1, _FOUR)
        places = np.argsort(-fours, axis=2, kind="stable")[:, :, :_TWO]
        kept = np.zeros(fours.shape, dtype=bool)
        np.put_along_axis(kept, places, values=True, axis=2)
        return np.asarray(kept.reshape(weight.shape))

    def decode(
        self,
        module: str,
        stored: Mapping[str, Tensor],
        shape: tuple[int, int],
        dtype: FloatDtype | None,
        fallback: FloatDtype,
    ) -> tuple[FloatDtype, NDArray[np.float64]]:
        """See `Scheme.decode`."""
        prefix = "" if self.structured else "weight."
        values = stored[f"{prefix}compressed"]
        mask = np.unpackbits(octets(stored[f"{prefix}bitmask"]), axis=1, bitorder="little")[:, : shape[1]].astype(bool)
        if mask.sum() != values.spec.elements:
            raise ValueError(f"{module}: the mask keeps {mask.sum()} of {values.spec.elements} values")
        size = len(values.data) // max(values.spec.elements, 1)
        dense = np.zeros((*shape, size), dtype=np.uint8)
        dense[mask] = np.frombuffer(values.data, np.uint8).reshape(-1, size)
        whole = Tensor(replace(values.spec, shape=shape), dense.tobytes())
        if self.codes is not None:
            return self.codes.decode(module, {**stored, "weight": whole}, shape, dtype, fallback)
        own: Any = dtype or whole.spec.dtype
        again = encode_values(decode(whole).reshape(-1), own)
        return own, decode(Tensor(Spec(module, own, shape), again))
