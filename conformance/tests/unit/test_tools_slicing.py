"""The slices of a rank, against rows and columns written out by hand."""

from __future__ import annotations

from typing import Any

import pytest

from conformance.tools.container import Spec
from conformance.tools.slicing import slice_of
from conformance.tools.stored import Tensor

#: Four heads of two rows, two key-value heads.
_FIGURES: dict[str, Any] = {
    "head_dim": 2,
    "hidden_size": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}


def _matrix(name: str, rows: int, columns: int) -> Tensor:
    """Element (r, c) is 16 r + c, one byte: in hexadecimal its digits are row and column."""
    data = bytes(16 * row + column for row in range(rows) for column in range(columns))
    return Tensor(Spec(name, "U8", (rows, columns)), data)


def _vector(name: str, size: int) -> Tensor:
    return Tensor(Spec(name, "U8", (size,)), bytes(range(1, size + 1)))


def _cut(tensor: Tensor, rank: int, ranks: int, **figures: Any) -> tuple[tuple[int, ...], str]:
    """The shape and the bytes of the only slice that is right."""
    cut = slice_of(tensor, {**_FIGURES, **figures}, rank, ranks)
    (part,) = cut.tensors
    assert not cut.optional
    assert (part.spec.name, part.spec.dtype) == (tensor.spec.name, tensor.spec.dtype)
    return part.spec.shape, part.data.hex(" ")


@pytest.mark.parametrize(
    ("rank", "expected"),
    [
        (0, "00 01 02 10 11 12 20 21 22 30 31 32"),
        (1, "40 41 42 50 51 52 60 61 62 70 71 72"),
    ],
)
def test_q_is_cut_in_rows_of_whole_heads(rank: int, expected: str) -> None:
    """Two of four heads are four rows."""
    assert _cut(_matrix("model.layers.0.self_attn.q_proj.weight", 8, 3), rank, 2) == ((4, 3), expected)


@pytest.mark.parametrize("part", ["k_proj", "v_proj"])
@pytest.mark.parametrize(("rank", "expected"), [(0, "00 01 02 10 11 12"), (1, "20 21 22 30 31 32")])
def test_k_and_v_are_cut_in_rows_of_key_value_heads(part: str, rank: int, expected: str) -> None:
    """One of two key-value heads is two rows."""
    assert _cut(_matrix(f"model.layers.0.self_attn.{part}.weight", 4, 3), rank, 2) == ((2, 3), expected)


@pytest.mark.parametrize(
    ("rank", "expected"),
    [(0, "00 10"), (1, "00 10"), (2, "20 30"), (3, "20 30")],
)
def test_neighbouring_ranks_share_a_key_value_head(rank: int, expected: str) -> None:
    """With two key-value heads for four ranks, rank r has head r // 2."""
    assert _cut(_matrix("model.layers.0.self_attn.k_proj.weight", 4, 1), rank, 4) == ((2, 1), expected)


@pytest.mark.parametrize(("rank", "expected"), [(0, "00 01 02 03 10 11 12 13"), (1, "04 05 06 07 14 15 16 17")])
def test_o_is_cut_in_columns_of_whole_heads(rank: int, expected: str) -> None:
    """It takes what the heads give, so its columns go with them."""
    assert _cut(_matrix("model.layers.0.self_attn.o_proj.weight", 2, 8), rank, 2) == ((2, 4), expected)


@pytest.mark.parametrize("name", ["mlp.gate_proj", "mlp.up_proj"])
@pytest.mark.parametrize(("rank", "shape", "expected"), [(0, (3, 1), "00 10 20"), (1, (2, 1), "30 40")])
def test_gate_and_up_are_cut_in_rows(name: str, rank: int, shape: tuple[int, ...], expected: str) -> None:
    """Five rows for two ranks are three and two."""
    assert _cut(_matrix(f"model.layers.0.{name}.weight", 5, 1), rank, 2) == (shape, expected)


@pytest.mark.parametrize(("rank", "shape", "expected"), [(0, (2, 3), "00 01 02 10 11 12"), (1, (2, 2), "03 04 13 14")])
def test_down_is_cut_in_columns(rank: int, shape: tuple[int, ...], expected: str) -> None:
    """Five columns for two ranks are three and two."""
    assert _cut(_matrix("model.layers.0.mlp.down_proj.weight", 2, 5), rank, 2) == (shape, expected)


@pytest.mark.parametrize("name", ["model.embed_tokens.weight", "lm_head.weight"])
@pytest.mark.parametrize(
    ("rank", "shape", "expected"),
    [(0, (2, 1), "00 10"), (1, (2, 1), "20 30"), (2, (1, 1), "40"), (3, (0, 1), "")],
)
def test_tokens_are_cut_in_blocks_of_the_ceiling(name: str, rank: int, shape: tuple[int, ...], expected: str) -> None:
    """Five tokens for four ranks are two, two, one and none: blocks of ceil(5 / 4), and no padding."""
    assert _cut(_matrix(name, 5, 1), rank, 4) == (shape, expected)


@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("name", ["model.norm", "model.layers.0.input_layernorm"])
def test_norms_are_whole(name: str, rank: int) -> None:
    """Every rank has all of a norm."""
    assert _cut(_vector(f"{name}.weight", 3), rank, 2) == ((3,), "01 02 03")


@pytest.mark.parametrize(
    ("name", "size", "rank", "expected"),
    [
        ("self_attn.q_proj", 8, 1, "05 06 07 08"),
        ("self_attn.k_proj", 4, 1, "03 04"),
        ("self_attn.v_proj", 4, 0, "01 02"),
        ("mlp.gate_proj", 5, 1, "04 05"),
        ("mlp.up_proj", 5, 0, "01 02 03"),
    ],
)
def test_a_bias_goes_with_its_rows(name: str, size: int, rank: int, expected: str) -> None:
    """The bias of what is cut by rows is cut like them."""
    shape, data = _cut(_vector(f"model.layers.0.{name}.bias", size), rank, 2)
    assert (shape, data) == ((len(expected.split()),), expected)


@pytest.mark.parametrize("name", ["self_attn.o_proj", "mlp.down_proj"])
def test_a_bias_behind_a_sum_is_added_once(name: str) -> None:
    """It is whole on rank 0; the others have zeros, or nothing."""
    bias = _vector(f"model.layers.0.{name}.bias", 3)
    assert _cut(bias, 0, 2) == ((3,), "01 02 03")
    other = slice_of(bias, _FIGURES, 1, 2)
    assert other.optional
    assert [(part.spec, part.data) for part in other.tensors] == [(bias.spec, b"\0\0\0")]


def test_one_rank_has_everything() -> None:
    """A rank of one has the tensor itself."""
    whole = _matrix("model.layers.0.self_attn.q_proj.weight", 8, 3)
    assert slice_of(whole, _FIGURES, 0, 1).tensors == (whole,)


def test_the_width_of_a_head_follows_where_it_is_not_told() -> None:
    """Without head_dim it is hidden size over heads: one of four heads of two."""
    query = _matrix("model.layers.0.self_attn.q_proj.weight", 8, 1)
    assert _cut(query, 3, 4, head_dim=None, hidden_size=8, num_key_value_heads=4) == ((2, 1), "60 70")


def test_elements_wider_than_a_byte_stay_whole() -> None:
    """Columns are counted in elements, and not in bytes."""
    down = Tensor(Spec("model.layers.0.mlp.down_proj.weight", "BF16", (2, 2)), bytes.fromhex("a1a2 b1b2 c1c2 d1d2"))
    assert _cut(down, 1, 2) == ((2, 1), "b1 b2 d1 d2")


@pytest.mark.parametrize(
    ("part", "figures", "ranks"),
    [
        ("q_proj", {}, 3),
        ("o_proj", {}, 3),
        ("k_proj", {"num_key_value_heads": 3}, 2),
        ("k_proj", {"num_attention_heads": 6}, 3),
    ],
)
def test_heads_that_do_not_divide_have_no_slices(part: str, figures: dict[str, Any], ranks: int) -> None:
    """Four heads for three ranks, three key-value heads for two, two for three: none of them can be cut."""
    tensor = _matrix(f"model.layers.0.self_attn.{part}.weight", 12, 12)
    with pytest.raises(ValueError, match="heads"):
        slice_of(tensor, {**_FIGURES, **figures}, 1, ranks)
