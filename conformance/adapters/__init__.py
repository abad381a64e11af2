"""The loaders that are built in: which adapter each has, what it needs, and where it runs. No library is imported here.

An adapter observes its loader: it asks as the documentation of the loader shows, hands out what comes back, and neither
checks nor repairs it. It never sees what is expected.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """A loader that is built in.

    Attributes:
        text: ``module:attribute`` of its adapter.
        libraries: The modules that must be there for it to be imported.
        extra: The extra of this package that installs them; None where they come with the package itself.
        environment: The environment of its own in which it runs where they are not installed beside the suite, a key of
            `environments.ENVIRONMENTS`; None for none.
        by_hand: Whether what it needs takes minutes to be made ready, or is in the way of others, so that a matrix of
            all loaders goes without it, and says so, where that has not been done.
    """

    text: str
    libraries: tuple[str, ...]
    extra: str | None = None
    environment: str | None = None
    by_hand: bool = False

    @property
    def absent(self) -> tuple[str, ...]:
        """Those of the modules that are not installed beside the suite."""
        return tuple(library for library in self.libraries if not _installed(library))


def _installed(library: str) -> bool:
    try:
        return importlib.util.find_spec(library) is not None
    except ModuleNotFoundError:  # of the package that it would be in
        return False


def _here(
    text: str, *libraries: str, extra: str | None = None, environment: str | None = None, by_hand: bool = False
) -> BuiltIn:
    return BuiltIn(f"{__name__}.{text}", libraries, extra, environment, by_hand)


#: Every loader that is built in, by name, in the order in which the matrix shows them.
BUILT_IN: Mapping[str, BuiltIn] = MappingProxyType(
    {
        "inferno": _here("inferno:Inferno", "inferno_loader", "torch", "safetensors"),
        "safetensors": _here("safetensors_file:SafetensorsFile", "safetensors", "torch"),
        "safetensors-bytes": _here("safetensors_bytes:SafetensorsBytes", "safetensors", "torch"),
        "transformers": _here("transformers_model:Transformers", "transformers", "torch", extra="transformers"),
        "compressed-tensors": _here(
            "compressed_tensors_model:CompressedTensors",
            *("compressed_tensors", "transformers", "torch"),
            extra="compressed-tensors",
        ),
        "gguf": _here("gguf_reader:Gguf", "gguf", extra="gguf"),
        "hqq": _here("hqq_linear:Hqq", "hqq", "transformers", "torch", extra="hqq", by_hand=True),
        "optimum-quanto": _here(
            "optimum_quanto_model:OptimumQuanto",
            *("optimum.quanto", "transformers", "torch"),
            extra="optimum-quanto",
            by_hand=True,
        ),
        "gptqmodel": _here(
            "gptqmodel_model:Gptqmodel", "gptqmodel", "transformers", environment="gptqmodel", by_hand=True
        ),
        "accelerate": _here("accelerate_model:Accelerate", "accelerate", "transformers", "torch", extra="accelerate"),
        "huggingface_hub": _here(
            "huggingface_hub_torch:HuggingfaceHub", "huggingface_hub", "transformers", "torch", extra="huggingface-hub"
        ),
        "torch-dcp": _here("torch_dcp:TorchDcp", "transformers", "torch", extra="torch-dcp"),
        "fastsafetensors": _here(
            "fastsafetensors_cpu:Fastsafetensors", "fastsafetensors", "torch", extra="fastsafetensors"
        ),
        "runai-model-streamer": _here(
            "runai_streamer:RunaiModelStreamer", "runai_model_streamer", "torch", extra="runai-model-streamer"
        ),
        "tinygrad": _here("tinygrad_state:Tinygrad", "tinygrad", extra="tinygrad"),
        "mlx": _here("mlx_core:Mlx", "mlx", extra="mlx", environment="mlx"),
        "mlx-lm": _here("mlx_lm_model:MlxLm", "mlx", "mlx_lm", extra="mlx", environment="mlx"),
        "naive": _here("naive:Naive", "safetensors", "torch"),
    },
)
