"""The order of the rows of q and k, which differs between dialects: rotary pairs as halves, or interleaved. No torch.

A rotary embedding turns pairs of rows of each head. Transformers pairs row i with row i + head_dim / 2 (halves), Meta's
code and GGUF of architecture ``llama`` pair row 2i with row 2i + 1 (interleaved). Converting between them moves the
rows of ``q_proj`` and ``k_proj`` within each head, and nothing else. The heads of k are the *key-value* heads: with the
query heads, k of a grouped-query model is scrambled without any error.

Sources:
    ``permute`` in
    https://github.com/huggingface/transformers/blob/main/src/transformers/models/llama/convert_llama_weights_to_hf.py
    Key-value heads: https://github.com/ggml-org/llama.cpp/pull/3364
    and https://github.com/huggingface/transformers/pull/31788
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from inferno_loader.errors import ConfigValueError, QuantizationError, TensorNameError
from inferno_loader.names.grammar import is_layer_index, lexicon, split_layer
from inferno_loader.names.tables import LAYER_PREFIXES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inferno_loader.names.tables import Heads, Row

#: ``interleave`` goes from halves to interleaved pairs, ``split`` from interleaved pairs to halves.
LayoutKind = Literal["none", "interleave", "split"]

_WORDS: dict[LayoutKind, str] = {
    "none": "",
    "interleave": "rotary-half->rotary-interleaved",
    "split": "rotary-interleaved->rotary-half",
}

#: Suffixes of tensors with one row for each output, unless a single scale serves all of them.
_BY_ROW = frozenset(
    {"weight", "bias", "weight_scale", "weight_zero_point", "weight_scale_inv", "weight_packed", "SCB"},
)

#: Those of them of which one may serve all outputs.
_SHARED = frozenset({"weight_scale", "weight_zero_point", "weight_scale_inv"})

#: Suffixes of tensors that the order of the outputs does not touch.
_WITHOUT_ROWS = frozenset(
    {
        "input_scale",
        "input_zero_point",
        "input_global_scale",
        "activation_scale",
        "output_scale",
        "k_scale",
        "weight_global_scale",
        "weight_scale_2",
        "weight_shape",
        "weight_format",
        "weight_g_idx",
        "g_idx",
    },
)


@dataclass(frozen=True, slots=True)
class LayoutChange:
    """How the rows of a module move between two dialects.

    Attributes:
        kind: ``none``, ``interleave`` or ``split``.
        heads: The heads within which they move: ``q``, ``kv``, or empty where they do not.
    """

    kind: LayoutKind
    heads: Heads

    @property
    def word(self) -> str:
        """``rotary-interleaved->rotary-half`` or the other way round; empty where no row moves."""
        return _WORDS[self.kind]


def change_between(here: Row, there: Row) -> LayoutChange:
    """The layout change from the row of a module in one table to its row in another."""
    if bool(here.interleaved) == bool(there.interleaved):
        return LayoutChange("none", "")
    if there.interleaved:
        return LayoutChange("interleave", there.interleaved)
    return LayoutChange("split", here.interleaved)


def layout_change(module: str, source: str, target: str) -> LayoutChange:
    """How the rows of `module` move from `source` to `target`.

    Args:
        module: A module of the ``huggingface`` dialect, with a layer index or with ``{layer}`` in its place:
            ``model.layers.0.self_attn.q_proj``.
        source: The dialect in which the tensors are stored.
        target: The dialect in which they are wanted.

    Raises:
        TensorNameError: `module` is none of the table, or there is no such dialect.
    """
    layer, pattern = split_layer(module, LAYER_PREFIXES["huggingface"])
    here = lexicon(source).by_huggingface.get(pattern)
    there = lexicon(target).by_huggingface.get(pattern)
    if here is None or there is None or not (layer is None or layer == "{layer}" or is_layer_index(layer)):
        raise TensorNameError(
            "there is no such module in the table of names",
            expected="a module of the huggingface dialect, without a suffix",
            actual=module,
            remedy="name the module as transformers does, for example model.layers.0.self_attn.q_proj",
        )
    return change_between(here, there)


def has_rows(suffix: str) -> bool:
    """Whether the order of the outputs of a module touches its tensor of this `suffix`."""
    return suffix not in _WITHOUT_ROWS


@dataclass(frozen=True, slots=True)
class RowPermutation:
    """The two orders of the rows of q or k.

    With a tensor library, a split is ``reshape(heads, head_dim / 2, 2, ...)``, swap axes 1 and 2, and
    ``reshape(rows, ...)``: `interleaved_shape` and `half_shape` are the shapes before and after the swap. The
    ``order_`` methods build a list of `rows` numbers: ask `concerns` first, which holds the figures against a stored
    shape.

    Args:
        heads: Query heads for q, key-value heads for k. At least 1.
        head_dim: Rows of one head. Even, at least 2.

    Raises:
        ConfigValueError: One of them is out of range.
    """

    heads: int
    head_dim: int

    def __post_init__(self) -> None:
        if self.heads < 1:
            raise ConfigValueError(
                "there is no attention head to permute",
                key="num_attention_heads",
                expected="at least 1",
                actual=self.heads,
                remedy="correct config.json",
            )
        if self.head_dim < 2 or self.head_dim % 2:  # noqa: PLR2004 - a pair is two
            raise ConfigValueError(
                "a rotary embedding needs pairs of rows",
                key="head_dim",
                expected="an even number, at least 2",
                actual=self.head_dim,
                remedy="correct config.json",
            )

    @property
    def rows(self) -> int:
        """Rows of the weight: heads times head_dim."""
        return self.heads * self.head_dim

    @property
    def half_shape(self) -> tuple[int, int, int]:
        """The rows of the half layout as (head, half, pair): (heads, 2, head_dim / 2)."""
        return self.heads, 2, self.head_dim // 2

    @property
    def interleaved_shape(self) -> tuple[int, int, int]:
        """The rows of the interleaved layout as (head, pair, half): (heads, head_dim / 2, 2)."""
        return self.heads, self.head_dim // 2, 2

    def order_to_half(self) -> list[int]:
        """For each row of the half layout, the row of the interleaved layout that belongs there.

        ``half = interleaved[order_to_half()]``; for one head of 8 rows 0, 2, 4, 6, 1, 3, 5, 7.
        """
        pairs = self.head_dim // 2
        return [
            head * self.head_dim + 2 * pair + half
            for head in range(self.heads)
            for half in range(2)
            for pair in range(pairs)
        ]

    def order_to_interleaved(self) -> list[int]:
        """For each row of the interleaved layout, the row of the half layout that belongs there.

        ``interleaved = half[order_to_interleaved()]``; for one head of 8 rows 0, 4, 1, 5, 2, 6, 3, 7.
        """
        pairs = self.head_dim // 2
        return [
            head * self.head_dim + half * pairs + pair
            for head in range(self.heads)
            for pair in range(pairs)
            for half in range(2)
        ]

    def concerns(self, suffix: str, shape: Sequence[int], *, tensor: str | None = None) -> bool:
        """Whether the rows of a tensor of the module move: the weight, the bias, and scales with a row per output.

        Args:
            suffix: What the name of the tensor has after the module.
            shape: The stored shape.
            tensor: Its whole name, for the error.

        Returns:
            False for a tensor without rows (``input_scale``, ``g_idx``) and for a single scale that serves all outputs,
            of shape [] or [1].

        Raises:
            QuantizationError: The tensor follows the order of the outputs, but not by its rows (GPTQ and AWQ columns,
                block scales, nf4, packed zero points): it cannot be put in another order as it is stored.
        """
        if not has_rows(suffix):
            return False
        if suffix in _BY_ROW and shape and shape[0] == self.rows:
            return True
        if suffix in _SHARED and list(shape) in ([], [1]):
            return False
        raise QuantizationError(
            f"the {suffix} of q or k cannot change its row order as it is stored",
            tensor=tensor,
            expected=f"{self.rows} rows, one for each output",
            actual=f"shape {list(shape)}",
            remedy="dequantize the weight first, or keep the huggingface or inferno names",
        )
