"""compressed-tensors with scales of small formats: nvfp4-pack-quantized, mxfp4, mxfp6 and mxfp8.

NVFP4: ``weight_packed`` U8 ``[out, in / 2]`` of E2M1, the low nibble the even column; ``weight_scale`` F8_E4M3
``[out, in / 16]``; ``weight_global_scale`` F32 ``[1]``, which divides: ``w = code * (scale / global scale)``.
MX: ``weight_packed`` U8 (E2M1, or E2M3 with four codes in three bytes) or ``weight`` F8_E4M3; ``weight_scale`` U8 or
F8_E8M0 ``[out, in / 32]``: ``w = code * 2**(scale - 127)``.
Source: https://github.com/vllm-project/compressed-tensors, release 0.20.0, ``compressors``; OCP Microscaling Formats
(MX) 1.0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from conformance.tools.encode import E4M3, E4M3_MAX, ROUND, encode_e4m3, reduce_blocks
from conformance.tools.schemes import bits as packing
from conformance.tools.schemes import ct_config
from conformance.tools.schemes.parts import floats, integers, numbers, octets, rounded
from conformance.tools.schemes.scheme import Scheme
from conformance.tools.schemes.small_floats import E2M1, E2M3, exponent_codes, nearest, powers_of_two

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from conformance.tools.encode import FloatDtype
    from conformance.tools.stored import Tensor

    Grid = NDArray[np.float32]

NVFP4_GROUP = 16
MX_GROUP = 32
E2M1_MAX = 6.0
#: The format by the bits of a code, and the exponent of the largest value of its codes.
_FORMS: Mapping[int, tuple[str, int]] = {
    4: ("mxfp4-pack-quantized", 2),
    6: ("mxfp6-pack-quantized", 2),
    8: ("mxfp8-quantized", 8),
}
_E4M3_BITS, _E2M3_BITS = 8, 6


def largest(weight: NDArray[np.float64], group: int) -> Grid:
    """The largest magnitude of each group of columns.

    Raises:
        ValueError: The groups do not divide the columns.
    """
    if weight.shape[1] % group:
        raise ValueError(f"groups of {group} do not divide {weight.shape[1]} columns")
    return reduce_blocks(np.abs(weight).astype(np.float32), (1, group), np.maximum)


def over_groups(grid: Grid, group: int) -> Grid:
    """A grid ``[out, groups]`` repeated over the columns of its groups."""
    return np.repeat(grid, group, axis=1)


def nvfp4_codes(
    weight: NDArray[np.float64], factor: np.float32, dtype: FloatDtype = "F32"
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Bytes of E2M1 codes and E4M3 scales, where the scales are the wanted ones, in `dtype`, times `factor`."""
    wanted = ROUND[dtype](largest(weight, NVFP4_GROUP) / np.float32(E2M1_MAX))
    scale = encode_e4m3(np.maximum(wanted * factor, 2.0**-9))
    steps = weight.astype(np.float32) / over_groups(E4M3[scale] / factor, NVFP4_GROUP)
    return packing.nibbles(nearest(steps, E2M1)), scale


@dataclass(frozen=True, slots=True)
class Nvfp4(Scheme):
    """nvfp4-pack-quantized.

    Attributes:
        activations: Whether ``input_global_scale`` is stored, as for activations of four bits.
        skip: Modules that stay dense.
    """

    activations: bool = False
    skip: tuple[str, ...] = ("lm_head",)

    @property
    def feature(self) -> str:
        """See `Scheme.feature`."""
        return "ct-nvfp4"

    def skips(self, module: str) -> bool:
        """See `Scheme.skips`."""
        return module in self.skip

    def arguments(self) -> dict[str, Any]:
        """The arguments of the weights in a config group."""
        return ct_config.arguments(
            4, "float", "tensor_group", group_size=NVFP4_GROUP, scale_dtype="torch.float8_e4m3fn"
        )

    def config(self) -> dict[str, Any]:
        """See `Scheme.config`."""
        group = ct_config.group("nvfp4-pack-quantized", self.arguments())
        if self.activations:
            group["input_activations"] = self.arguments() | {"dynamic": "local", "observer": "static_minmax"}
        return ct_config.block("nvfp4-pack-quantized", [group], self.skip)

    def encode(self, module: str, weight: NDArray[np.float64], dtype: FloatDtype) -> tuple[Tensor, ...]:
        """See `Scheme.encode`. The producer divides by way of a reciprocal, in the dtype of the weight."""
        reciprocal = ROUND[dtype](np.float32(1) / np.float32(np.abs(weight).max()))
        factor = np.float32(ROUND[dtype](reciprocal * np.float32(E4M3_MAX * E2M1_MAX)))
        codes, scale = nvfp4_codes(weight, factor, dtype)
        stored = [
            integers(f"{module}.weight_packed", "U8", codes),
            integers(f"{module}.weight_scale", "F8_E4M3", scale),
            floats(f"{module}.weight_global_scale", "F32", [factor]),
        ]
        if self.activations:
            stored.append(floats(f"{module}.input_global_scale", "F32", [factor / 8]))
        return tuple(stored)

    def decode(
        self,
        module: str,  # noqa: ARG002 - the tensors say all
        stored: Mapping[str, Tensor],
        shape: tuple[int, int],  # noqa: ARG002
        dtype: FloatDtype | None,
        fallback: FloatDtype,
    ) -> tuple[FloatDtype, NDArray[np.float64]]:
        """See `Scheme.decode`."""
        scale = numbers(stored["weight_scale"]) / numbers(stored["weight_global_scale"]).reshape(())
        codes = E2M1[packing.halves(octets(stored["weight_packed"]))]
        return rounded(codes * over_groups(scale, NVFP4_GROUP), dtype or fallback)


@dataclass(frozen=True, slots=True)
class Mx(Scheme):
    """mxfp4-pack-quantized, mxfp6-pack-quantized and mxfp8-quantized.

    Attributes:
        bits: 4, 6 or 8.
        scales: The dtype of the exponents.
        smallest: Whether the first group of each row has the exponent code 0, 2**-127, which float32 and BF16 hold as a
            subnormal number.
        tells_scales: Whether the configuration names the dtype of the scales, as it does since release 0.13.
        skip: Modules that stay dense.
    """

    bits: Literal[4, 6, 8] = 4
    scales: Literal["U8", "F8_E8M0"] = "U8"
    smallest: bool = False
    tells_scales: bool = True
    skip: tuple[str, ...] = ("lm_head",)

    @property
    def feature(self) -> str:
        """See `Scheme.feature`."""
        return "ct-mxfp"

    def skips(self, module: str) -> bool:
        """See `Scheme.skips`."""
        return module in self.skip

    def arguments(self) -> dict[str, Any]:
        """The arguments of the weights in a config group."""
        told = "torch.uint8" if self.tells_scales else None
        return ct_config.arguments(self.bits, "float", "group", group_size=MX_GROUP, scale_dtype=told, zp_dtype=told)

    def config(self) -> dict[str, Any]:
        """See `Scheme.config`."""
        form = _FORMS[self.bits][0]
        return ct_config.block(form, [ct_config.group(form, self.arguments())], self.skip)

    def encode(self, module: str, weight: NDArray[np.float64], dtype: FloatDtype) -> tuple[Tensor, ...]:  # noqa: ARG002
        """See `Scheme.encode`."""
        scale = exponent_codes(self._raised(largest(weight, MX_GROUP)) * 2.0 ** -_FORMS[self.bits][1])
        steps = weight / over_groups(powers_of_two(scale), MX_GROUP)
        if self.smallest:
            scale[:, 0] = 0
        name, kind, codes = self._codes(steps)
        return (
            integers(f"{module}.{name}", kind, codes),
            integers(f"{module}.weight_scale", self.scales, scale),
        )

    def _raised(self, magnitudes: Grid) -> NDArray[np.float64]:
        """Magnitudes that a code would round up to a power of two, at that power; the producer takes E2M1 for E4M3."""
        fraction, exponent = np.frexp(magnitudes.astype(np.float64))
        step = 2.0**-5 if self.bits == _E2M3_BITS else 2.0**-3
        return np.where(fraction >= 1 - step, np.ldexp(1.0, exponent), magnitudes)

    def _codes(self, steps: NDArray[np.float64]) -> tuple[str, str, NDArray[np.uint8]]:
        """The suffix, the dtype and the bytes of the codes."""
        if self.bits == _E4M3_BITS:
            return "weight", "F8_E4M3", encode_e4m3(steps)
        if self.bits == _E2M3_BITS:
            stream = np.unpackbits(nearest(steps, E2M3)[:, :, None], axis=2, bitorder="little")[:, :, :_E2M3_BITS]
            return "weight_packed", "U8", np.packbits(stream.reshape(len(steps), -1), axis=1, bitorder="little")
        return "weight_packed", "U8", packing.nibbles(nearest(steps, E2M1))

    def decode(
        self,
        module: str,  # noqa: ARG002 - the tensors say all
        stored: Mapping[str, Tensor],
        shape: tuple[int, int],
        dtype: FloatDtype | None,
        fallback: FloatDtype,
    ) -> tuple[FloatDtype, NDArray[np.float64]]:
        """See `Scheme.decode`."""
        scale = powers_of_two(octets(stored["weight_scale"]))
        return rounded(self._numbers(stored, shape[1]) * over_groups(scale, MX_GROUP), dtype or fallback)

    def _numbers(self, stored: Mapping[str, Tensor], columns: int) -> Grid:
        if self.bits == _E4M3_BITS:
            return numbers(stored["weight"])
        packed = octets(stored["weight_packed"])
        if self.bits == _E2M3_BITS:
            stream = np.unpackbits(packed, axis=1, bitorder="little").reshape(len(packed), columns, _E2M3_BITS)
            return np.asarray(E2M3[(stream.astype(np.int64) << np.arange(_E2M3_BITS)).sum(axis=2)])
        return np.asarray(E2M1[packing.halves(packed)])
