"""One parameter in a GGUF file: its name there, its blocks, the order of its rows. No loader, no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from conformance.tools.container import Spec
from conformance.tools.schemes.gguf_blocks import BLOCKS, PLAIN_NUMBERS, decode_rows
from conformance.tools.stored import Tensor
from conformance.tools.values import encode_values

if TYPE_CHECKING:
    from numpy.typing import NDArray

_OUTSIDE = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
_INSIDE = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}
#: What a loader hands out of blocks when no dtype is asked for: GGUF records none.
DENSE = "BF16"


@dataclass(frozen=True, slots=True)
class GgufTensor:
    """One parameter in the file.

    Attributes:
        name: As the file has it.
        dense: The Hugging Face name.
        kind: The name of its type.
        shape: Logical, outermost axis first.
        data: As stored, rows of q and k in pairs.
        plain: As stored, but with the rows in the order of Hugging Face.
    """

    name: str
    dense: str
    kind: str
    shape: tuple[int, ...]
    data: bytes
    plain: bytes

    @property
    def stored(self) -> Tensor:
        """As a reader of the file hands it out: blocks as rows of bytes."""
        if self.kind in PLAIN_NUMBERS:
            return Tensor(Spec(self.name, self.kind, self.shape), self.data)
        kind = BLOCKS[self.kind]
        row = self.shape[-1] // kind.elements * kind.nbytes
        return Tensor(Spec(self.name, "U8", (*self.shape[:-1], row)), self.data)

    def values(self) -> NDArray[Any]:
        """Its numbers, in the row order of Hugging Face."""
        return decode_rows(self.kind, self.plain, self.shape)

    def tensor(self, dtype: str | None) -> Tensor:
        """Dense: in `dtype`, or as a loader owes it when none is asked for."""
        wanted = dtype or (self.kind if self.kind in PLAIN_NUMBERS else DENSE)
        values = np.asarray(self.values(), dtype=np.float64)
        return Tensor(Spec(self.dense, wanted, self.shape), encode_values(values.reshape(-1), wanted))


def gguf_name(name: str) -> str:
    """The name that llama.cpp gives a parameter of Hugging Face's."""
    module, _, leaf = name.rpartition(".")
    if module in _OUTSIDE:
        return f"{_OUTSIDE[module]}.{leaf}"
    layer, _, rest = module.removeprefix("model.layers.").partition(".")
    return f"blk.{layer}.{_INSIDE[rest]}.{leaf}"


def in_pairs(data: bytes, spec: Spec, head_dim: int) -> bytes:
    """Rows i and i + head_dim / 2 of each head of q and k moved to 2i and 2i + 1; other tensors as they are."""
    if ".q_proj." not in spec.name and ".k_proj." not in spec.name:
        return data
    rows = np.frombuffer(data, np.uint8).reshape(spec.shape[0], -1)
    halves = rows.reshape(-1, 2, head_dim // 2, rows.shape[1])
    return halves.swapaxes(1, 2).tobytes()
