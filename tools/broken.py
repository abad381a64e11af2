"""The registry of broken checkpoints: named ways to break a sound directory, each with the error that it calls for.

    recipe.build(recipe.NAMED[BREAKAGES["hole"].base], directory)
    BREAKAGES["hole"].apply(directory)

Every way is deterministic, edits bytes and JSON without any loader, and leaves everything else sound.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from conformance.tools import broken_files as files
from conformance.tools import broken_tensors as tensors

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Breakage:
    """One way to break a checkpoint.

    Attributes:
        name: A stable word.
        description: What is wrong afterwards, in one sentence.
        apply: Breaks the directory in place.
        expected_code: The code of the error that a loader owes its caller, one of ``inferno_loader/errors.py``.
        base: The recipe, by its name in ``recipe.NAMED``, whose checkpoint it breaks.
    """

    name: str
    description: str
    apply: Callable[[Path], None]
    expected_code: str
    base: str


_SINGLE, _SHARDED, _INDEXLESS, _QUANTIZED = "bf16-single", "bf16-sharded", "indexless", "w8a8"

_WAYS: tuple[tuple[Callable[[Path], None], str, str], ...] = (
    (files.missing_file, "checkpoint.no_weights", _SINGLE),
    (files.incomplete_file, "checkpoint.no_weights", _SINGLE),
    (files.only_pickles, "checkpoint.pickle", _SHARDED),
    (files.empty_file, "file.truncated", _SINGLE),
    (files.truncated_by_one, "file.truncated", _SINGLE),
    (files.trailing_byte, "file.trailing", _SINGLE),
    (files.lfs_pointer, "file.not_safetensors", _SINGLE),
    (files.html_page, "file.not_safetensors", _SINGLE),
    (files.gguf_magic, "file.not_safetensors", _SINGLE),
    (files.zip_file, "file.not_safetensors", _SINGLE),
    (files.unfinished_download, "file.not_safetensors", _SINGLE),
    (files.header_length_2_62, "header.too_large", _SINGLE),
    (files.header_too_large, "header.too_large", _SINGLE),
    (files.bad_json_header, "header.json", _SINGLE),
    (files.not_utf8_header, "header.json", _SINGLE),
    (files.unknown_dtype, "header.dtype", _SINGLE),
    (files.shape_overflow, "header.size", _SINGLE),
    (files.size_mismatch, "header.size", _SINGLE),
    (files.hole, "header.hole", _SINGLE),
    (files.overlap, "header.overlap", _SINGLE),
    (files.duplicate_name_in_header, "header.duplicate", _SINGLE),
    (tensors.missing_shard, "index.missing_shard", _SHARDED),
    (tensors.index_promises_absent, "index.promise", _SHARDED),
    (tensors.index_parent_path, "index.escape", _SHARDED),
    (tensors.index_absolute_path, "index.escape", _SHARDED),
    (tensors.bad_json_index, "index.invalid", _SHARDED),
    (tensors.ambiguous_single_and_index, "checkpoint.ambiguous", _SHARDED),
    (tensors.duplicate_across_shards, "shards.duplicate", _INDEXLESS),
    (tensors.shard_gap, "shards.incomplete", _INDEXLESS),
    (tensors.missing_tensor, "plan.missing", _SHARDED),
    (tensors.layer_missing, "plan.missing", _SHARDED),
    (tensors.unexpected_tensor, "plan.unexpected", _SHARDED),
    (tensors.extra_layer, "plan.unexpected", _SHARDED),
    (tensors.wrong_shape, "plan.shape", _SHARDED),
    (tensors.vocab_mismatch, "plan.shape", _SHARDED),
    (tensors.wrong_dtype, "plan.dtype", _SHARDED),
    (tensors.integer_weight_without_scale, "quant.undeclared_codes", _SHARDED),
    (tensors.missing_scale, "quant.missing_scale", _QUANTIZED),
    (tensors.unused_scale, "quant.unused_scale", _SHARDED),
    (tensors.nan_scale, "quant.scale", _QUANTIZED),
    (tensors.infinite_scale, "quant.scale", _QUANTIZED),
    (tensors.unknown_scheme, "quant.unknown_scheme", _QUANTIZED),
    (tensors.unknown_rope_type, "config.rope_type", _SINGLE),
    (tensors.heads_not_divisible, "config.value", _SINGLE),
    (tensors.config_missing, "config.missing", _SINGLE),
    (tensors.config_not_json, "config.invalid", _SINGLE),
)

#: Every way by its name, which is that of its function; the description is the function's docstring.
BREAKAGES: Mapping[str, Breakage] = MappingProxyType(
    {way.__name__: Breakage(way.__name__, way.__doc__ or "", way, code, base) for way, code, base in _WAYS},
)
