"""Why a checkpoint is refused: one code for each kind of defect, shared by all loaders and all languages.

An adapter may map the native errors of its loader to these codes (`reason`); only then is the reason judged.
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """The reason codes. They are public: one may be added, none is renamed."""

    # The file as such.
    MISSING_FILE = "missing_file"
    NOT_SAFETENSORS = "not_safetensors"
    TRUNCATED = "truncated"
    TRAILING_BYTES = "trailing_bytes"
    # Its header.
    HEADER_LENGTH = "header_length"
    HEADER_JSON = "header_json"
    HEADER_ENTRY = "header_entry"
    METADATA = "metadata"
    UNKNOWN_DTYPE = "unknown_dtype"
    SIZE_MISMATCH = "size_mismatch"
    OVERFLOW = "overflow"
    HOLE = "hole"
    OVERLAP = "overlap"
    DUPLICATE_KEY = "duplicate_key"
    # The directory and its index.
    NO_WEIGHTS = "no_weights"
    PICKLE = "pickle"
    AMBIGUOUS_WEIGHTS = "ambiguous_weights"
    INDEX_INVALID = "index_invalid"
    PATH_ESCAPE = "path_escape"
    MISSING_SHARD = "missing_shard"
    BROKEN_PROMISE = "broken_promise"
    SHARD_GAP = "shard_gap"
    DUPLICATE_TENSOR = "duplicate_tensor"
    # The tensors that a model needs.
    MISSING_TENSOR = "missing_tensor"
    UNEXPECTED_TENSOR = "unexpected_tensor"
    SHAPE = "shape"
    DTYPE = "dtype"
    # Quantization.
    MISSING_SCALE = "missing_scale"
    UNUSED_SCALE = "unused_scale"
    SCALE_VALUE = "scale_value"
    UNKNOWN_SCHEME = "unknown_scheme"
    SCHEME_CONFLICT = "scheme_conflict"
    # The configuration.
    CONFIG_MISSING = "config_missing"
    CONFIG_INVALID = "config_invalid"
    CONFIG_VALUE = "config_value"
    ROPE_TYPE = "rope_type"
    FAMILY = "family"
    # Parallel loading.
    INDIVISIBLE = "indivisible"
    RANK = "rank"
