"""mlx-lm: a model by ``mlx_lm.utils.load_model``, on the CPU."""

from __future__ import annotations

import os
from importlib import metadata
from typing import TYPE_CHECKING, Any

from conformance.adapters.quiet import SWITCHES

os.environ.update(SWITCHES)

import mlx.core as mx
from mlx.utils import tree_flatten
from mlx_lm.utils import load_model

from conformance.adapters.messages import Rules, told
from conformance.adapters.mlx_core import RULES, raw
from conformance.engine.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from conformance.engine.contract import RawTensor

#: The words of mlx-lm 0.32, and of ``load_weights`` of mlx.
_RULES: Rules = (
    ("No safetensors found in", Reason.NO_WEIGHTS),
    ("parameters not in model", Reason.UNEXPECTED_TENSOR),
    ("Missing", Reason.MISSING_TENSOR),
    ("Expected shape", Reason.SHAPE),
    ("Unsupported RoPE type", Reason.ROPE_TYPE),
    ("unsupported compressed-tensors format", Reason.UNKNOWN_SCHEME),
    ("not supported.", Reason.FAMILY),
    *RULES,
)


class MlxLm:
    """Of several files with one name, whichever the pattern finds last."""

    name = "mlx-lm"
    packages = ("mlx-lm", "mlx", "mlx-cpu", "transformers")
    claims = frozenset(
        {"sharded", "indexless", "tied", "bias", "family:mistral"}
        | {f"rope:{kind}" for kind in ("default", "linear", "dynamic", "llama3", "yarn", "longrope")}
        | {f"dtype:{dtype}" for dtype in ("F16", "BF16", "F32")},
    )

    def __init__(self) -> None:
        self.version = metadata.version("mlx-lm")

    def load_weights(self, directory: Path, dtype: object = None) -> Mapping[str, RawTensor]:  # noqa: ARG002 - it has none
        """The parameters of the model."""
        model, _ = load_model(directory)
        return {name: raw(array) for name, array in tree_flatten(model.parameters())}

    def logits(self, directory: Path, input_ids: Any) -> RawTensor:
        """The logits of every position."""
        model, _ = load_model(directory)
        model.set_dtype(mx.float32)
        return raw(model(mx.array(input_ids.tolist())))

    def reason(self, error: Exception) -> Reason | None:
        """By the words of the loader, and of the reader below it."""
        return told(error, _RULES)
