"""NVIDIA ModelOpt: FP8 with one scale, and NVFP4 with a global scale that multiplies.

FP8: ``weight`` F8_E4M3 ``[out, in]``, ``weight_scale`` F32 ``[]``, ``input_scale`` F32 ``[]``.
NVFP4: ``weight`` U8 ``[out, in / 2]`` of E2M1, the low nibble the even column; ``weight_scale`` F8_E4M3
``[out, in / 16]``; ``weight_scale_2`` F32 ``[]``: ``w = code * (scale * scale_2)``.
The settings stand in ``hf_quant_config.json``, and since 2025 in ``config.json`` as well.
Source: https://github.com/NVIDIA/Model-Optimizer, ``modelopt/torch/export`` and
``modelopt/torch/quantization/qtensor/nvfp4_tensor.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from conformance.tools.encode import E4M3, E4M3_MAX, encode_e4m3
from conformance.tools.schemes import bits as packing
from conformance.tools.schemes.ct_micro import E2M1_MAX, NVFP4_GROUP, nvfp4_codes, over_groups
from conformance.tools.schemes.parts import floats, integers, numbers, octets, rounded
from conformance.tools.schemes.scheme import Scheme
from conformance.tools.schemes.small_floats import E2M1

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from conformance.tools.encode import FloatDtype
    from conformance.tools.stored import Tensor


@dataclass(frozen=True, slots=True)
class ModelOpt(Scheme):
    """FP8 or NVFP4 of ModelOpt.

    Attributes:
        algorithm: ``FP8`` or ``NVFP4``.
        places: The files that hold the settings.
        skip: Modules that stay dense.
    """

    algorithm: Literal["FP8", "NVFP4"] = "NVFP4"
    places: tuple[Literal["config.json", "hf_quant_config.json"], ...] = ("config.json", "hf_quant_config.json")
    skip: tuple[str, ...] = ("lm_head",)

    @property
    def feature(self) -> str:
        """See `Scheme.feature`."""
        return "modelopt"

    def skips(self, module: str) -> bool:
        """See `Scheme.skips`."""
        return module in self.skip

    def config(self) -> dict[str, Any]:
        """See `Scheme.config`."""
        if "config.json" not in self.places:
            return {}
        return {
            "ignore": list(self.skip),
            "producer": {"name": "modelopt", "version": "0.33.0"},
            "quant_algo": self.algorithm,
            "quant_method": "modelopt",
        }

    def beside(self, modules: tuple[str, ...]) -> dict[str, Any]:  # noqa: ARG002 - it lists those that are dense
        """See `Scheme.beside`."""
        if "hf_quant_config.json" not in self.places:
            return {}
        settings = {
            "exclude_modules": list(self.skip),
            "group_size": NVFP4_GROUP if self.algorithm == "NVFP4" else None,
            "kv_cache_quant_algo": None,
            "quant_algo": self.algorithm,
        }
        producer = {"name": "modelopt", "version": "0.33.0"}
        return {"hf_quant_config.json": {"producer": producer, "quantization": settings}}

    def encode(self, module: str, weight: NDArray[np.float64], dtype: FloatDtype) -> tuple[Tensor, ...]:  # noqa: ARG002
        """See `Scheme.encode`."""
        largest = np.float32(np.abs(weight).max())
        activations = floats(f"{module}.input_scale", "F32", np.float64(0.03125))
        if self.algorithm == "FP8":
            scale = largest / np.float32(E4M3_MAX)
            return (
                integers(f"{module}.weight", "F8_E4M3", encode_e4m3(weight.astype(np.float32) / scale)),
                floats(f"{module}.weight_scale", "F32", np.float64(scale)),
                activations,
            )
        second = largest / np.float32(E4M3_MAX * E2M1_MAX)
        codes, block_scale = nvfp4_codes(weight, np.float32(1) / second)
        return (
            integers(f"{module}.weight", "U8", codes),
            integers(f"{module}.weight_scale", "F8_E4M3", block_scale),
            floats(f"{module}.weight_scale_2", "F32", np.float64(second)),
            activations,
        )

    def decode(
        self,
        module: str,  # noqa: ARG002 - the tensors say all
        stored: Mapping[str, Tensor],
        shape: tuple[int, int],  # noqa: ARG002
        dtype: FloatDtype | None,
        fallback: FloatDtype,
    ) -> tuple[FloatDtype, NDArray[np.float64]]:
        """See `Scheme.decode`."""
        scale = numbers(stored["weight_scale"])
        if self.algorithm == "FP8":
            return rounded(E4M3[octets(stored["weight"])] * scale.reshape(()), dtype or fallback)
        whole = scale * numbers(stored["weight_scale_2"]).reshape(())
        codes = E2M1[packing.halves(octets(stored["weight"]))]
        return rounded(codes * over_groups(whole, NVFP4_GROUP), dtype or fallback)
