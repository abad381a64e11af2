"""Recipes: what a synthetic Llama checkpoint is to hold, from which the same bytes always come. No loader, no torch.

    python -m conformance.tools.recipe --list
    python -m conformance.tools.recipe bf16-sharded /tmp/checkpoint

A recipe is data; `build` makes the directory, and with it the digest of every tensor, as stored and as a loader must
hand it out. Both come from the closed form of `values` and the formula of `encode`, never from a loader.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from conformance.tools.building import Built, Expected, build
from conformance.tools.digest import short_key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from conformance.tools.container import Rule
    from conformance.tools.encode import FloatDtype, Strategy
    from conformance.tools.schemes.scheme import Scheme

__all__ = [
    "DEFAULT_CONFIG",
    "NAMED",
    "Built",
    "Expected",
    "Layout",
    "Quantization",
    "Recipe",
    "build",
    "default_recipes",
]

Dialect = Literal["huggingface", "meta"]
Head = Literal["auto", "own", "copy", "absent", "instead"]

#: Raised whenever the same recipe gives other bytes than before, so that no cache serves the old ones.
GENERATOR_VERSION = 1

# Figures that show bugs: heads / kv_heads is not kv_heads, head_dim is not hidden / heads, no size divides by 8, and
# with twelve layers the order of strings is not that of numbers.
DEFAULT_CONFIG: Mapping[str, Any] = MappingProxyType(
    {
        "architectures": ["LlamaForCausalLM"],
        "attention_bias": False,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "head_dim": 10,
        "hidden_act": "silu",
        "hidden_size": 54,
        "intermediate_size": 75,
        "max_position_embeddings": 512,
        "mlp_bias": False,
        "model_type": "llama",
        "num_attention_heads": 6,
        "num_hidden_layers": 12,
        "num_key_value_heads": 2,
        "rms_norm_eps": 1e-05,
        "rope_scaling": None,
        "rope_theta": 10000.0,
        "tie_word_embeddings": False,
        "vocab_size": 101,
    },
)
_TORCH_NAMES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}


@dataclass(frozen=True, slots=True)
class Layout:
    """How the tensors lie in files.

    Attributes:
        kind: ``single``, one file; ``by_size``, shards as transformers cuts them; ``by_count`` and ``shuffled``, a
            number of shards, in order or dealt out; ``indexless``, as ``by_count`` and without the index file.
        number: Bytes of a shard for ``by_size``, else how many shards.
    """

    kind: Literal["single", "by_size", "by_count", "shuffled", "indexless"] = "single"
    number: int = 1


@dataclass(frozen=True, slots=True)
class Quantization:
    """How the Linear weights are quantized, in the form of compressed-tensors.

    Attributes:
        kind: ``int8`` or ``fp8`` (E4M3).
        strategy: What one scale covers; ``group`` is for int8, ``block`` for fp8.
        symmetric: False stores a zero point beside each scale; int8 only.
        group_size: Columns of a group.
        block: Rows and columns of a block.
        activations: ``dynamic`` per token, ``static`` with a stored ``input_scale``, or none (weight only).
        skip: Modules that stay dense, by their whole name.
        scale_dtype: The dtype of the scales; None for that of the recipe.
    """

    kind: Literal["int8", "fp8"] = "int8"
    strategy: Strategy = "channel"
    symmetric: bool = True
    group_size: int | None = None
    block: tuple[int, int] | None = None
    activations: Literal["dynamic", "static"] | None = "dynamic"
    skip: tuple[str, ...] = ("lm_head",)
    scale_dtype: FloatDtype | None = None

    def __post_init__(self) -> None:
        """Reject what the encoders do not make.

        Raises:
            ValueError: Strategy, size and kind do not go together.
        """
        sized = {"group": self.group_size is not None, "block": self.block is not None}
        if sized != {kind: kind == self.strategy for kind in sized}:
            raise ValueError(f"strategy {self.strategy!r} with group size {self.group_size} and block {self.block}")
        if self.strategy == {"int8": "block", "fp8": "group"}[self.kind]:
            raise ValueError(f"no encoder makes {self.kind} with strategy {self.strategy!r}")
        if self.kind == "fp8" and not self.symmetric:
            raise ValueError("no encoder makes fp8 with zero points")

    def config(self) -> dict[str, Any]:
        """The ``quantization_config`` as llm-compressor 0.14 writes it, with compressed-tensors 0.19."""
        form = {"int8": "int-quantized", "fp8": "float-quantized"}[self.kind] if self.activations else "naive-quantized"
        group = {
            "format": form,
            "input_activations": self._activations() if self.activations else None,
            "output_activations": None,
            "targets": ["Linear"],
            "weights": self._weights(),
        }
        return {
            "config_groups": {"group_0": group},
            "format": form,
            "global_compression_ratio": None,
            "ignore": list(self.skip),
            "kv_cache_scheme": None,
            "quant_method": "compressed-tensors",
            "quantization_status": "compressed",
            "sparsity_config": {},
            "transform_config": {},
            "version": "0.19.0",
        }

    def _arguments(self, strategy: str, observer: str | None) -> dict[str, Any]:
        return {
            "actorder": None,
            "block_structure": None,
            "dynamic": False,
            "group_size": None,
            "num_bits": 8,
            "observer": observer,
            "observer_kwargs": {},
            "scale_dtype": None,
            "strategy": strategy,
            "symmetric": True,
            "type": {"int8": "int", "fp8": "float"}[self.kind],
            "zp_dtype": None,
        }

    def _weights(self) -> dict[str, Any]:
        return self._arguments(self.strategy, "memoryless_minmax") | {
            "block_structure": list(self.block) if self.block else None,
            "group_size": self.group_size,
            "symmetric": self.symmetric,
        }

    def _activations(self) -> dict[str, Any]:
        if self.activations == "static":
            return self._arguments("tensor", "minmax")
        return self._arguments("token", None) | {"dynamic": True}


@dataclass(frozen=True, slots=True)
class Recipe:
    """A checkpoint as data.

    Attributes:
        config: Changes to `DEFAULT_CONFIG`: other figures, rope settings, or keys of your own.
        omit: Keys that ``config.json`` does not have, though the tensors follow them.
        dtype: The dtype of the dense weights.
        dtypes: Exceptions: pairs of a pattern (``fnmatch``) on the Hugging Face name and a dtype; the last one counts.
        inv_freq: The dtype of stored ``rotary_emb.inv_freq`` buffers, None for none.
        head: The stored head. ``auto``: one of its own unless the configuration ties it; ``own``: always; ``copy``:
            one with the bytes of the embedding; ``absent``: none; ``instead``: the embedding, under the head's name.
        layout: How the tensors lie in files.
        quantization: How the Linear weights are quantized, in 8 bits or by any scheme; None for dense.
        dialect: The names and the row order of the stored tensors.
        seed: Another seed gives other values everywhere.
        rule: The writer whose header order and padding the files follow.
    """

    config: Mapping[str, Any] = field(default_factory=dict, hash=False)
    omit: tuple[str, ...] = ()
    dtype: FloatDtype = "BF16"
    dtypes: tuple[tuple[str, str], ...] = ()
    inv_freq: str | None = None
    head: Head = "auto"
    layout: Layout = Layout()
    quantization: Quantization | Scheme | None = None
    dialect: Dialect = "huggingface"
    seed: int = 0
    rule: Rule = "dtype-name-padded"

    def __post_init__(self) -> None:
        """Reject what no checkpoint has.

        Raises:
            ValueError: The Meta dialect is quantized, in shards, or with ``inv_freq`` buffers.
        """
        plain = self.quantization is None and self.inv_freq is None and self.layout.kind == "single"
        if self.dialect == "meta" and not plain:
            raise ValueError("the Meta dialect is dense and in one file here, consolidated.safetensors")

    @property
    def figures(self) -> dict[str, Any]:
        """Every figure that the tensors follow, whether ``config.json`` has it or not."""
        figures = {**DEFAULT_CONFIG, "torch_dtype": _TORCH_NAMES[self.dtype], **self.config}
        if self.quantization is not None and (block := self.quantization.config()):
            figures.setdefault("quantization_config", block)
        return figures

    def config_json(self) -> dict[str, Any]:
        """The contents of ``config.json``."""
        return {key: value for key, value in self.figures.items() if key not in self.omit}

    def key(self) -> str:
        """16 hexadecimal digits that are the same for the same recipe and generator, in every process."""
        facts = [GENERATOR_VERSION, asdict(replace(self, config={})), dict(self.config)]
        if not isinstance(self.quantization, Quantization | None):
            facts.append(type(self.quantization).__name__)  # the fields of two schemes may be alike
        return short_key(facts)


_SHARDED = Recipe(layout=Layout("by_size", 200_000), config={"num_key_value_heads": 3})
NAMED: Mapping[str, Recipe] = MappingProxyType(
    {
        "bf16-single": Recipe(config={"tie_word_embeddings": True}),
        "bf16-sharded": _SHARDED,
        "f16": Recipe(dtype="F16", config={"attention_bias": True, "mlp_bias": True}),
        "f32": Recipe(dtype="F32", layout=Layout("shuffled", 3)),
        "w8a8": replace(_SHARDED, quantization=Quantization("int8")),
        "fp8": replace(_SHARDED, quantization=Quantization("fp8")),
        "indexless": Recipe(layout=Layout("indexless", 3)),
        "meta": Recipe(dialect="meta"),
    },
)


def default_recipes() -> dict[str, Recipe]:
    """The two checkpoints of the demonstration: a BF16 Llama of 33 MB in four shards, and the same one in W8A8."""
    dense = Recipe(
        config={
            "head_dim": 48,
            "hidden_size": 390,
            "intermediate_size": 810,
            "max_position_embeddings": 1024,
            "rope_scaling": {
                "factor": 8.0,
                "high_freq_factor": 4.0,
                "low_freq_factor": 1.0,
                "original_max_position_embeddings": 128,
                "rope_type": "llama3",
            },
            "rope_theta": 500000.0,
            "vocab_size": 2003,
        },
        layout=Layout("by_size", 10_000_000),
        seed=1,
    )
    return {"llama-bf16": dense, "llama-w8a8": replace(dense, quantization=Quantization("int8"))}


def main(arguments: Sequence[str] | None = None) -> int:
    """Builds a named recipe, or lists the names. Returns the exit status."""
    known = {**NAMED, **default_recipes()}
    parser = argparse.ArgumentParser(prog="recipe", description="Build a synthetic Llama checkpoint.")
    parser.add_argument("name", nargs="?", choices=known, metavar="NAME", help="one of the names that --list prints")
    parser.add_argument(
        "directory", nargs="?", type=Path, metavar="DIR", help="where to build; made if it is not there"
    )
    parser.add_argument("--list", action="store_true", help="print the names, each with its key")
    options = parser.parse_args(arguments)
    if options.list:
        sys.stdout.writelines(f"{name}\t{recipe.key()}\n" for name, recipe in known.items())
        return 0
    if options.name is None or options.directory is None:
        parser.error("NAME and DIR are needed, or --list")
    built = build(known[options.name], options.directory)
    sys.stdout.write(f"{options.directory}: {len(built.expected)} tensors, {built.nbytes} bytes of data\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
