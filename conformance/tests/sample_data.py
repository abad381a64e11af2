"""What the sample reports are made of: 66 cases by area, and nine loaders with what each gets wrong. Made up."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_FORMAT = ("The format of safetensors", "https://github.com/safetensors/safetensors#format")
_LLAMA = (
    "Llama in transformers",
    "https://github.com/huggingface/transformers/blob/main/src/transformers/models/llama/modeling_llama.py",
)
SOURCES: Mapping[str, tuple[str, str]] = {
    "container": _FORMAT,
    "checkpoint": ("Stale copies in other shards", "https://github.com/vllm-project/vllm/pull/54230"),
    "weights": ("The formats of compressed-tensors", "https://github.com/vllm-project/compressed-tensors"),
    "parallel": _LLAMA,
    "model": _LLAMA,
    "analysis": _FORMAT,
    "limits": ("mlx read past the end of a short file", "https://github.com/ml-explore/mlx/issues/3409"),
}

#: By area: slug, title, and what is expected. ``-`` before a slug: to be refused.
CASES: Mapping[str, str] = {
    "container": """
        plain | A sound file of three tensors, in the order of the header
        -hole | Eight bytes between two tensors belong to none | hole
        -overlap | Two tensors share bytes 8 to 16 | overlap
        -shared-range | Two names own the same range | overlap
        -trailing-byte | One byte follows the last tensor | trailing_bytes
        -truncated | The file ends four bytes into a tensor of 4,000,000 | truncated
        -duplicate-key | The header names w twice, with other shapes of the same bytes | duplicate_key
        -duplicate-escaped | The header names w twice, once spelled with an escape | duplicate_key
        -length-beyond | The length word is larger than the file | header_length
        -length-huge | The length word is 2^64 - 1 | header_length
        -shape-overflow | The product of a shape wraps around 64 bits to a number that fits | overflow
        -float-offsets | The offsets are written as 6.0 | header_entry
        -metadata-number | __metadata__ holds a number | metadata
        -bom | A byte order mark stands before the brace | header_json
        shuffled | The entries of the header are not in the order of the offsets
        odd-header | The header is 57 bytes long, and the data begin at an odd byte
        empty-tensor | A tensor without elements lies between two others
        scalar | A tensor of rank 0
        no-metadata | The header has no __metadata__
        empty-metadata | __metadata__ is an empty object
        all-dtypes | One tensor of each of the 22 dtypes
        bool-bytes | A BOOL tensor with bytes above 1
        whitespace | Spaces stand before the brace
    """,
    "checkpoint": """
        sharded | Three shards and an index
        -stale-copy | Another shard holds a stale copy of a tensor, which sorts last | duplicate_tensor
        -stale-first | Another shard holds a stale copy of a tensor, which sorts first | duplicate_tensor
        -missing-shard | The index names a shard that is not there | missing_shard
        -broken-promise | A shard lacks a tensor that the index promises | broken_promise
        -path-escape | The index names ../outside.safetensors | path_escape
        -absolute | The index names an absolute path | path_escape
        -shard-gap | Shards 1 and 3 of 3, without an index | shard_gap
        cache-links | Every file is a link into the blobs of a cache
        index-of-one | The index names model.safetensors alone
        -pickle-only | There is pytorch_model.bin alone | pickle
        consolidated | The files of Meta lie beside those of Hugging Face
    """,
    "weights": """
        dense | A dense BF16 checkpoint of twelve layers
        -missing | Layer 7 has no down_proj | missing_tensor
        -shape | up_proj is transposed | shape
        -unexpected | A tensor that no layer has | unexpected_tensor
        tied | The embedding serves as the head
        tied-stored | The flag is true, and another head is stored
        int8 | compressed-tensors, int8, a scale a channel
        -int8-no-scales | int8 weights without their scales | missing_scale
        fp8-block | FP8 in blocks of 128, the last one partial
        gptq-v1 | GPTQ with the zeros of version 1
        awq | AWQ gemm, group size 32
        -scale-nan | A scale is not a number | scale_value
        scales-apart | The scales lie in another shard than the weights
        cast-f16 | BF16 read as F16, with values that only F32 holds
    """,
    "parallel": """
        two-ranks | Two ranks, sizes that divide
        uneven | Three ranks, a vocabulary that does not divide
        kv-shared | Six ranks, two kv heads
        -heads | Four ranks, six heads | indivisible
        -rank | Rank 2 of 2 | rank
    """,
    "model": """
        default | Logits at positions 0 to 15
        rope-llama3 | llama3 scaling, at position 4096
        rope-parameters | theta stands in rope_parameters
        permuted | Rows of k_proj with two kv heads
        -rope-unknown | A rope type that nobody knows | rope_type
        bias | Biases beside the projections
    """,
    "analysis": """
        parameters | Parameters of a tied checkpoint
        bytes | Bytes by dtype
        scheme | The scheme of an AWQ checkpoint
    """,
    "limits": """
        zero-copy | A file of 256 MiB, read with one copy at most
        descriptors | No descriptor is left open after three loads
        -huge-header | A header of 90 MB of spaces | header_json
    """,
}
SEVERITIES = ("silent corruption", "security", "crash or false reject", "resource", "bad message")


@dataclass(frozen=True)
class Sample:
    """A loader that is made up.

    Attributes:
        name: Its name.
        version: Its version.
        levels: The levels that it claims; all others are not claimed.
        wrong: By case: the verdict, and what the loader did. The rest is passed.
        known: The cases of those that a baseline excuses.
    """

    name: str
    version: str
    levels: tuple[str, ...]
    wrong: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    known: tuple[str, ...] = ()


_READING = ("container", "limits")
_LOADING = ("checkpoint", "weights", "model")
_STALE = ("wrong_values", "1 of 111 tensors differ: model.layers.3.mlp.up_proj.weight has other bytes")
LOADED = ("accepts_invalid", "loaded, without an error")
_MLX = ("hole", "overlap", "shared-range", "trailing-byte", "duplicate-key", "duplicate-escaped")
SAMPLES: tuple[Sample, ...] = (
    Sample("inferno", "0.1.0", (*_READING, *_LOADING, "parallel", "analysis")),
    Sample(
        "safetensors",
        "0.8.0",
        _READING,
        {
            "container/duplicate-key": LOADED,
            "container/duplicate-escaped": LOADED,
            "container/float-offsets": (
                "wrong_reason",
                "refused for header_json (SafetensorError: invalid type: floating point)",
            ),
        },
    ),
    Sample(
        "transformers",
        "5.23.0",
        _LOADING,
        {
            "checkpoint/stale-copy": _STALE,
            "checkpoint/path-escape": LOADED,
            "checkpoint/absolute": LOADED,
            "checkpoint/shard-gap": LOADED,
            "weights/missing": (
                "wrong_values",
                "1 of 111 tensors differ: model.layers.7.mlp.down_proj.weight has other bytes",
            ),
            "weights/int8-no-scales": LOADED,
            "weights/scale-nan": LOADED,
            "weights/tied-stored": ("wrong_values", "1 of 111 tensors differ: lm_head.weight has other bytes"),
            "weights/fp8-block": ("rejects_valid", "refused with ValueError: needs a GPU"),
            "model/rope-parameters": (
                "wrong_values",
                "the logits are off by 3.1e-01 of the largest, most at position 15",
            ),
        },
    ),
    Sample(
        "accelerate",
        "1.19.0",
        ("checkpoint", "weights"),
        {
            "checkpoint/stale-copy": _STALE,
            "checkpoint/broken-promise": LOADED,
            "checkpoint/path-escape": LOADED,
            "weights/missing": LOADED,
            "weights/awq": ("rejects_valid", "refused with KeyError: 'qweight'"),
        },
        known=("weights/awq",),
    ),
    Sample(
        "fastsafetensors",
        "0.5.0",
        _READING,
        {
            "container/trailing-byte": LOADED,
            "container/empty-metadata": ("rejects_valid", "refused with KeyError: 'data_offsets'"),
            "container/length-huge": ("crash", "ended by signal 6 (SIGABRT)"),
            "container/all-dtypes": ("rejects_valid", "refused with ValueError: F6_E2M3"),
            "limits/zero-copy": ("over_limit", "grew by 512.3 MiB, allowed are 320.0 MiB"),
        },
    ),
    Sample(
        "runai-model-streamer",
        "0.16.2",
        _READING,
        {
            "container/shuffled": ("wrong_values", "2 of 3 tensors differ: a has other bytes, b has other bytes"),
            "container/truncated": ("hang", "no answer within 30 s"),
            "container/hole": LOADED,
            "container/overlap": LOADED,
            "limits/descriptors": ("over_limit", "left 3 descriptors open, allowed are 0"),
        },
    ),
    Sample(
        "tinygrad",
        "0.13.0",
        _READING,
        {
            "container/scalar": ("adapter_error", "a tensor of the answer lacks its shape"),
            "container/truncated": ("wrong_values", "1 of 2 tensors differ: a has other bytes"),
            "container/bom": LOADED,
        },
    ),
    Sample(
        "mlx",
        "0.32.0",
        _READING,
        {
            **dict.fromkeys((f"container/{slug}" for slug in _MLX), LOADED),
            "container/truncated": ("crash", "ended by signal 7 (SIGBUS)"),
            "limits/huge-header": ("suite_error", "the store is full"),
        },
    ),
    Sample(
        "naive",
        "1",
        ("checkpoint", "weights", "parallel"),
        {
            "checkpoint/stale-copy": _STALE,
            "checkpoint/stale-first": _STALE,
            "checkpoint/missing-shard": LOADED,
            "checkpoint/broken-promise": LOADED,
            "weights/int8-no-scales": LOADED,
            "parallel/heads": LOADED,
            "parallel/rank": ("crash", "ended by signal 11 (SIGSEGV)"),
        },
    ),
)
TRANSCRIPTS = {
    "crash": 'Fatal Python error: Bus error\n\nCurrent thread (most recent call first):\n  File "loader.py", line 88',
    "wrong_values": "Some weights were not initialized from the checkpoint and are newly initialized.",
}
