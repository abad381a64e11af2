"""What an adapter can say that it does: the levels, which follow from its methods, and the features that it claims."""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Level(StrEnum):
    """How much of loading a case asks for, from bytes to logits."""

    CONTAINER = "container"
    CHECKPOINT = "checkpoint"
    WEIGHTS = "weights"
    PARALLEL = "parallel"
    MODEL = "model"
    ANALYSIS = "analysis"


#: The method of an adapter that a level calls.
METHODS: Mapping[Level, str] = MappingProxyType(
    {
        Level.CONTAINER: "read_file",
        Level.CHECKPOINT: "read_checkpoint",
        Level.WEIGHTS: "load_weights",
        Level.PARALLEL: "load_shard",
        Level.MODEL: "logits",
        Level.ANALYSIS: "describe",
    },
)

#: The method of the container level that gets the bytes of a file and not its name; the claim ``bytes`` goes with it.
READ_BYTES = "read_bytes"

#: What the claims of a scheme begin with.
QUANTIZED = "quant:"
#: The claim that takes back: with it, no case of a dense checkpoint is claimed.
QUANTIZED_ALONE = f"{QUANTIZED}alone"

#: The dtypes of the safetensors container, as its headers name them.
CONTAINER_DTYPES: tuple[str, ...] = (
    "BOOL", "U8", "I8", "U16", "I16", "U32", "I32", "U64", "I64", "F16", "BF16", "F32", "F64", "C64",
    "F8_E4M3", "F8_E5M2", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "F8_E8M0", "F4", "F6_E2M3", "F6_E3M2",
)  # fmt: skip

_QUANTIZED: Mapping[str, str] = {
    "ct-int": "compressed-tensors, int-quantized and naive",
    "ct-float": "compressed-tensors, float-quantized (FP8)",
    "ct-pack": "compressed-tensors, pack-quantized (1 to 8 bits)",
    "ct-nvfp4": "compressed-tensors, NVFP4",
    "ct-mxfp": "compressed-tensors, MXFP4, MXFP6 and MXFP8",
    "ct-sparse": "compressed-tensors, 2:4 and bitmask sparsity",
    "gptq": "GPTQ, v1 and v2",
    "awq": "AWQ, gemm and gemv",
    "bnb": "bitsandbytes, int8, nf4 and fp4",
    "fp8-block": "FP8 of transformers, AutoFP8 and DeepSeek, in blocks and with one scale",
    "fbgemm": "FBGEMM FP8",
    "modelopt": "ModelOpt FP8 and NVFP4",
    "mxfp4": "gpt-oss MXFP4 blocks",
    "torchao": "torchao",
    "quanto": "quanto",
    "hqq": "HQQ",
    "gguf": "GGUF",
}

#: Every feature that may be claimed, with its meaning in a line.
FEATURES: Mapping[str, str] = MappingProxyType(
    {
        "bytes": "a file that has been read already, handed over as bytes to read_bytes",
        "sharded": "checkpoints in several files, with an index",
        "indexless": "checkpoints in several files, without an index",
        "tied": "one tensor that serves as embedding and head",
        "cast": "a dtype asked for by the caller",
        "bias": "biases beside the projections",
        "family:mistral": "configurations of the mistral family",
        **{
            f"rope:{kind}": f"rotary embeddings of type {kind}"
            for kind in ("default", "linear", "dynamic", "llama3", "yarn", "longrope")
        },
        **{f"dtype:{dtype}": f"tensors stored as {dtype}" for dtype in CONTAINER_DTYPES},
        **{f"{QUANTIZED}{scheme}": meaning for scheme, meaning in _QUANTIZED.items()},
        QUANTIZED_ALONE: "quantized checkpoints and no others: nothing dense is claimed",
        "parallel:quantized": "slices of quantized weights",
    },
)
