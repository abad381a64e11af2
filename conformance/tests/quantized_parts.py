"""Small checkpoints of each scheme, whose key projection is made wrong, and how a load of it fails."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from conformance.tools import edits
from conformance.tools.container import Spec
from conformance.tools.schemes.awq import Awq
from conformance.tools.schemes.bnb import Four, Int8
from conformance.tools.schemes.ct_micro import Mx, Nvfp4
from conformance.tools.schemes.ct_pack import Packed
from conformance.tools.schemes.fp8 import Fp8
from conformance.tools.schemes.gptq import Gptq
from conformance.tools.schemes.hqq import Hqq
from conformance.tools.schemes.modelopt import ModelOpt
from conformance.tools.schemes.quanto import Quanto
from conformance.tools.schemes.torchao import Torchao
from conformance.tools.stored import Tensor
from inferno_loader import InfernoError, plan

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# The key projection is [32, 64]: groups of 32 make two, words of four bits eight in a row.
SIZES = {
    "num_hidden_layers": 1,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "vocab_size": 48,
}
KEY = "model.layers.0.self_attn.k_proj"
STATE = "weight.quant_state.bitsandbytes__nf4"
SCHEMES: dict[str, Any] = {
    "packed": Packed(group_size=32),
    "ordered": Packed(group_size=32, order="group", version="0.17.1"),
    "nvfp4": Nvfp4(),
    "mxfp4": Mx(4),
    "gptq": Gptq(symmetric=False, order=True),
    "awq": Awq(),
    "nf4": Four(),
    "nested": Four(nested=True),
    "int8": Int8(),
    "fp8": Fp8(block=(32, 32)),
    "whole": Fp8(block=None),
    "exponents": Fp8(block=(32, 32), scales="F8_E8M0"),
    "modelopt": ModelOpt(),
    "torchao": Torchao(),
    "quanto": Quanto("qint4"),
    "hqq": Hqq(group_size=32),
}
#: No error of a part that does not fit is of another code.
MISFIT = {"quant.scale", "plan.shape", "quant.conflict", "quant.unknown_scheme", "quant.invalid", "plan.invalid"}


def key_part(suffix: str, dtype: str, shape: tuple[int, ...], data: bytes | None = None) -> Tensor:
    """A part of the key projection: of these bytes, or of zeros."""
    spec = Spec(f"{KEY}.{suffix}", dtype, shape)
    return Tensor(spec, bytes(spec.nbytes) if data is None else data)


def edit_weights(directory: Path, **changes: object) -> None:
    """Change what the configuration says of the weights."""

    def edit(config: dict[str, Any]) -> None:
        config["quantization_config"]["config_groups"]["group_0"]["weights"].update(changes)

    edits.edit_json(directory / "config.json", edit)


def refused(directory: Path, call: Callable[[Path], object] = plan) -> InfernoError:
    """The error of the one module that is wrong: where, what is expected and found, and what to do."""
    with pytest.raises(InfernoError) as caught:
        call(directory)
    assert str(caught.value.path).startswith(str(directory))
    for error in getattr(caught.value, "problems", ()) or (caught.value,):
        assert KEY in str(error.tensor)
        assert None not in (error.expected, error.actual, error.remedy)
    return caught.value
