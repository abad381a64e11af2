"""The ``quantization_config`` of compressed-tensors, as llm-compressor 0.14 writes it with compressed-tensors 0.19.

Source: https://github.com/vllm-project/compressed-tensors, ``quantization/quant_config.py`` and ``quant_args.py``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: The release that the blocks name where a scheme names none.
VERSION = "0.19.0"


def arguments(bits: int, kind: str, strategy: str, **more: Any) -> dict[str, Any]:
    """The arguments of a weight, every key written; `more` changes or adds some."""
    return {
        "actorder": None,
        "block_structure": None,
        "dynamic": False,
        "group_size": None,
        "num_bits": bits,
        "observer": "memoryless_minmax",
        "observer_kwargs": {},
        "scale_dtype": None,
        "strategy": strategy,
        "symmetric": True,
        "type": kind,
        "zp_dtype": None,
        **more,
    }


def group(form: str, weights: Mapping[str, Any], targets: Sequence[str] = ("Linear",)) -> dict[str, Any]:
    """One config group of weights alone."""
    return {
        "format": form,
        "input_activations": None,
        "output_activations": None,
        "targets": list(targets),
        "weights": dict(weights),
    }


def block(
    form: str,
    groups: Sequence[Mapping[str, Any]],
    ignore: Sequence[str],
    *,
    version: str = VERSION,
    sparsity: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The whole block.

    Args:
        form: The format of all groups, or ``mixed-precision``.
        groups: The config groups.
        ignore: Modules that stay dense.
        version: The release that is said to have written it.
        sparsity: The ``sparsity_config``.
    """
    return {
        "config_groups": {f"group_{number}": dict(each) for number, each in enumerate(groups)},
        "format": form,
        "global_compression_ratio": None,
        "ignore": list(ignore),
        "kv_cache_scheme": None,
        "quant_method": "compressed-tensors",
        "quantization_status": "compressed",
        "sparsity_config": dict(sparsity or {}),
        "transform_config": {},
        "version": version,
    }
