"""The producers of quantized checkpoints: the script of each, and the virtual environment that it runs in. No torch.

Their pins clash (llm-compressor asks for an older transformers than bitsandbytes is tested with, gptqmodel for a newer
torch than it needs), so each has an environment of its own in the cache, made on first use from a constraints file.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_HERE = Path(__file__).resolve().parent


@dataclass(frozen=True, slots=True)
class Producer:
    """One producer.

    Attributes:
        name: The name of its environment in the cache.
        script: What writes a form. It takes ``--source``, ``--output``, ``--scheme``, ``--text`` and ``--layers``.
        pins: The constraints file of the environment.
        installs: Arguments of pip, one installation after the other.
        packages: The packages whose versions are noted beside a form.
        environment: Variables that it needs.
    """

    name: str
    script: Path
    pins: Path
    installs: tuple[tuple[str, ...], ...]
    packages: tuple[str, ...]
    environment: tuple[tuple[str, str], ...] = ()


# torch by itself first: the others ask for it without saying which build, and would take the one with CUDA.
_TORCH = ("torch",)

#: Every producer, by name.
PRODUCERS: Mapping[str, Producer] = MappingProxyType(
    {
        producer.name: producer
        for producer in (
            Producer(
                "producer",
                _HERE / "produce_quantized.py",
                _HERE / "constraints-producer.txt",
                (_TORCH, ("llmcompressor",)),
                ("torch", "transformers", "llmcompressor", "compressed-tensors", "safetensors"),
            ),
            Producer(
                "producer-plugins",
                _HERE / "produce_plugins.py",
                _HERE / "constraints-producer-plugins.txt",
                (_TORCH, ("transformers", "accelerate", "bitsandbytes", "torchao", "optimum-quanto", "hqq")),
                ("torch", "transformers", "bitsandbytes", "torchao", "optimum-quanto", "hqq", "safetensors"),
            ),
            Producer(
                "producer-gptqmodel",
                _HERE / "produce_gptq.py",
                _HERE / "constraints-producer-gptqmodel.txt",
                # It asks for torch 2.14.1, and runs with 2.13: so what else it asks for comes first, and it without.
                (
                    ("numpy", "setuptools", *_TORCH),
                    (
                        *("transformers", "accelerate", "torchao", "safetensors", "datasets", "dill", "jinja2"),
                        *("pillow", "protobuf", "pyarrow", "requests", "threadpoolctl", "ninja"),
                        *("defuser", "device-smi", "logbar", "pypcre", "tokenicer"),
                    ),
                    ("--no-deps", "--no-build-isolation", "gptqmodel"),
                ),
                ("torch", "transformers", "gptqmodel", "safetensors"),
                # Its default for two cores is one worker, with which it refuses to start.
                (("GPTQMODEL_CPU_WORKERS", "2"),),
            ),
        )
    },
)
